import { describe, expect, test } from '@jest/globals';
import { sceneOf } from '../story/scenes.fixture.ts';
import { begin, STORY, type Act, type Progress } from '../story/story.ts';
import { livePresenter, plainPresenter } from './presenter.ts';

const act = STORY[1] as Act;
const terminal = (rows = 24) => {
  const written: string[] = [];
  return { columns: 80, rows, written, write: (text: string) => void written.push(text) };
};
const showing = (progress: Progress) => ({
  scene: sceneOf({ seconds: 12.34 }),
  act: { act, place: 2, of: 5, progress },
  happenings: [],
  hints: ['Ctrl-C ends it'],
});
const fresh = [{ seconds: 12.3, tone: 'bad', text: 'x2k9c answers 500 from now on' }] as const;

describe('plain lines', () => {
  test('tell where an act begins, what happens, and how it ended, once each', () => {
    const { written, ...out } = terminal();
    const presenter = plainPresenter(out);
    const playing = begin(act, 12);
    presenter.show(showing(playing), []);
    presenter.show(showing(playing), fresh);
    presenter.show(showing({ ...playing, outcome: 'held' }), []);
    presenter.show(showing({ ...playing, outcome: 'held' }), []);
    expect(written.join('')).toBe(
      `  12.3 s  Act 2 of 5: one pod starts to fail. ${act.says}
  12.3 s    x2k9c answers 500 from now on
  12.3 s    held
`,
    );
  });
  test('tell of an act that failed, and begins anew, that it begins', () => {
    const { written, ...out } = terminal();
    const presenter = plainPresenter(out);
    const playing = begin(act, 12);
    for (const outcome of ['playing', 'failed', 'playing'] as const)
      presenter.show(showing({ ...playing, outcome }), []);
    expect(written.map((line) => /Act 2|FAILED/.exec(line)?.[0])).toEqual(['Act 2', 'FAILED', 'Act 2']);
  });
  test('say why an act failed', () => {
    const { written, ...out } = terminal();
    plainPresenter(out).show(showing({ ...begin(act, 12), outcome: 'failed', failure: 'not within 20 s' }), []);
    expect(written.at(-1)).toBe('  12.3 s    FAILED: not within 20 s\n');
  });
});

describe('the live view', () => {
  test('draws over its last frame, hides the cursor and gives it back', () => {
    const { written, ...out } = terminal();
    const presenter = livePresenter(out, false);
    presenter.show(showing(begin(act, 12)), []);
    const lines = (written[0]?.match(/\n/g) ?? []).length;
    presenter.show(showing(begin(act, 12)), []);
    expect(written[0]).toContain('\u001b[?25l');
    expect(written[1]).toContain(`\u001b[${lines}F`);
    presenter.close();
    expect(written.at(-1)).toBe('\u001b[?25h');
    const before = written.length;
    presenter.close();
    expect(written.length).toBe(before);
  });
  test('begins anew at the top where the terminal changed its size', () => {
    const { written, ...out } = terminal();
    const changing: typeof out = out;
    const presenter = livePresenter(changing, false);
    presenter.show(showing(begin(act, 12)), []);
    changing.columns = 60;
    presenter.show(showing(begin(act, 12)), []);
    expect(written[1]).toBe('\u001b[2J\u001b[H');
    expect(written[2]).not.toMatch(/\u001b\[\d+F/);
  });
  test('begins anew below a line that was said', () => {
    const { written, ...out } = terminal();
    const presenter = livePresenter(out, false);
    presenter.show(showing(begin(act, 12)), []);
    presenter.say('a line');
    presenter.show(showing(begin(act, 12)), []);
    expect(written.at(-1)).not.toMatch(/\u001b\[\d+F/);
  });
});
