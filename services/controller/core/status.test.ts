import { describe, expect, test } from '@jest/globals';
import { status as statusSchema, type KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { edited, EDITS, writeTime } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { activationDueAt } from './activation-clock.ts';
import { ACTIVATED, NOW, pod, resource, service, services, spec } from './fixtures.ts';
import { NEW_MEMORY, type Memory } from './memory.ts';
import { composeStatus, isWorthWriting } from './status.ts';
import { superviseNamespace, type Supervised } from './supervision.ts';

const supervisedBy = (change: object = {}, selector: Record<string, string> | undefined = ACTIVATED): Supervised =>
  superviseNamespace(
    [
      resource('cart', {
        spec: spec({ breakers: [{ name: 'errors', customService: 'judge', minPodsAvailableRatio: 50, ...change }] }),
      }),
    ],
    services(service('cart', selector)),
  ).get('cart')!;
const owned = (name: string, change: Parameters<typeof pod>[1] = {}): Pod =>
  pod(name, { ...change, labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes', ...change?.labels } });
const breakIt = (one: Pod, at = NOW - 4000): Pod =>
  edited(
    one,
    EDITS.break(one, {
      breaker: 'errors',
      at,
      retryCount: 1,
      observation: { reason: '62 % bad, tolerated 50 %', score: 1.24, observed: 62, limit: 50 },
    }),
  );
const report = (change: object = {}): Memory['breakers'][string] => ({
  report: {
    name: 'errors',
    result: 'ok',
    counts: { ok: 3, anomalous: 0, inconclusive: 0, error: 0 },
    ignored: {},
    warnings: [],
    ...change,
  },
  endedAt: NOW - 1000,
  consecutiveErrors: 0,
  broken: 0,
  withheld: [],
});
const compose = (
  supervised: Supervised,
  pods: Pod[],
  memory: Memory = NEW_MEMORY,
  previous?: KubervisorServiceStatus,
) => composeStatus({ supervised, pods, memory, templatesWithoutLabel: [], fleetTooLarge: false, previous, now: NOW });
const condition = (status: KubervisorServiceStatus, type: string) =>
  status.conditions?.find((one) => one.type === type);

describe('status answers alone', () => {
  const pods = [
    owned('a'),
    owned('b'),
    breakIt(owned('c')),
    owned('d', { ready: false }),
    owned('e', { terminating: true }),
  ];

  test('who is out, why, since when, until when', () => {
    const status = compose(supervisedBy(), pods);
    expect(status.pods).toEqual([
      {
        name: 'c',
        uid: 'uid-c',
        state: 'broken',
        breaker: 'errors',
        since: writeTime(NOW - 4000),
        retryCount: 1,
        reason: '62 % bad, tolerated 50 %',
        observed: 62,
        limit: 50,
        nextActionTime: expect.any(String),
      },
    ]);
    const wait = Date.parse(status.pods?.[0]?.nextActionTime ?? '') - (NOW - 4000);
    expect(wait).toBeGreaterThanOrEqual(10_000);
    expect(wait).toBeLessThanOrEqual(11_000);
  });
  test('what holds it, from the last activation', () => {
    const activation = {
      endedAt: NOW,
      errors: [],
      withheld: [{ pod: 'c', uid: 'uid-c', reason: 'ConcurrentActivations' as const, enforced: true }],
    };
    expect(compose(supervisedBy(), pods, { ...NEW_MEMORY, activation }).pods?.[0]?.heldBy).toBe(
      'ConcurrentActivations',
    );
  });
  test('the counts in 2018’s names, available, and the highest enforced floor (of all pods, ending ones too: B1)', () => {
    const status = compose(supervisedBy(), pods);
    expect(status.podCount).toMatchObject({ nbPodsManaged: 3, nbPodsBreaked: 1, nbPodsPaused: 0, nbPodsUnknown: 0 });
    expect(status).toMatchObject({ available: 2, floor: 3 });
    expect(condition(status, 'Degraded')).toMatchObject({ status: 'True', reason: 'UnderFloor' });
  });
  test('it fits the schema of the CRD', () => {
    for (const supervised of [supervisedBy(), supervisedBy({ customService: undefined }), supervisedBy({}, undefined)])
      expect(() => statusSchema.parse(compose(supervised, pods))).not.toThrow();
  });
  test('it fits also where a person wrote more onto a pod than the resource holds', () => {
    const one = breakIt(owned('c'));
    const pods = [{ ...one, annotations: { ...one.annotations, 'kubervisor/reason': 'x'.repeat(5000) } }];
    const status = compose(supervisedBy(), pods);
    expect(() => statusSchema.parse(status)).not.toThrow();
    expect(status.pods?.[0]?.reason).toHaveLength(1024);
  });
  test('a dry run shows who would be out, with states of its own', () => {
    const memory: Memory = {
      ...NEW_MEMORY,
      simulated: {
        'uid-a': {
          uid: 'uid-a',
          traffic: 'no',
          breaker: 'errors',
          breakAt: writeTime(NOW),
          retryCount: 1,
          reason: 'bad',
        },
      },
    };
    const status = compose(supervisedBy({ mode: 'dryRun' }), [owned('a')], memory);
    expect(status.pods).toMatchObject([{ name: 'a', state: 'wouldBeBroken', breaker: 'errors', reason: 'bad' }]);
    expect(status.podCount?.nbPodsBreaked).toBe(0);
    expect(status.floor).toBeUndefined();
  });
  test('at most 50 pods are listed, all are counted', () => {
    const status = compose(
      supervisedBy(),
      Array.from({ length: 60 }, (_, index) => breakIt(owned(`p${index}`))),
    );
    expect(status.pods).toHaveLength(50);
    expect(status.podCount?.nbPodsBreaked).toBe(60);
  });
});

describe('conditions', () => {
  test('not active: SelectorNotActivated', () => {
    expect(condition(compose(supervisedBy({}, { app: 'cart' }), []), 'Active')).toMatchObject({
      status: 'False',
      reason: 'SelectorNotActivated',
    });
  });
  test('InvalidSpec says the path', () => {
    const status = compose(supervisedBy({ customService: undefined }), []);
    expect(condition(status, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'InvalidSpec',
      message: expect.stringContaining('spec.breakers[0]'),
    });
  });
  test('panic is FleetAnomalous, an error DetectorFailing, and the panic is told first', () => {
    const memory: Memory = {
      ...NEW_MEMORY,
      breakers: {
        errors: report({
          result: 'panic',
          message: '9 of 12 bad; all of revision 7d9',
          error: { reason: 'Timeout', message: 'no answer' },
        }),
      },
    };
    const degraded = condition(compose(supervisedBy(), [owned('a'), owned('b')], memory), 'Degraded');
    expect(degraded).toMatchObject({ status: 'True', reason: 'FleetAnomalous' });
    expect(degraded?.message).toContain('all of revision 7d9');
    expect(degraded?.message).toContain('Timeout: no answer');
  });
  test('V1: what a detector dropped, and what its source warned of, is in the message of the breaker', () => {
    const warnings = ['a store did not answer', 'metric might not be a counter'];
    const memory: Memory = {
      ...NEW_MEMORY,
      breakers: { errors: report({ ignored: { notANumber: 2, notAsked: 1 }, warnings }) },
    };
    expect(compose(supervisedBy(), [owned('a')], memory).breakers?.[0]?.message).toBe(
      'ignored: 2 notANumber, 1 notAsked; warning: a store did not answer; warning: metric might not be a counter',
    );
  });
  test('RoundsMissing after two in a row', () => {
    const missing = (count: number) =>
      condition(compose(supervisedBy(), [owned('a')], { ...NEW_MEMORY, missing: count }), 'Degraded')?.reason;
    expect([missing(1), missing(2)]).toEqual(['Healthy', 'RoundsMissing']);
  });
  test('a grace shorter than the query looks back is a warning in Ready', () => {
    const supervised = supervisedBy({
      customService: undefined,
      gracePeriod: 5,
      discreteValueOutOfList: {
        prometheusService: 'prometheus',
        promQL: 'rate(x[5m])',
        key: 'code',
        podNamekey: 'pod',
        goodValues: ['200'],
      },
    });
    expect(condition(compose(supervised, []), 'Ready')?.message).toContain('GraceTooShort');
  });
  test('the transition time stays while the status stays, and moves when it turns', () => {
    const before = compose(supervisedBy(), [owned('a')]);
    const later = composeStatus({
      supervised: supervisedBy(),
      pods: [],
      memory: { ...NEW_MEMORY, missing: 9 },
      templatesWithoutLabel: [],
      fleetTooLarge: false,
      previous: before,
      now: NOW + 60_000,
    });
    expect(condition(later, 'Ready')?.lastTransitionTime).toBe(writeTime(NOW));
    expect(condition(later, 'Degraded')?.lastTransitionTime).toBe(writeTime(NOW + 60_000));
  });
});

describe('status is written only when something changed', () => {
  const supervised = supervisedBy();
  test('a time alone is no change', () => {
    const memory = (endedAt: number): Memory => ({ ...NEW_MEMORY, breakers: { errors: { ...report(), endedAt } } });
    const first = compose(supervised, [owned('a')], memory(NOW));
    const next = composeStatus({
      supervised,
      pods: [owned('a')],
      memory: memory(NOW + 5000),
      templatesWithoutLabel: [],
      fleetTooLarge: false,
      previous: first,
      now: NOW + 5000,
    });
    expect(isWorthWriting(first, next)).toBe(false);
  });
  test('a pod that leaves traffic is one', () => {
    expect(isWorthWriting(compose(supervised, [owned('a')]), compose(supervised, [breakIt(owned('a'))]))).toBe(true);
  });
  test('the first is one', () => {
    expect(isWorthWriting(undefined, compose(supervised, []))).toBe(true);
  });
  test('a new leader, which knows of no evaluation yet, leaves what stands', () => {
    const before = compose(supervised, [owned('a')], { ...NEW_MEMORY, breakers: { errors: report() } });
    expect(isWorthWriting(before, compose(supervised, [owned('a')], NEW_MEMORY, before))).toBe(false);
  });
});

describe('the clock of activations', () => {
  const due = (supervised: Supervised, pods: Pod[], memory: Memory = NEW_MEMORY, now = NOW) =>
    activationDueAt({ supervised, resolved: supervised.resolved!, pods, memory, now });

  test('nobody out: none is ever due', () => {
    expect(due(supervisedBy(), [owned('a'), owned('b')])).toBeUndefined();
  });
  test('A2: due when the first wait is over', () => {
    const at = due(supervisedBy(), [
      owned('a'),
      owned('b'),
      breakIt(owned('c'), NOW - 4000),
      breakIt(owned('d'), NOW - 1000),
    ])!;
    expect(at).toBeGreaterThanOrEqual(NOW + 6000);
    expect(at).toBeLessThanOrEqual(NOW + 7000);
  });
  test('B7: under the floor it is due now, and after an activation that could not help, a second later', () => {
    const pods = [owned('a', { ready: false }), breakIt(owned('c'))];
    expect(due(supervisedBy(), pods)).toBe(NOW);
    const activation = { endedAt: NOW - 200, errors: [], withheld: [] };
    expect(due(supervisedBy(), pods, { ...NEW_MEMORY, activation })).toBe(NOW + 800);
  });
  test('what was held is looked at again a period after the last activation, however often the clock is asked', () => {
    const held = breakIt(owned('c'), NOW - 60_000);
    const activation = {
      endedAt: NOW,
      errors: [],
      withheld: [{ pod: 'c', uid: 'uid-c', reason: 'ConcurrentActivations' as const, enforced: true }],
    };
    for (const later of [0, 3000, 9000])
      expect(due(supervisedBy(), [owned('a'), owned('b'), held], { ...NEW_MEMORY, activation }, NOW + later)).toBe(
        NOW + 10_000,
      );
  });
  test('F4: what does not enforce has no activation of real pods', () => {
    expect(due(supervisedBy({}, { app: 'cart' }), [breakIt(owned('c'))])).toBeUndefined();
  });
  test('A6: a simulated pod has its time too', () => {
    const memory: Memory = {
      ...NEW_MEMORY,
      simulated: {
        'uid-a': { uid: 'uid-a', traffic: 'no', breaker: 'errors', breakAt: writeTime(NOW), retryCount: 1 },
      },
    };
    expect(due(supervisedBy({}, { app: 'cart' }), [owned('a')], memory)).toBeGreaterThanOrEqual(NOW + 10_000);
  });
});
