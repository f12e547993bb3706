/**
 * Clocks that are ten minutes off, of a worker or of the leader: no grace period is cut short, no floor is crossed, and nobody stays out
 * longer than by a clock that is right. What a clock may cost is that a bad pod stays in traffic for as long as the clock is off.
 */
import { afterEach, expect, test } from '@jest/globals';
import { startService, type ServiceProcess } from '@kubervisor/testing/services';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World, type WorldOptions } from './fixtures/world.ts';

const TEN_MINUTES = 600_000;
const GRACE = 4;
const WAIT = 5;
const FLOOR = 2;
const fleet = 'cart';

/** A process whose wall clock is so far ahead. */
function clockAhead(milliseconds: number): Record<string, string> {
  const code = `
    const { now } = Date;
    globalThis.Date = class extends Date {
      constructor(...given) { super(...(given.length === 0 ? [now() + ${milliseconds}] : given)); }
      static now() { return now() + ${milliseconds}; }
    };`;
  return { NODE_OPTIONS: `--enable-source-maps --import=data:text/javascript,${encodeURIComponent(code)}` };
}

let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let another: ServiceProcess | undefined;
afterEach(async () => {
  await another?.stop();
  another = undefined;
  await world.stop();
}, 60_000);

async function start(options: WorldOptions): Promise<string[]> {
  world = await startWorld(options);
  when = whenIn(world);
  then = thenIn(world);
  const given = givenIn(world);
  // Once the controller is ready the CRD is there.
  for (const process of world.of('controller')) await then.isReady(process);
  // The first rounds of a world wait for claims that may have been forgotten; pods that are older than that would be past their grace.
  await given.fleet('early', { replicas: 1 });
  await given.supervision('early');
  await given.object('/apis/kubervisor.k8s.io/v1alpha1/kubervisorservices', {
    apiVersion: 'kubervisor.k8s.io/v1alpha1',
    kind: 'KubervisorService',
    metadata: { name: fleet },
    spec: {
      service: fleet,
      breakers: [
        {
          name: 'plugin',
          evaluationPeriod: 1,
          gracePeriod: GRACE,
          minPodsAvailableCount: FLOOR,
          // Of a fleet most of which is not judged, one is all that is bad.
          panicThreshold: 100,
          customService: world.plugin.address,
          activator: { period: WAIT, jitter: 0 },
        },
      ],
    },
  });
  return given.fleet(fleet, { replicas: 4 });
}

const at = (pod: string, key: string): number => Date.parse(world.pod(pod)?.annotations[key] ?? '');
const brokenAt = (pod: string): number => at(pod, 'breaker/breakAt');
const activatedAt = (pod: string): number => at(pod, 'kubervisor/activatedAt');
/** By the clock of the API server and ours, which is right. */
const readySince = (pod: string): number => world.pod(pod)?.readySince ?? NaN;
/** A test and its own world of up to seven processes. */
const WITH_A_WORLD = 240_000;
const SECONDS = 1000;
/** Times of Kubernetes have whole seconds. */
const WHOLE_SECOND = SECONDS;
/** A round after another, on a machine that others use too. */
const SLACK = 5 * SECONDS;

test(
  'V4, A2: workers of which one is ahead and one behind, a leader that is right: all times are the right ones',
  async () => {
    const off = [clockAhead(TEN_MINUTES), clockAhead(-TEN_MINUTES), {}];
    const [bad = ''] = await start({
      counts: { breaker: 3, activator: 2 },
      env: { breaker: off, activator: off },
    });
    when.isBad(bad);
    for (let time = 1; time <= 2; time++) {
      await world.until(`it is out, ${time}`, () => then.traffic(bad) === 'no');
      const out = Date.now();
      expect(Math.abs(brokenAt(bad) - out)).toBeLessThan(SLACK);
      const since = Math.max(readySince(bad), activatedAt(bad) || 0);
      expect(out - since).toBeGreaterThanOrEqual(GRACE * SECONDS - WHOLE_SECOND);
      await world.until('it is back', () => then.traffic(bad) === 'yes', WAIT * SECONDS + SLACK);
      expect(Date.now() - out).toBeGreaterThanOrEqual((WAIT - 1) * SECONDS);
      expect(Math.abs(activatedAt(bad) - Date.now())).toBeLessThan(SLACK);
    }
    expect(world.pod(bad)?.annotations['breaker/retryCount']).toBe('2');
    then.floorHeld(fleet, FLOOR);
  },
  WITH_A_WORLD,
);

test(
  'V4, A2, A7: a leader that is ahead breaks nobody in the grace period; and what it took out comes back under one that is right',
  async () => {
    const [bad = '', worse = ''] = await start({ env: { controller: clockAhead(TEN_MINUTES) } });
    when.isBad(bad);
    await world.until('it is out', () => then.traffic(bad) === 'no');
    const out = Date.now();
    expect(out - readySince(bad)).toBeGreaterThanOrEqual(GRACE * SECONDS - WHOLE_SECOND);
    expect(brokenAt(bad) - out).toBeGreaterThan(TEN_MINUTES - SLACK);
    await world.until('it is back', () => then.traffic(bad) === 'yes', WAIT * SECONDS + SLACK);
    expect(Date.now() - out).toBeGreaterThanOrEqual((WAIT - 1) * SECONDS);
    // It came back ten minutes ahead of the breaker's clock, and so is not judged until then.
    await then.nobodyLeaves(fleet, (GRACE + 2) * SECONDS);

    when.isBad(worse);
    await world.until('another is out', () => then.traffic(worse) === 'no');
    const [ahead] = world.of('controller');
    if (ahead === undefined) throw new Error('there is no controller');
    await ahead.kill();
    const { kubeconfig } = world.cluster;
    another = await startService('controller', 'controller-right', {
      KUBECONFIG: kubeconfig,
      NATS_URL: world.nats.url,
      WATCH_NAMESPACES: world.namespace,
      LEASE_NAMESPACE: world.namespace,
      LEASE_DURATION_SECONDS: '3',
    });
    await world.until(
      'its breakAt, ten minutes ahead, counts as now',
      () => brokenAt(worse) < Date.now() + SLACK,
      30_000,
    );
    await world.until('it is back', () => then.traffic(worse) === 'yes', WAIT * SECONDS + SLACK);
    then.floorHeld(fleet, FLOOR);
  },
  WITH_A_WORLD,
);

test(
  'V4, A7: a leader that is behind judges nobody younger than it is behind; who is out comes back, who is old is broken',
  async () => {
    const [young = '', old = '', out = ''] = await start({ env: { controller: clockAhead(-TEN_MINUTES) } });
    await when.podIsPatched(out, {
      labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'plugin' },
      annotations: { 'breaker/breakAt': new Date().toISOString(), 'breaker/retryCount': '1' },
    });
    await world.until('it is seen to be out', () => then.traffic(out) === 'no');
    when.isBad(young, old);
    await world.until('it is back', () => then.traffic(out) === 'yes', 2 * WAIT * SECONDS + SLACK);
    await then.nobodyLeaves(fleet, (GRACE + 2) * SECONDS);
    await when.podBecomesReady(old, true, Date.now() - 2 * TEN_MINUTES);
    await world.until('it is out', () => then.traffic(old) === 'no');
    expect(then.traffic(young)).toBe('yes');
    await world.until('it is back', () => then.traffic(old) === 'yes', WAIT * SECONDS + SLACK);
    then.floorHeld(fleet, FLOOR);
  },
  WITH_A_WORLD,
);
