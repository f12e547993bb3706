import { describe, expect, test } from '@jest/globals';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import { spec as specSchema } from '@kubervisor/shared/crd/kubervisor-service';
import type { ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import type { EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { writeTime } from '@kubervisor/shared/pods/codec';
import { NOW, pod } from './fixtures.ts';
import {
  NEW_MEMORY,
  prune,
  rememberActivation,
  rememberEvaluation,
  rememberMissing,
  seedFrom,
  type Memory,
} from './memory.ts';

const resolve = (change: object = {}, top: object = {}) =>
  resolveSpec(
    specSchema.parse({
      service: 'cart',
      breakers: [{ name: 'errors', customService: 'judge', confirm: { anomalous: 2, of: 3 }, ...change }],
      ...top,
    }),
  );
const SPEC = resolve();
const at = writeTime(NOW);
const ref = { namespace: 'shop', name: 'cart', uid: 'r', generation: 1 };

const evaluation = (
  change: Partial<EvaluationCompleted> & { bad?: string[]; judgedPods?: string[]; error?: boolean } = {},
): EvaluationCompleted => {
  const { bad = [], judgedPods = ['a', 'b'], error = false, ...rest } = change;
  return {
    round: 'l-1',
    resource: ref,
    claim: { outcome: 'claimed', revision: 1 },
    outcome: 'completed',
    due: ['errors'],
    breakers: [
      {
        name: 'errors',
        result: error ? 'error' : bad.length > 0 ? 'anomalous' : 'ok',
        counts: { ok: judgedPods.length - bad.length, anomalous: bad.length, inconclusive: 0, error: 0 },
        ignored: {},
        warnings: [],
        ...(error && { error: { reason: 'Timeout' as const, message: 'no answer' } }),
      },
    ],
    outcomes: bad.map((name) => ({ breaker: 'errors', pod: name, uid: name, outcome: 'anomalous' as const })),
    judged: { errors: judgedPods },
    breaks: [],
    withheld: [],
    errors: [],
    durationMilliseconds: 5,
    ...rest,
  };
};
const activation = (change: Partial<ActivationCompleted>): ActivationCompleted => ({
  round: 'l-2',
  resource: ref,
  claim: { outcome: 'claimed', revision: 1 },
  outcome: 'completed',
  actions: [],
  withheld: [],
  errors: [],
  durationMilliseconds: 5,
  ...change,
});
const remember = (memory: Memory, ...facts: EvaluationCompleted[]) =>
  facts.reduce((current, fact) => rememberEvaluation(current, fact, SPEC, NOW), memory);
const broken = (uid: string, enforced: boolean) => ({
  pod: uid,
  uid,
  breaker: 'errors',
  enforced,
  at,
  retryCount: 1,
  score: 2,
  reason: 'bad',
});

describe('V3: the history that confirm counts', () => {
  test('keeps the last m − 1 outcomes of each judged pod, oldest first', () => {
    const memory = remember(NEW_MEMORY, evaluation({ bad: ['a'] }), evaluation(), evaluation({ bad: ['a'] }));
    expect(memory.history).toEqual({ errors: { a: '01', b: '00' } });
  });
  test('a detector that could not answer is no evaluation', () => {
    const memory = remember(NEW_MEMORY, evaluation({ bad: ['a'] }), evaluation({ error: true }));
    expect(memory.history).toEqual({ errors: { a: '1', b: '0' } });
    expect(memory.breakers['errors']).toMatchObject({ consecutiveErrors: 1 });
    expect(remember(memory, evaluation({ error: true }), evaluation()).breakers['errors']?.consecutiveErrors).toBe(0);
  });
  test('a pod that was not judged keeps what it has', () => {
    expect(
      remember(NEW_MEMORY, evaluation({ bad: ['a'] }), evaluation({ judgedPods: ['b'] })).history['errors']?.['a'],
    ).toBe('1');
  });
  test('a break ends the history of the pod', () => {
    expect(remember(NEW_MEMORY, evaluation({ bad: ['a'], breaks: [broken('a', true)] })).history['errors']).toEqual({
      b: '0',
    });
  });
  test('P: a panic ends every history: the last to recover from a common cause are not confirmed by it', () => {
    const panic = (bad: string[]) => {
      const fact = evaluation({ bad });
      return { ...fact, breakers: fact.breakers.map((report) => ({ ...report, result: 'panic' as const })) };
    };
    const memory = remember(NEW_MEMORY, evaluation({ bad: ['a'] }), panic(['a', 'b']), panic(['a', 'b']));
    expect(memory.history['errors']).toEqual({});
    expect(remember(memory, evaluation({ bad: ['a'] })).history['errors']).toEqual({ a: '1', b: '0' });
  });
  test('a round that decided nothing changes nothing but the count of such rounds', () => {
    const before = remember(NEW_MEMORY, evaluation({ bad: ['a'] }));
    const after = remember(before, evaluation({ outcome: 'failed', errors: ['away'], breakers: [] }));
    expect(after).toEqual({ ...before, errors: ['away'], missing: 1 });
    expect(rememberMissing(after, 'evaluate').missing).toBe(2);
    expect(remember(after, evaluation()).missing).toBe(0);
  });
  test('nothing is kept where one evaluation is enough', () => {
    const memory = rememberEvaluation(
      NEW_MEMORY,
      evaluation({ bad: ['a'] }),
      resolve({ confirm: { anomalous: 1, of: 1 } }),
      NOW,
    );
    expect(memory.history['errors']).toEqual({});
  });
  test('of an earlier leader’s fact only what status shows is taken over, once', () => {
    const seeded = seedFrom(NEW_MEMORY, evaluation({ bad: ['a'], breaks: [broken('a', false)] }), SPEC, NOW);
    expect(seeded.history).toEqual({});
    expect(seeded.simulated).toEqual({});
    expect(seeded.breakers['errors']?.report.result).toBe('anomalous');
    expect(seedFrom(seeded, evaluation({ error: true }), SPEC, NOW)).toBe(seeded);
  });
});

describe('A6: what a dry run believes', () => {
  const dry = resolve({}, { mode: 'dryRun' });
  const out = rememberEvaluation(NEW_MEMORY, evaluation({ breaks: [broken('a', false)] }), dry, NOW);

  test('a simulated break, its return with the count kept, a pause, and a kill', () => {
    expect(out.simulated['a']).toMatchObject({ traffic: 'no', breaker: 'errors', retryCount: 1, breakAt: at });
    const act = (action: 'activated' | 'paused' | 'killed') =>
      rememberActivation(
        out,
        activation({
          actions: [{ pod: 'a', uid: 'a', action, reason: 'WaitOver', enforced: false, at, retryCount: 1 }],
        }),
        dry,
        NOW,
      ).simulated['a'];
    expect(act('activated')).toEqual({ uid: 'a', traffic: 'yes', retryCount: 1, activatedAt: at });
    expect(act('paused')).toMatchObject({ traffic: 'pause', retryCount: 1 });
    expect(act('killed')).toBeUndefined();
  });
  test('real actions do not touch it', () => {
    const after = rememberActivation(
      out,
      activation({
        actions: [{ pod: 'a', uid: 'a', action: 'activated', reason: 'WaitOver', enforced: true, at, retryCount: 1 }],
      }),
      dry,
      NOW,
    );
    expect(after.simulated).toEqual(out.simulated);
  });
  test('pods that are gone are forgotten, and all of it once the breaker enforces', () => {
    const a = { ...pod('a'), uid: 'a' };
    expect(prune(out, [a], dry, true).simulated['a']).toBeDefined();
    expect(prune(out, [], dry, true).simulated).toEqual({});
    expect(prune(out, [a], SPEC, true).simulated).toEqual({});
    expect(prune(out, [a], SPEC, false).simulated['a']).toBeDefined();
    // Also what came back in it: its count of breaks never happened.
    const back = { ...out, simulated: { a: { uid: 'a', traffic: 'yes' as const, retryCount: 3, activatedAt: at } } };
    expect(prune(back, [a], dry, true).simulated['a']).toBeDefined();
    expect(prune(back, [a], SPEC, true).simulated).toEqual({});
  });
});

describe('A5: refused kills', () => {
  const refused = activation({
    withheld: [{ pod: 'a', uid: 'a', breaker: 'errors', reason: 'EvictionRefused', enforced: true }],
  });
  test('each refusal doubles the wait; one that was not tried again counts no more; what was not refused is forgotten', () => {
    const first = rememberActivation(NEW_MEMORY, refused, SPEC, NOW);
    expect(first.refusedKills['a']).toEqual({ refusals: 1, nextAttempt: NOW + 10_000 });
    expect(rememberActivation(first, refused, SPEC, NOW + 1000).refusedKills).toEqual(first.refusedKills);
    const second = rememberActivation(first, refused, SPEC, NOW + 10_000);
    expect(second.refusedKills['a']).toEqual({ refusals: 2, nextAttempt: NOW + 30_000 });
    expect(rememberActivation(second, activation({}), SPEC, NOW).refusedKills).toEqual({});
  });
});
