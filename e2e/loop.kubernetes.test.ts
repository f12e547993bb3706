/** The main job, end to end: two controllers, three breakers, two activators and two detectors as processes, side by side. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2, breaker: 3, activator: 2, detector: 2 } });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

const first = <T>(list: readonly T[]): T => {
  const [item] = list;
  if (item === undefined) throw new Error('the list is empty');
  return item;
};

describe('one pod of a fleet goes bad', () => {
  const fleet = 'cart';
  let bad: string;

  test('Given five pods in traffic and a resource, then they are adopted and the status is Ready, Active and Healthy (F1)', async () => {
    const pods = await given.fleet(fleet, { replicas: 5 });
    await given.supervision(fleet, { minPodsAvailableRatio: 60, activator: { period: 4, jitter: 0 } });
    bad = first(pods);
    await then.isInTraffic(fleet, ...pods);
    await world.until('all are adopted', () =>
      pods.every((name) => world.pod(name)?.labels['kubervisor/name'] === fleet),
    );
    await then.statusSays(fleet, 'Ready', 'Reconciled');
    await then.statusSays(fleet, 'Active', 'SelectorActivated');
    await then.statusSays(fleet, 'Degraded', 'Healthy');
    await then.statusMatches(fleet, { available: 5, floor: 3 });
  });

  test('When the plug-in names one, then it leaves the EndpointSlice, and kubectl get -o yaml alone says who is out, why and until when', async () => {
    when.isBad(bad);
    await then.leavesTraffic(fleet, bad);
    await world.until('status shows it', () => world.status(fleet)?.pods?.length === 1);
    const status = world.status(fleet);
    expect(status).toMatchObject({ available: 4, podCount: { nbPodsBreaked: 1 } });
    expect(status?.pods?.[0]).toMatchObject({
      name: bad,
      state: 'broken',
      breaker: 'plugin',
      retryCount: 1,
      reason: expect.any(String),
    });
    const { since = '', nextActionTime = '' } = status?.pods?.[0] ?? {};
    expect(Date.parse(nextActionTime) - Date.parse(since)).toBe(4000);
    expect(world.pod(bad)?.annotations['controller.kubernetes.io/pod-deletion-cost']).toBe('-1000');
  });

  test('When it is healed, then it comes back after its wait and is left alone (A2)', async () => {
    const { since = '' } = world.status(fleet)?.pods?.[0] ?? {};
    when.allIsWell();
    await then.isInTraffic(fleet, bad);
    const { activatedAt } = { activatedAt: world.pod(bad)?.annotations['kubervisor/activatedAt'] ?? '' };
    expect(Date.parse(activatedAt) - Date.parse(since)).toBeGreaterThanOrEqual(4000);
    expect(world.pod(bad)?.labels['kubervisor/strategy']).toBeUndefined();
    expect(world.pod(bad)?.annotations['controller.kubernetes.io/pod-deletion-cost']).toBeUndefined();
    await then.nobodyLeaves(fleet, 3000);
  });

  test('Then Events tell of the break and of the return, on the resource and on the pod', async () => {
    for (const reason of ['PodBroken', 'PodActivated']) await then.eventsTell(bad, reason, 'KubervisorService', 'Pod');
  });

  test('Then the metrics tell it too', async () => {
    const texts = await Promise.all(world.of('breaker').map((process) => process.metrics()));
    const breaks = texts.join('\n').match(/^kubervisor_breaks_total\{[^}]*\} \d+$/gm) ?? [];
    expect(
      breaks.map((line) => Number(line.split(' ')[1])).reduce((sum, value) => sum + value, 0),
    ).toBeGreaterThanOrEqual(1);
  });
});

describe('the floor and panic', () => {
  test('B2, B6: Given a floor of 60 % and no panic, when four of five are bad, then two leave and the others are withheld', async () => {
    const fleet = 'floor';
    const pods = await given.fleet(fleet, { replicas: 5 });
    await given.supervision(fleet, { minPodsAvailableRatio: 60, panicThreshold: 100, activator: { period: 60 } });
    when.isBad(...pods.slice(0, 4));
    await world.until('two are out', () => then.out(fleet).length === 2);
    await world.until(
      'the rest is withheld',
      () => world.status(fleet)?.breakers?.[0]?.message?.includes('2 withheld: FloorReached') === true,
    );
    await world.always('the floor holds', () => then.out(fleet).length === 2, 3000);
    then.floorHeld(fleet, 3);
    when.allIsWell();
  });

  test('P: when most of a fleet is bad at once, then nobody is touched and the status says FleetAnomalous', async () => {
    const fleet = 'panic';
    const pods = await given.fleet(fleet, { replicas: 5 });
    await given.supervision(fleet, { minPodsAvailableCount: 0 });
    when.isBad(...pods.slice(0, 3));
    await then.statusSays(fleet, 'Degraded', 'FleetAnomalous');
    await then.nobodyLeaves(fleet, 3000);
    expect(then.condition(fleet, 'Degraded')?.message).toMatch(/3 of 5/);
    when.allIsWell();
    await then.statusSays(fleet, 'Degraded', 'Healthy');
  });
});

describe('what becomes of a pod that is bad again and again', () => {
  test('A4, A5: retryAndKill evicts it, and its ReplicaSet makes another', async () => {
    const fleet = 'killed';
    const pods = await given.fleet(fleet, { replicas: 4 });
    const bad = first(pods);
    const { uid } = world.pod(bad) ?? {};
    await given.supervision(fleet, { activator: { mode: 'retryAndKill', period: 1, maxRetryCount: 1, jitter: 0 } });
    when.isBad(bad);
    await world.until('it is gone', () => world.pod(bad)?.uid !== uid, 40_000);
    await world.until(
      'another took its place',
      () => world.pods().filter((pod) => pod.labels['app'] === fleet && pod.ready && !pod.terminating).length === 4,
    );
    await then.eventsTell(bad, 'PodKilled', 'KubervisorService');
    when.allIsWell();
  }, 60_000);

  test('A4: retryAndPause sets it aside, until a person brings it back', async () => {
    const fleet = 'paused';
    const pods = await given.fleet(fleet, { replicas: 4 });
    const bad = first(pods);
    await given.supervision(fleet, { activator: { mode: 'retryAndPause', period: 1, maxRetryCount: 0, jitter: 0 } });
    when.isBad(bad);
    await world.until('it is paused', () => then.traffic(bad) === 'pause');
    await world.until('status says so', () => world.status(fleet)?.pods?.[0]?.state === 'paused');
    expect(world.status(fleet)?.pods?.[0]).toMatchObject({ name: bad, heldBy: 'Paused' });
    when.allIsWell();
    await world.always('it stays', () => then.traffic(bad) === 'pause', 3000);
    await when.podIsPatched(bad, { labels: { 'kubervisor/traffic': 'yes', 'kubervisor/strategy': null } });
    await then.isInTraffic(fleet, bad);
  });
});

describe('what does not enforce holds nobody out', () => {
  test('A6: a dry run says who would be out and touches nobody', async () => {
    const fleet = 'dry';
    const pods = await given.fleet(fleet, { replicas: 4 });
    await given.supervision(fleet, { activator: { period: 3, jitter: 0 } }, { mode: 'dryRun' });
    when.isBad(first(pods));
    await world.until('status shows it', () => world.status(fleet)?.pods?.[0]?.state === 'wouldBeBroken');
    await then.nobodyLeaves(fleet, 2000);
    expect(then.traffic(first(pods))).toBe('yes');
    when.allIsWell();
    await world.until('its simulated return is told', () => (world.status(fleet)?.pods ?? []).length === 0);
  });

  test('a Service whose selector lacks our key: not active, and nobody is touched', async () => {
    const fleet = 'inactive';
    const pods = await given.fleet(fleet, { replicas: 3, activated: false, labelled: false });
    await given.supervision(fleet);
    await then.statusSays(fleet, 'Active', 'SelectorNotActivated');
    await world.until('they are adopted all the same', () => pods.every((name) => then.traffic(name) === 'yes'));
    when.isBad(first(pods));
    await world.until('status shows who would be out', () => world.status(fleet)?.pods?.[0]?.state === 'wouldBeBroken');
    expect(then.out(fleet)).toEqual([]);
    when.allIsWell();
  });

  test.each([
    ['the mode is set to dryRun', (fleet: string) => when.resourceIsPatched(fleet, { mode: 'dryRun' })],
    ['the mode is set to disabled', (fleet: string) => when.resourceIsPatched(fleet, { mode: 'disabled' })],
    [
      'the selector loses our key',
      (fleet: string) => when.serviceIsPatched(fleet, { selector: { 'kubervisor/traffic': null } }),
    ],
  ])('F4: when %s, its pods that are out come back at once', async (what, change) => {
    const fleet = `f4-${what.replaceAll(/[^a-z]+/gi, '-').toLowerCase()}`.slice(0, 40);
    const pods = await given.fleet(fleet, { replicas: 3 });
    await given.supervision(fleet, { activator: { period: 600 } });
    when.isBad(first(pods));
    await then.leavesTraffic(fleet, first(pods));
    when.allIsWell();
    await change(fleet);
    await world.until('it is back', () => then.traffic(first(pods)) === 'yes');
  });

  test('F2: when the resource is deleted, its pods come back and lose our marks', async () => {
    const fleet = 'deleted';
    const pods = await given.fleet(fleet, { replicas: 3 });
    await given.supervision(fleet, { activator: { period: 600 } });
    when.isBad(first(pods));
    await then.leavesTraffic(fleet, first(pods));
    await when.resourceIsDeleted(fleet);
    await then.isInTraffic(fleet, first(pods));
    await world.until('no mark is left', () =>
      pods.every((name) => {
        const { labels = {}, annotations = {} } = world.pod(name) ?? {};
        return (
          labels['kubervisor/name'] === undefined &&
          Object.keys(annotations).every((key) => !/kubervisor|breaker|deletion-cost/.test(key))
        );
      }),
    );
    when.allIsWell();
  });

  test('F2: when the Service is deleted, its pods are released and the status says ServiceNotFound', async () => {
    const fleet = 'serviceless';
    const pods = await given.fleet(fleet, { replicas: 3 });
    await given.supervision(fleet, { activator: { period: 600 } });
    when.isBad(first(pods));
    await then.leavesTraffic(fleet, first(pods));
    await when.serviceIsDeleted(fleet);
    await world.until('it is released', () => then.traffic(first(pods)) === 'yes');
    await then.statusSays(fleet, 'Ready', 'ServiceNotFound');
    when.allIsWell();
  });

  test('F5: of two resources on one Service the younger says Conflict', async () => {
    const fleet = 'rivals';
    await given.fleet(fleet, { replicas: 2 });
    await given.supervision(fleet);
    await given.object('/apis/kubervisor.k8s.io/v1alpha1/kubervisorservices', {
      apiVersion: 'kubervisor.k8s.io/v1alpha1',
      kind: 'KubervisorService',
      metadata: { name: 'a-rival', namespace: world.namespace },
      spec: { service: fleet, breakers: [{ name: 'plugin', customService: world.plugin.address }] },
    });
    // Times of creation have whole seconds: of two of one second the smaller uid has it.
    const reasons = () => ['a-rival', fleet].map((name) => then.condition(name, 'Ready')?.reason);
    await world.until(
      'one has it, the other says Conflict',
      () => reasons().toSorted().join() === 'Conflict,Reconciled',
    );
    const [younger] = world
      .resources()
      .filter(({ name }) => ['a-rival', fleet].includes(name))
      .toSorted((one, other) => other.createdAt - one.createdAt || (one.uid < other.uid ? 1 : -1));
    expect(then.condition(younger?.name ?? '', 'Ready')?.reason).toBe('Conflict');
  });
});
