import { describe, expect, test } from '@jest/globals';
import type { Verdict } from './contract.ts';
import { judgeVerdicts, readInfo, readVerdicts } from './plugin-answer.ts';

const fleet = [
  { name: 'cart-1', uid: 'u1' },
  { name: 'cart-2', uid: 'u2' },
];
const one = (change: object = {}) => JSON.stringify({ verdicts: [{ pod: 'cart-1', outcome: 'ok', ...change }] });

describe('the answer of a plug-in', () => {
  test('is read with what the contract names; what it does not name is dropped', () => {
    const verdict = {
      pod: 'cart-1',
      uid: 'u1',
      outcome: 'anomalous',
      score: 2.4,
      reason: 'p99 2.4 s, limit 1 s',
      observed: 2.4,
      limit: 1,
    };
    expect(readVerdicts(JSON.stringify({ verdicts: [{ ...verdict, note: 1 }], tookSeconds: 2 }))).toEqual({
      value: [verdict],
    });
  });

  test.each([
    ['not JSON', ''],
    ['not JSON', 'secret <html>'],
    ['not JSON', `${one()}secret`],
    ['the answer is missing or of another type', 'null'],
    ['the answer is missing or of another type', '[]'],
    ['the answer is missing or of another type', '"secret"'],
    ['verdicts is missing or of another type', '{}'],
    ['verdicts is missing or of another type', '{"items":["secret"]}'],
    ['verdicts is missing or of another type', '{"verdicts":{"secret":1}}'],
    ['verdicts.0 is missing or of another type', '{"verdicts":["secret"]}'],
    ['verdicts.0.pod is missing or of another type', one({ pod: 7 })],
    ['verdicts.0.pod is too long', one({ pod: 'secret'.repeat(99) })],
    ['verdicts.0.uid is missing or of another type', one({ uid: null })],
    ['verdicts.0.outcome is none of ok, anomalous, inconclusive and error', one({ outcome: 'secret' })],
    ['verdicts.0.outcome is none of ok, anomalous, inconclusive and error', one({ outcome: true })],
    ['verdicts.0.score is missing or of another type', one({ score: '2' })],
    ['verdicts.0.score is missing or of another type', one({ score: 7 }).replace('7', '1e999')],
    ['verdicts.0.score is negative', one({ score: -1 })],
    ['verdicts.0.reason is missing or of another type', one({ reason: { secret: 1 } })],
    ['verdicts.0.reason is too long', one({ reason: 'secret'.repeat(99) })],
    ['verdicts.0.observed is missing or of another type', one({ observed: 'secret' })],
    [
      'verdicts.1.outcome is none of',
      JSON.stringify({ verdicts: [{ pod: 'cart-2', outcome: 'anomalous' }, { pod: 'cart-1' }] }),
    ],
    ['verdicts is too long', JSON.stringify({ verdicts: Array(20_001).fill({ pod: 'secret', outcome: 'ok' }) })],
  ])('V1: %s: none of the answer counts, and nothing of it is repeated', (problem, text) => {
    const read = readVerdicts(text);
    expect(read).toEqual({ problem: expect.stringContaining(problem) });
    expect(JSON.stringify(read)).not.toContain('secret');
  });
});

test('what a plug-in says of itself is read by the same rule', () => {
  const info = { name: 'judge', version: '1', parameters: { type: 'object' } };
  expect(readInfo(JSON.stringify({ ...info, secret: 1 }))).toEqual({ value: info });
  expect(readInfo(JSON.stringify({ ...info, parameters: 'secret' }))).toEqual({
    problem: 'is not of the agreed shape: parameters is missing or of another type',
  });
});

describe('V2: whom it may judge', () => {
  const judge = (given: Verdict[]) => {
    const { verdicts, ignored } = judgeVerdicts(given, fleet);
    return { outcomes: verdicts.map(({ outcome }) => outcome).join(' '), ignored };
  };
  const bad = (pod: string, uid?: string): Verdict => ({ pod, outcome: 'anomalous', ...(uid && { uid }) });

  test('a pod that is left out is inconclusive', () => {
    expect(judgeVerdicts([bad('cart-2')], fleet).verdicts).toEqual([
      { pod: 'cart-1', uid: 'u1', outcome: 'inconclusive', reason: 'the plug-in gave no verdict' },
      { pod: 'cart-2', uid: 'u2', outcome: 'anomalous', score: 1, reason: 'named by the plug-in' },
    ]);
  });

  test.each([
    ['notAsked', bad('cart-3')],
    ['otherUid', bad('cart-1', 'u0')],
  ])('%s is counted and breaks nobody', (reason, stranger) => {
    expect(judge([stranger])).toEqual({ outcomes: 'inconclusive inconclusive', ignored: { [reason]: 1 } });
  });

  test('a pod with several verdicts is inconclusive, in whatever order they come', () => {
    const ok: Verdict = { pod: 'cart-1', outcome: 'ok' };
    for (const given of [
      [ok, bad('cart-1')],
      [bad('cart-1'), ok],
      [bad('cart-1', 'u1'), bad('cart-1')],
    ]) {
      expect(judge(given)).toEqual({ outcomes: 'inconclusive inconclusive', ignored: { duplicateVerdict: 1 } });
    }
    expect(judge([bad('cart-1'), bad('cart-1', 'u0')]).outcomes).toBe('anomalous inconclusive');
  });

  test('V5: its reason becomes one line without control characters, and a score is kept', () => {
    const [verdict] = judgeVerdicts(
      [{ ...bad('cart-1'), score: 3, reason: ' p99\r\n\u001b[31m2.4 s\u2028\u202e limit\t1 s \n' }],
      fleet,
    ).verdicts;
    expect(verdict).toEqual({
      pod: 'cart-1',
      uid: 'u1',
      outcome: 'anomalous',
      score: 3,
      reason: 'p99 [31m2.4 s limit 1 s',
    });
  });
});
