import { expect, test } from '@jest/globals';
import { STORY, type Progress } from '../story/story.ts';
import { reportOf, summaryOf } from './report.ts';

const held = STORY.map((act, place): Progress => ({
  startedAt: 10 * place,
  endedAt: 10 * place + 6,
  outcome: 'held',
  claims: act.then.map(() => true),
  firstHeld: act.then.map((_, claim) => 10 * place + 3 + claim / 4),
}));
const figures = { requests: 4000, bad: 700, reason: '6 of 8 bad', seconds: 46.04 };

test('a story that held, with its figures', () => {
  const report = reportOf(STORY, held, figures);
  expect(report).toMatchObject({
    held: true,
    seconds: 46,
    figures: { requests: 4000, badAnswers: 700, outAfterSeconds: 3.3, backAfterSeconds: 3.3, reason: '6 of 8 bad' },
  });
  expect(report.acts.map((act) => act.held)).toEqual(STORY.map(() => true));
  expect(reportOf(STORY, held, { ...figures, since: 10 })).toMatchObject({ seconds: 36, acts: report.acts });
  expect(summaryOf(report)[0]).toBe('The story held, in 46 s: 4000 requests, 700 bad answers.');
});

test('did not hold where an act failed, or the last was never played', () => {
  const failed = [
    ...held.slice(0, 1),
    { ...(held[1] as Progress), outcome: 'failed' as const, failure: 'not within 20 s' },
  ];
  const report = reportOf(STORY, failed, figures);
  expect(report.held).toBe(false);
  expect(summaryOf(report)).toEqual(['The story did not hold. Act "one pod starts to fail": not within 20 s']);
  expect(reportOf(STORY, held.slice(0, -1), figures).held).toBe(false);
  expect(summaryOf(reportOf(STORY, [], figures))).toEqual(['The story was cut short after 46 s.']);
});
