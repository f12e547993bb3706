/** A7: whatever somebody wrote over our marks, a pod that is out comes back, and is not killed for it (docs/limits.md; end to end in limits.kubernetes.test.ts). */
import { describe, expect, test } from '@jest/globals';
import { spec as specSchema } from '@kubervisor/shared/crd/kubervisor-service';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import { EDITS, edited, readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { decideActivations } from '../services/activator/core/decide-activations.ts';
import { activationDueAt } from '../services/controller/core/activation-clock.ts';
import { NEW_MEMORY } from '../services/controller/core/memory.ts';
import { composeStatus } from '../services/controller/core/status.ts';
import { superviseNamespace } from '../services/controller/core/supervision.ts';
import { status as statusSchema } from '@kubervisor/shared/crd/status';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const PERIOD = 10;
const spec = specSchema.parse({
  service: 'cart',
  breakers: [
    {
      name: 'slow',
      customService: 'judge',
      minPodsAvailableCount: 0,
      activator: { mode: 'retryAndKill', period: PERIOD, maxRetryCount: 3, jitter: 0 },
    },
  ],
});
const resolved = resolveSpec(spec);
const selector = { app: 'cart' };
const resource = {
  ...{ namespace: 'shop', name: 'cart', uid: 'kvs', generation: 1, resourceVersion: '1', createdAt: 0 },
  ...{ terminating: false, spec, status: undefined },
};
const service = { namespace: 'shop', name: 'cart', uid: 's', selector: { app: 'cart', 'kubervisor/traffic': 'yes' } };
const supervised = superviseNamespace([resource], new Map([['cart', service]])).get('cart')!;

const broken = (annotations: Record<string, string>, labels: Record<string, string> = {}): Pod =>
  readPod({
    metadata: {
      ...{ name: 'cart-1', namespace: 'shop', uid: 'u1', resourceVersion: '1' },
      labels: {
        ...{ app: 'cart', 'kubervisor/name': 'cart', 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'slow' },
        ...labels,
      },
      annotations: { 'breaker/breakAt': '2026-11-25T11:59:59Z', 'breaker/retryCount': '1', ...annotations },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'cart', uid: 'rs', controller: true }],
    },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-11-25T08:00:00Z' }],
    },
  });

/** Plays the controller's clock and the activator until the pod is back; how many seconds that takes. */
function secondsOut(first: Pod): number {
  let pod = first;
  for (let now = NOW; now < NOW + 3_600_000;) {
    const input = { supervised, resolved, pods: [pod], memory: NEW_MEMORY };
    const status = composeStatus({
      ...{ ...input, templatesWithoutLabel: [], fleetTooLarge: false, previous: undefined, now },
    });
    expect(statusSchema.safeParse(status).error).toBeUndefined();
    expect(status.pods).toMatchObject([{ name: 'cart-1', state: 'broken' }]);
    const due = activationDueAt({ ...input, now });
    if (due === undefined) throw new Error('nobody is out any more, as the controller has it');
    now = Math.max(now, due);
    const decided = decideActivations({
      ...{
        now,
        resource: { name: 'cart' },
        resolved,
        selector,
        pods: [pod],
        active: true,
        simulated: [],
        refusedKills: [],
      },
    });
    expect(decided.kill).toEqual([]);
    if (decided.activate.length > 0) return (now - NOW) / 1000;
    if (decided.stamp.length === 0) throw new Error(`nothing is done: ${JSON.stringify(decided.withheld)}`);
    pod = edited(pod, EDITS.stampBreakAt(pod, { at: now }));
  }
  throw new Error('it never comes back');
}

const out = 'breaker/breakAt';
const count = 'breaker/retryCount';
describe('a pod that is out comes back within its first wait, as by status', () => {
  test.each([
    ...['MCCIV', '-1', '1e99', '', '1.5', '0x10', 'x'.repeat(200_000)].map((value) => [count, value] as const),
    ...['', 'yesterday', '2099-01-01T00:00:00Z', '2026-11-25T12:10:00Z', '9999-12-31T23:59:59-23:59'].map(
      (value) => [out, value] as const,
    ),
    ...['0000-01-01T00:00:00+23:59', '2026-13-45T99:99:99Z', '1700000000', '2026-11-25'].map(
      (value) => [out, value] as const,
    ),
    // Times of other zones, and of the seconds by which a clock may be ahead.
    ...['2026-11-25T12:59:59+01:00', '1999-01-01T00:00:00Z'].map((value) => [out, value] as const),
    ['kubervisor/reason', 'x'.repeat(200_000)],
    ['kubervisor/reason', ` (${'score='.repeat(30_000)}`],
    ['kubervisor/activatedAt', '2099-01-01T00:00:00Z'],
    ['controller.kubernetes.io/pod-deletion-cost', 'much'],
  ] as const)('A7: %s %.40p', (key, value) => {
    expect(secondsOut(broken({ [key]: value }))).toBeLessThanOrEqual(PERIOD);
  });

  test('A7: a breakAt less than a minute ahead is a clock: that much longer, no more', () => {
    expect(secondsOut(broken({ [out]: '2026-11-25T12:00:59Z' }))).toBe(PERIOD + 59);
  });

  test.each(['nobody', ''])('A1: strategy %p: the default activator brings it back', (strategy) => {
    expect(secondsOut(broken({}, { 'kubervisor/strategy': strategy }))).toBeLessThanOrEqual(PERIOD);
  });
});
