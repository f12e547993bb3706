import { expect, test } from '@jest/globals';
import { decideActivations } from '../../activator/core/decide-activations.ts';
import { ACTIVATED, NOW, pod, resource, service, services, spec } from './fixtures.ts';
import { NEW_MEMORY } from './memory.ts';
import { superviseNamespace } from './supervision.ts';
import { activationWork, evaluationWork } from './work.ts';

const activator = { mode: 'retryAndKill', period: 2, maxRetryCount: 0 };
const supervised = superviseNamespace(
  [resource('cart', { spec: spec({ defaultActivator: activator }) })],
  services(service('cart', ACTIVATED)),
).get('cart')!;
const out = pod('a', {
  labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
  annotations: { 'breaker/breakAt': '2026-11-23T11:59:00Z', 'breaker/retryCount': '1' },
});
const decideAt = (nextAttempt: number, workersNow: number) => {
  const work = activationWork({
    supervised: { ...supervised, spec: supervised.spec!, selector: supervised.selector! },
    round: 'r-1',
    claimRevision: 0,
    claimBucket: 'bucket',
    memory: { ...NEW_MEMORY, refusedKills: { [out.uid]: { refusals: 1, nextAttempt } } },
    now: NOW,
  });
  return decideActivations({ ...work, now: workersNow, resolved: supervised.resolved!, pods: [out, pod('b', ready)] });
};
const ready = { labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' } };

test("A5, A7: a refused kill that is due by the leader's clock is tried, though the clock of the activator is behind", () => {
  expect(decideAt(NOW - 1, NOW - 5000).kill.map(({ pod: killed }) => killed.name)).toEqual(['a']);
});

test('A5: one that is not due yet waits', () => {
  const { kill, withheld } = decideAt(NOW + 4000, NOW);
  expect(kill).toEqual([]);
  expect(withheld).toMatchObject([{ pod: { name: 'a' }, reason: 'EvictionRefused' }]);
});

test('V3: the history holds whom it could confirm, and nobody who was good all the time', () => {
  const work = evaluationWork({
    supervised: { ...supervised, spec: supervised.spec!, selector: supervised.selector! },
    round: 'r-1',
    claimRevision: 0,
    claimBucket: 'bucket',
    memory: { ...NEW_MEMORY, history: { errors: { a: '010', b: '000', c: '' } } },
    due: ['errors'],
    pods: [],
    others: [],
  });
  expect(work.history).toEqual({ errors: { a: '010' } });
});
