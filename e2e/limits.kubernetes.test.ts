/**
 * What happens at the limits (docs/limits.md): the smallest fleets, fifty breakers, the longest names, marks that somebody damaged. Each
 * has an outcome that is known beforehand, and none costs a pod its traffic for good.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PATHS } from '@kubervisor/runtime/kubernetes/resources';
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { given as givenIn } from './fixtures/given.ts';
import { startPlugin, type Plugin } from './fixtures/plugin.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;

beforeAll(async () => {
  world = await startWorld({ namespaceLength: 63 });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

type Breaker = Partial<KubervisorServiceSpecInput['breakers'][number]>;
const numbersIn = (text: string): string[] =>
  [...text.matchAll(/^kubervisor_\S+ (\S+)$/gm)].map(([, value = '']) => value);

describe('fleets of one, two and three', () => {
  const NO_PANIC = { panicThreshold: 100 };
  /** So many of the fleet are bad; so many are taken out, and that is what status says of the rest. */
  const FLEETS: [fleet: string, replicas: number, bad: number, breaker: Breaker, out: number, says: RegExp][] = [
    ['one', 1, 1, {}, 0, /1 of 1 bad, more than 50 %/],
    ['one-floor', 1, 1, NO_PANIC, 0, /1 withheld: FloorReached/],
    [
      'one-half',
      1,
      1,
      { ...NO_PANIC, minPodsAvailableCount: 0, minPodsAvailableRatio: 50 },
      0,
      /1 withheld: FloorReached/,
    ],
    ['one-no-floor', 1, 1, { ...NO_PANIC, minPodsAvailableCount: 0 }, 1, /^ignored|^no pod to judge|^$/],
    ['two', 2, 1, {}, 1, /^ignored|^$/],
    ['two-panic', 2, 2, {}, 0, /2 of 2 bad, more than 50 %/],
    ['two-floor', 2, 2, NO_PANIC, 1, /1 withheld: FloorReached/],
    ['three-half', 3, 3, { ...NO_PANIC, minPodsAvailableRatio: 50 }, 1, /2 withheld: FloorReached/],
    ['three-67', 3, 1, { minPodsAvailableRatio: 67 }, 0, /1 withheld: FloorReached/],
    ['three-all', 3, 1, { minPodsAvailableRatio: 100 }, 0, /1 withheld: FloorReached/],
    ['three-above', 3, 1, { minPodsAvailableCount: 5 }, 0, /1 withheld: FloorReached/],
  ];
  const floors: Record<string, number> = {
    'one-no-floor': 0,
    'three-half': 2,
    'three-67': 3,
    'three-all': 3,
    'three-above': 5,
  };
  const floorOf = (fleet: string): number => floors[fleet] ?? 1;

  beforeAll(async () => {
    const bad: string[] = [];
    for (const [fleet, replicas, count, breaker] of FLEETS) {
      const pods = await given.fleet(fleet, { replicas });
      await given.supervision(fleet, { ...breaker, activator: { period: 600 } });
      bad.push(...pods.slice(0, count));
    }
    when.isBad(...bad);
  }, 120_000);

  test.each(FLEETS)('B1, B2, P: %s: of %i pods %i are bad', async (fleet, replicas, _bad, _breaker, out, says) => {
    await world.until(`${out} of ${fleet} are out`, () => then.out(fleet).length === out);
    await world.until(`status says ${says}`, () => says.test(world.status(fleet)?.breakers?.[0]?.message ?? ''));
    // The fact of a round may be in before the watch has told of its breaks.
    const available = replicas - out;
    await then.statusMatches(fleet, { available, floor: floorOf(fleet) });
    then.floorHeld(fleet, floorOf(fleet));
  });

  test('B2: and so it stays', async () => {
    await world.always(
      'nobody more leaves',
      () => FLEETS.every(([fleet, , , , out]) => then.out(fleet).length === out),
      3000,
    );
  });

  test('B1: a floor above the fleet is shown', async () => {
    await then.statusSays('three-above', 'Degraded', 'UnderFloor');
    expect(then.condition('three-above', 'Degraded')?.message).toContain('3 pods are available, the floor is 5');
  });
});

describe('a fleet of nobody', () => {
  const supervision = (name: string): Promise<void> => given.supervision(name, { activator: { period: 2, jitter: 0 } });

  test('F1: a selector that matches nobody, and a workload of no pods: Ready, nobody judged, under the floor', async () => {
    await given.object('/api/v1/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'nobody' },
      spec: { selector: { app: 'not-there', 'kubervisor/traffic': 'yes' }, ports: [{ port: 80 }] },
    });
    await given.fleet('none', { replicas: 0 });
    for (const name of ['nobody', 'none']) {
      await supervision(name);
      await then.statusSays(name, 'Ready', 'Reconciled');
      await then.statusSays(name, 'Degraded', 'UnderFloor');
      await then.statusMatches(name, { available: 0, floor: 1, breakers: [{ result: 'inconclusive' }] });
    }
  });

  test('F1, A2: scaled to no pods with one of them out, and back: the new ones are adopted and judged', async () => {
    const [bad = ''] = await given.fleet('scaled', { replicas: 2 });
    await supervision('scaled');
    when.isBad(bad);
    await then.leavesTraffic('scaled', bad);
    await when.isScaled('scaled', 0);
    await world.until('nobody is left', () => world.pods().every(({ labels }) => labels['app'] !== 'scaled'));
    await world.until('status says so', () => world.status('scaled')?.available === 0);
    await then.statusMatches('scaled', { podCount: { nbPodsManaged: 0, nbPodsBreaked: 0 }, pods: [] });

    await when.isScaled('scaled', 2);
    const here = () => world.pods().filter(({ labels, ready }) => labels['app'] === 'scaled' && ready);
    await world.until('two are back', () => here().length === 2);
    const [worse = ''] = here().map(({ name }) => name);
    await then.statusSays('scaled', 'Degraded', 'Healthy');
    when.isBad(worse);
    await then.leavesTraffic('scaled', worse);
    when.allIsWell();
    await then.isInTraffic('scaled', worse);
  });

  test('no metric of any service is anything but a number', async () => {
    const texts = await Promise.all(world.processes.map((process) => process.metrics()));
    const numbers = texts.flatMap(numbersIn);
    expect(numbers.length).toBeGreaterThan(100);
    expect(numbers.filter((value) => !Number.isFinite(Number(value)))).toEqual([]);
  });
});

describe('fifty breakers on one resource', () => {
  const service = 'many';
  const BREAKERS = 50;
  /** As long as a label value may be, dots among it. */
  const breakerName = (index: number): string => `${'strategy.'.repeat(6)}number-${String(index).padStart(2, '0')}`;
  let pods: string[];
  let slow: Plugin;

  const breakers = (count: number, more: (index: number) => Breaker = () => ({})) =>
    Array.from({ length: count }, (_, index) => ({
      name: breakerName(index),
      evaluationPeriod: 1,
      gracePeriod: 0,
      customService: world.plugin.address,
      activator: { period: 3, jitter: 0 },
      ...more(index),
    }));

  beforeAll(async () => {
    slow = await startPlugin(world.namespace);
    when.allIsWell();
    pods = await given.fleet(service, { replicas: 4 });
  }, 60_000);
  afterAll(() => slow.close());

  test('the API server takes sixty-four, and refuses one more', async () => {
    const resource = (name: string, count: number) => ({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name },
      spec: { service: 'not-there', breakers: breakers(count) },
    });
    await given.object(PATHS.kubervisorServices, resource('sixty-four', 64));
    await expect(given.object(PATHS.kubervisorServices, resource('sixty-five', 65))).rejects.toThrow(/breakers/);
    await then.statusSays('sixty-four', 'Ready', 'ServiceNotFound');
  });

  test('W1, B3: all due at once: one round, and a pod that fifty name is taken out once', async () => {
    const [bad = ''] = pods;
    // Before anybody asks: were it said in the middle of a round, those asked before would name nobody.
    when.isBad(bad);
    await given.supervision(service, {}, { breakers: breakers(BREAKERS) });
    await then.leavesTraffic(service, bad);
    const told = () =>
      world.rounds.find(
        ({ kind, fact }) => kind === 'evaluate' && fact.resource.name === service && fact.breaks.length > 0,
      );
    await world.until('the round is told', () => told() !== undefined);
    expect(told()?.fact).toMatchObject({ breaks: [{ pod: bad, breaker: breakerName(0) }], due: { length: BREAKERS } });
    expect(breakerName(0)).toHaveLength(63);
    expect(world.pod(bad)?.labels['kubervisor/strategy']).toBe(breakerName(0));
    await world.until('status shows all of them, and who is out', () => world.status(service)?.pods?.[0]?.name === bad);
    await then.statusMatches(service, { breakers: { length: BREAKERS }, available: 3 });
    when.allIsWell();
    await then.isInTraffic(service, bad);
  });

  test('W1: one slow detector of fifty delays the others by its time-out, no longer, and is shown', async () => {
    slow.fail([], () => () => undefined);
    await when.resourceIsPatched(service, {
      breakers: breakers(BREAKERS, (index) => (index === 7 ? { customService: slow.address } : {})),
    });
    await world.until('it is shown', () => then.condition(service, 'Degraded')?.message?.includes('Timeout') === true);
    const from = world.rounds.length;
    const [, bad = ''] = pods;
    when.isBad(bad);
    await then.leavesTraffic(service, bad);
    const told = () =>
      world.rounds
        .slice(from)
        .flatMap(({ kind, fact }) => (kind === 'evaluate' && fact.resource.name === service ? [fact] : []));
    // The label is there before the fact of its round.
    await world.until('the round is told', () => told().some(({ breaks }) => breaks.some(({ pod }) => pod === bad)));
    const durations = told().map(({ durationMilliseconds }) => durationMilliseconds);
    // The detector service is given 0.2 s less than the time-out of 1 s.
    expect(Math.max(...durations)).toBeGreaterThanOrEqual(750);
    // The time-out, the claim, the list and the patch; the rest is for a machine that others use too.
    expect(Math.max(...durations)).toBeLessThan(2500);
    expect(world.status(service)?.breakers?.filter(({ result }) => result === 'error')).toHaveLength(1);
    when.allIsWell();
    await when.resourceIsPatched(service, { breakers: breakers(BREAKERS) });
    await then.isInTraffic(service, bad);
    await then.statusSays(service, 'Degraded', 'Healthy');
  });
});

describe('marks that somebody damaged', () => {
  const fleet = 'damaged';
  const OUT = { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'plugin' };
  const now = (): string => new Date().toISOString();
  const EVIL = ` (${'score='.repeat(30_000)}`;
  /** Of a pod that is out: labels, annotations. Each comes back. */
  const DAMAGED: [
    what: string,
    labels: Record<string, string | null>,
    annotations: () => Record<string, string | null>,
  ][] = [
    ['retryCount MCCIV', OUT, () => ({ 'breaker/breakAt': now(), 'breaker/retryCount': 'MCCIV' })],
    ['retryCount -1', OUT, () => ({ 'breaker/breakAt': now(), 'breaker/retryCount': '-1' })],
    ['retryCount 1e99', OUT, () => ({ 'breaker/breakAt': now(), 'breaker/retryCount': '1e99' })],
    ['no breakAt', OUT, () => ({ 'breaker/breakAt': null })],
    ['an empty breakAt', OUT, () => ({ 'breaker/breakAt': '' })],
    ['a breakAt of words', OUT, () => ({ 'breaker/breakAt': 'yesterday' })],
    ['a breakAt in 2099', OUT, () => ({ 'breaker/breakAt': '2099-01-01T00:00:00Z' })],
    ['a breakAt of the year 10000', OUT, () => ({ 'breaker/breakAt': '9999-12-31T23:59:59-23:59' })],
    ['a breakAt of another time zone', OUT, () => ({ 'breaker/breakAt': now().replace('Z', '+00:00') })],
    ['a reason of 180 kB that no one can read', OUT, () => ({ 'breaker/breakAt': now(), 'kubervisor/reason': EVIL })],
    ['a strategy that there is not', { ...OUT, 'kubervisor/strategy': 'nobody' }, () => ({ 'breaker/breakAt': now() })],
    ['an empty strategy', { ...OUT, 'kubervisor/strategy': '' }, () => ({ 'breaker/breakAt': now() })],
    ['the name of a resource that there is not', { ...OUT, 'kubervisor/name': 'nobody' }, () => ({})],
    ['an empty name', { ...OUT, 'kubervisor/name': '' }, () => ({})],
    ['traffic maybe', { 'kubervisor/traffic': 'maybe' }, () => ({})],
    ['traffic true, as an unquoted yes', { 'kubervisor/traffic': 'true' }, () => ({})],
    ['an activatedAt of the year 10000', {}, () => ({ 'kubervisor/activatedAt': '9999-12-31T23:59:59-23:59' })],
    ['an activatedAt in 2099', {}, () => ({ 'kubervisor/activatedAt': '2099-01-01T00:00:00Z' })],
    ['exempt, in other words', {}, () => ({ 'kubervisor/exempt': 'Yes' })],
  ];
  let pods: string[];
  const podOf = (what: string): string => pods[DAMAGED.findIndex(([one]) => one === what)] ?? '';

  beforeAll(async () => {
    pods = await given.fleet(fleet, { replicas: DAMAGED.length + 3 });
    await given.supervision(
      fleet,
      { activator: { period: 2, jitter: 0 } },
      { defaultActivator: { period: 2, jitter: 0 } },
    );
    await world.until('all are adopted', () =>
      pods.every((name) => world.pod(name)?.labels['kubervisor/name'] === fleet),
    );
    await Promise.all(
      DAMAGED.map(([what, labels, annotations]) =>
        when.podIsPatched(podOf(what), { labels, annotations: annotations() }),
      ),
    );
  }, 60_000);

  test.each(DAMAGED)('A7: %s: it is back in traffic, ours, and was not killed', async (what) => {
    const name = podOf(what);
    await then.isInTraffic(fleet, name);
    await world.until('ours', () => world.pod(name)?.labels['kubervisor/name'] === fleet);
    expect(world.changes.filter(({ before, after }) => before?.name === name && after === undefined)).toEqual([]);
  });

  test('status was written all the while', async () => {
    await then.statusSays(fleet, 'Degraded', 'Healthy');
    await world.until('nobody is out', () => world.status(fleet)?.podCount?.nbPodsBreaked === 0);
    await then.statusMatches(fleet, { available: pods.length, podCount: { nbPodsUnknown: 0 } });
  });

  test('A7, V4: they are judged like the others, but for the one that is protected', async () => {
    const judged = ['retryCount MCCIV', 'an activatedAt in 2099', 'an activatedAt of the year 10000'].map(podOf);
    const exempt = podOf('exempt, in other words');
    when.isBad(...judged, exempt);
    await then.leavesTraffic(fleet, ...judged);
    expect(world.pod(podOf('retryCount MCCIV'))?.annotations['breaker/retryCount']).toBe('1');
    expect(then.traffic(exempt)).toBe('yes');
    when.allIsWell();
    await then.isInTraffic(fleet, ...judged);
  });
});

describe('names of the longest legal length', () => {
  const longest = (length: number, part: string): string => part.repeat(length).slice(0, length - 1) + 'z';
  const service = longest(63, 'service-');
  const resource = longest(63, 'resource.with.dots.');
  const breaker = longest(63, 'Breaker_with.dots-');
  /** Cut for the name of its Events where a dot stands. */
  const pod = `${longest(229, 'pod.with.dots-')}.${longest(23, 'x')}`;

  test('F1, W3, A2: are adopted, judged, broken, shown, told and brought back like any other', async () => {
    expect([service, resource, breaker, pod, world.namespace].map(({ length }) => length)).toEqual([
      63, 63, 63, 253, 63,
    ]);
    const labels = {
      app: longest(63, 'app.'),
      'kubervisor/traffic': 'yes',
      'pod-template-hash': longest(63, 'revision.'),
    };
    await given.object('/api/v1/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: service },
      spec: { selector: { app: labels.app, 'kubervisor/traffic': 'yes' }, ports: [{ port: 80 }] },
    });
    for (const name of [pod, 'short-1', 'short-2', 'short-3'])
      await given.object(PATHS.pods, {
        metadata: { name, labels },
        spec: { containers: [{ name: 'app', image: 'app' }], terminationGracePeriodSeconds: 0 },
      });
    await world.until('all are Ready', () => world.endpoints(service).length === 4, 60_000);
    await given.object(PATHS.kubervisorServices, {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name: resource },
      spec: {
        service,
        breakers: [
          {
            name: breaker,
            evaluationPeriod: 1,
            gracePeriod: 0,
            customService: world.plugin.address,
            activator: { period: 2, jitter: 0 },
          },
        ],
      },
    });
    await world.until('adopted', () => world.pod(pod)?.labels['kubervisor/name'] === resource);
    when.isBad(pod);
    await then.leavesTraffic(service, pod);
    await world.until('status shows it', () => world.status(resource)?.pods?.[0]?.name === pod);
    expect(world.status(resource)?.pods?.[0]).toMatchObject({ name: pod, breaker, state: 'broken' });
    when.allIsWell();
    await then.isInTraffic(service, pod);
    for (const reason of ['PodBroken', 'PodActivated']) await then.eventsTell(pod, reason, 'Pod');
    await then.eventsTell(pod, 'PodBroken', 'KubervisorService');
  });
});
