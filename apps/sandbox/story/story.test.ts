import { describe, expect, test } from '@jest/globals';
import { podName, sceneOf } from './scenes.fixture.ts';
import { advance, begin, castOf, MOST, STORY, type Act, type Progress } from './story.ts';
import type { Scene } from './scene.ts';

const cast = castOf(sceneOf(), 0);
const [healthy, fails, healed, mostFail, mended] = STORY as [Act, Act, Act, Act, Act];
const ONE = 2;

/** The act after these looks, begun at 0 s. */
const play = (act: Act, ...scenes: Scene[]): Progress =>
  scenes.reduce((progress, scene) => advance(act, progress, scene, cast), begin(act, 0));
const out = { traffic: 'no', inSlice: false } as const;
const anomalous = { reason: 'FleetAnomalous', message: '6 of 8 bad, more than 50 %' };
const bad = Object.fromEntries(
  sceneOf().pods.flatMap(({ name }, place) => (cast.most.includes(name) ? [[place, { badPercent: 90 }]] : [])),
);

describe('the cast', () => {
  test('is one pod and most of the fleet, others in another round', () => {
    expect(cast.one).toBe(podName(ONE));
    expect(new Set(cast.most).size).toBe(MOST);
    expect(castOf(sceneOf(), 1).one).toBe(podName(ONE + 1));
    expect(castOf(sceneOf(), 8)).toEqual(cast);
  });
});

describe('an act', () => {
  test('holds only when all its claims held at once for as long as it asks', () => {
    expect(play(healthy, sceneOf({ seconds: 1 })).outcome).toBe('playing');
    expect(play(healthy, sceneOf({ seconds: 1 }), sceneOf({ seconds: 2 }))).toMatchObject({
      outcome: 'held',
      endedAt: 2,
    });
    const interrupted = play(
      healthy,
      sceneOf({ seconds: 1 }),
      sceneOf({ seconds: 1.5, result: 'error' }),
      sceneOf({ seconds: 2 }),
    );
    expect(interrupted).toMatchObject({ outcome: 'playing', since: 2 });
  });

  test('fails at its limit and says what was missing', () => {
    const progress = play(fails, sceneOf({ seconds: fails.limit + 1 }));
    expect(progress.outcome).toBe('failed');
    expect(progress.failure).toContain('it has left the EndpointSlice');
    expect(progress.failure).not.toContain('shoppers');
  });

  test('stays as it ended', () => {
    const ended = play(fails, sceneOf({ seconds: fails.limit + 1 }));
    expect(advance(fails, ended, sceneOf({ pods: { [ONE]: out } }), cast)).toBe(ended);
  });

  test('notes when each claim was true for the first time', () => {
    const progress = play(
      fails,
      sceneOf({ seconds: 1, shoppers: { requestsPerSecond: 100, badPercent: 12 } }),
      sceneOf({ seconds: 4, pods: { [ONE]: out }, shoppers: { requestsPerSecond: 100, badPercent: 9 } }),
      sceneOf({ seconds: 6, pods: { [ONE]: out } }),
    );
    expect(progress).toMatchObject({ outcome: 'held', firstHeld: [4, 4, 6] });
  });
});

describe('one pod fails', () => {
  test('a label alone is not enough: it must have left the EndpointSlice', () => {
    expect(play(fails, sceneOf({ pods: { [ONE]: { traffic: 'no' } } })).outcome).toBe('playing');
  });
  test('to take out a pod that is well ends the story', () => {
    expect(play(fails, sceneOf({ pods: { [ONE]: out, 5: out } }))).toMatchObject({ outcome: 'failed' });
  });
});

describe('it is healed', () => {
  test('it must be back and answer well', () => {
    expect(play(healed, sceneOf({ pods: { [ONE]: out } })).claims).toEqual([false, false, true, true]);
    expect(play(healed, sceneOf({ pods: { [ONE]: { requestsPerSecond: 0, badPercent: undefined } } })).outcome).toBe(
      'playing',
    );
    expect(play(healed, sceneOf()).outcome).toBe('held');
  });
});

describe('most of the fleet fails', () => {
  const panic = (seconds: number, different: Parameters<typeof sceneOf>[0] = {}) =>
    sceneOf({ seconds, pods: bad, degraded: anomalous, ...different });

  test('P: holds where nobody is touched for some seconds, and the reason is there', () => {
    expect(play(mostFail, panic(3)).outcome).toBe('playing');
    expect(play(mostFail, panic(3), panic(3 + mostFail.lasts)).outcome).toBe('held');
  });
  test('P: fails at once where one pod is taken out, even for a moment', () => {
    expect(play(mostFail, panic(3), panic(4, { pods: { ...bad, 7: out } }))).toMatchObject({ outcome: 'failed' });
  });
  test.each([
    ['without a reason', { degraded: undefined }],
    ['with another reason', { degraded: { reason: 'DetectorFailing', message: 'x' } }],
    ['where nobody fails', { pods: {} }],
    ['where status counts fewer', { available: 7 }],
  ])('P: does not hold %s', (_, different) => {
    expect(play(mostFail, panic(3, different), panic(20, different)).outcome).toBe('playing');
  });
});

test('P: when the cause is mended nobody may be taken out by figures of the past', () => {
  expect(play(mended, sceneOf({ seconds: 1, degraded: anomalous })).outcome).toBe('playing');
  expect(play(mended, sceneOf({ seconds: 1, pods: { 3: out } }))).toMatchObject({ outcome: 'failed' });
  expect(play(mended, sceneOf({ seconds: 1 }), sceneOf({ seconds: 2 })).outcome).toBe('held');
});
