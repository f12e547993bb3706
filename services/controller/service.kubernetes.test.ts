/** Two controllers as processes, on a Kubernetes API and a real nats-server; the test is the breaker. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { connectBus, type Bus, type Consumption } from '@kubervisor/runtime/nats/bus';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { decodeEvent, encodeEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { claimKey, roundSubject } from '@kubervisor/shared/events/subjects';
import { workEvaluate, type WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { marksOf } from '@kubervisor/shared/pods/codec';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { CLAIM_EXPIRY } from '@kubervisor/shared/policy/claim';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { startCountingProxy, type Asked, type CountingProxy } from '@kubervisor/testing/kubernetes/counting-proxy';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { startService, type ServiceProcess } from '@kubervisor/testing/services';

jest.setTimeout(90_000);
const log = pino({ level: 'silent' });
/** Long enough that a busy machine does not lose it by itself. */
const LEASE_SECONDS = 8;
let cluster: TestCluster;
let nats: NatsServer;
let kubernetes: Kubernetes;
let namespace: string;
let controllers: ServiceProcess[];
/** Of each controller its own, by name. */
let proxies: Record<string, CountingProxy>;
/** Whatever is published on NATS, as it comes: the subject, and which leader's it is where it is work. */
let tap: NatsConnection;
const published: { subject: string; leader: string | undefined }[] = [];
let bus: Bus;
let breaker: Consumption;

interface Played {
  work: WorkEvaluate;
  at: number;
  outcome: 'claimed' | 'refused';
  revision: number;
}
const played: Played[] = [];
let listeners: (() => void)[] = [];
/** Evaluations that are answered in due form. */
let answering = true;
let underWay = 0;
let most = 0;

beforeAll(async () => {
  [cluster, nats] = await Promise.all([startCluster({ runPods: false }), startNats()]);
  kubernetes = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, log);
  namespace = await cluster.namespace();
  proxies = {
    'controller-0': await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8')),
    'controller-1': await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8')),
  };
  tap = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  tap.subscribe('kubervisor.>', {
    callback: (_, message) => {
      const decoded = decodeEvent(workEvaluate, message.string());
      published.push({
        subject: message.subject,
        leader: decoded.ok ? decoded.event.data.round.split('-')[0] : undefined,
      });
    },
  });
  controllers = await Promise.all(
    Object.entries(proxies).map(([name, proxy]) =>
      startService('controller', name, {
        ...environment(proxy),
        LEASE_DURATION_SECONDS: String(LEASE_SECONDS),
        // One of the two has a clock of its own: nothing may rest on that (Leader).
        ...(name === 'controller-1' && { NODE_OPTIONS: TEN_MINUTES_AHEAD }),
      }),
    ),
  );
  bus = await connectBus({ url: nats.url, name: 'test' }, log);
  breaker = bus.consume('evaluate', play, { concurrency: 4 });
}, 120_000);
const environment = (proxy: CountingProxy): Record<string, string> => ({
  KUBECONFIG: proxy.kubeconfig,
  NATS_URL: nats.url,
  WATCH_NAMESPACES: namespace,
  LEASE_NAMESPACE: namespace,
});
const TEN_MINUTES_AHEAD = `--import=data:text/javascript,${encodeURIComponent(
  'const now = Date.now; const Real = Date; globalThis.Date = class extends Real { constructor(...of) { of.length === 0 ? super(Real.now() + 600000) : super(...of); } static now() { return Real.now() + 600000; } };',
)}`;
afterAll(async () => {
  await breaker?.stop();
  await bus?.close();
  await tap?.close();
  for (const controller of controllers ?? []) await controller.stop();
  for (const proxy of Object.values(proxies ?? {})) await proxy.close();
  await kubernetes?.close();
  await nats?.stop();
  await cluster?.stop();
}, 60_000);

const play: Parameters<Bus['consume']>[1] = async ({ text, ack }) => {
  const decoded = decodeEvent(workEvaluate, text);
  if (!decoded.ok) throw new Error(decoded.problem);
  const work = decoded.event.data;
  most = Math.max(most, (underWay += 1));
  const claim = await bus.claims.claim(claimKey(work.resource.uid, 'evaluate'), work.claimRevision, work.round);
  underWay -= 1;
  if (answering) {
    const fact = {
      round: work.round,
      resource: work.resource,
      claim,
      outcome: claim.outcome === 'claimed' ? ('completed' as const) : ('refused' as const),
      due: work.due,
      breakers: [],
      outcomes: [],
      judged: {},
      breaks: [],
      withheld: [],
      errors: [],
      durationMilliseconds: 1,
    };
    const stamp = { id: `${work.round}.${claim.outcome}`, source: '/kubervisor/test/breaker', time: Date.now() };
    await bus.publish(
      roundSubject('evaluate', work.resource),
      encodeEvent(evaluationCompleted, `${namespace}/cart`, fact, stamp),
    );
  }
  ack();
  played.push({ work, at: performance.now(), ...claim });
  for (const listener of listeners) listener();
};
/** The next round that is played and that fits. */
const nextRound = (fits: (one: Played) => boolean = () => true, within = 40_000): Promise<Played> =>
  new Promise((resolve, reject) => {
    const from = played.length;
    const late = setTimeout(() => reject(new Error(`no such round within ${within} ms`)), within);
    const listener = (): void => {
      const found = played.slice(from).find(fits);
      if (found === undefined) return;
      clearTimeout(late);
      listeners = listeners.filter((one) => one !== listener);
      resolve(found);
    };
    listeners.push(listener);
  });
async function until<T>(what: string, look: () => Promise<T | undefined | false>, within = 40_000): Promise<T> {
  const giveUpAt = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUpAt) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const leads = async (controller: ServiceProcess): Promise<boolean> =>
  /^kubervisor_leader_info 1$/m.test(await controller.metrics());
const leaders = async (): Promise<ServiceProcess[]> => {
  const found: ServiceProcess[] = [];
  for (const controller of controllers) if (await leads(controller).catch(() => false)) found.push(controller);
  return found;
};
const theLeader = () =>
  until('one leads', async () => {
    const [one, ...others] = await leaders();
    expect(others.map(({ name }) => name)).toEqual([]);
    return one;
  });
const leaderOf = ({ work }: Played): string => work.round.split('-')[0] ?? '';

const aPod = async (name: string, labels: Record<string, string> = {}): Promise<void> => {
  await kubernetes.api.request('POST', pathIn(PATHS.pods, namespace), {
    body: {
      metadata: { name, labels: { app: 'cart', ...labels } },
      spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'registry.example/main' }] },
    },
  });
  const lastTransitionTime = new Date(Date.now() - 600_000).toISOString().replace(/\.\d+/, '');
  await kubernetes.api.request<RawPod>('PATCH', pathIn(PATHS.pods, namespace, name, 'status'), {
    body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] } },
    contentType: 'application/strategic-merge-patch+json',
  });
};
const status = async (): Promise<KubervisorServiceStatus | undefined> =>
  (await kubernetes.getKubervisorService(namespace, 'cart'))?.status as KubervisorServiceStatus | undefined;

test('of two controllers one leads; it installs the CRD, adopts pods, writes status, and publishes rounds one after the other', async () => {
  await theLeader();
  for (const { url } of controllers) await until('ready', async () => (await fetch(`${url}/readyz`)).status === 200);
  await kubernetes.api.request('POST', pathIn('/api/v1/services', namespace), {
    body: {
      metadata: { name: 'cart' },
      spec: { selector: { app: 'cart', 'kubervisor/traffic': 'yes' }, ports: [{ port: 80 }] },
    },
  });
  await Promise.all(['a', 'b', 'c'].map((name) => aPod(name)));
  await kubernetes.api.request('POST', pathIn(PATHS.kubervisorServices, namespace), {
    body: {
      apiVersion: 'kubervisor.k8s.io/v1alpha1',
      kind: 'KubervisorService',
      metadata: { name: 'cart' },
      spec: {
        service: 'cart',
        breakers: [{ name: 'errors', customService: 'judge', evaluationPeriod: 0.5, minPodsAvailableRatio: 60 }],
      },
    },
  });
  const { work } = await nextRound(({ work: { fleet } }) => fleet.length === 3);
  // In no order that anybody may rest on.
  expect(work.fleet.map(({ name, traffic }) => `${name} ${traffic}`).sort()).toEqual(['a yes', 'b yes', 'c yes']);
  await until('status', async () => {
    const now = await status();
    return now?.available === 3 && now.floor === 2;
  });
  await nextRound();
  const rounds = played.slice(-3);
  for (const [index, round] of rounds.slice(1).entries())
    expect(round.work.claimRevision).toBe(rounds[index]!.revision);
  expect(most).toBe(1);
});

test('Leader: killed; the other goes on after the lease, and none of its rounds is refused', async () => {
  const old = await theLeader();
  const before = await nextRound();
  await old.kill();
  const first = await nextRound((one) => leaderOf(one) !== leaderOf(before));
  expect(first.outcome).toBe('claimed');
  expect(first.work.claimRevision).toBeGreaterThan(0);
  expect(first.at - played.at(-2)!.at).toBeGreaterThan((LEASE_SECONDS * 1000) / 2);
  await old.restart();
  expect(await theLeader()).not.toBe(old);
});

test('W1, W3: claimed but without a fact: the next comes 5 s later', async () => {
  answering = false;
  const silent = await nextRound();
  answering = true;
  const next = await nextRound();
  expect(next.at - silent.at).toBeGreaterThan(CLAIM_EXPIRY - 50);
  expect(next.work.claimRevision).toBe(silent.revision);
});

const isWrite = ({ method }: Asked): boolean => method !== 'GET';
const isLease = ({ url }: Asked): boolean => url.includes('/leases');

test('Leader: frozen with its hands full until another leads: thawed, it publishes nothing, writes nothing, and leads no more', async () => {
  const old = await theLeader();
  const proxy = proxies[old.name]!;
  const before = await nextRound();
  // Its writes reach the API server, and it hears of none: a pod's patch, a status, an Event with more of them behind it, a renewal.
  const answers = Promise.withResolvers<void>();
  const held: Asked[] = [];
  proxy.after = (asked) => {
    if (!isWrite(asked)) return;
    held.push(asked);
    return answers.promise;
  };
  await Promise.all(['x', 'y', 'z'].map((name) => aPod(name)));
  await until('its hands are full', async () =>
    [/\/pods\/x/, /\/leases\//].every((path) => held.some(({ url }) => path.test(url))),
  );
  old.freeze();
  const first = await nextRound((one) => leaderOf(one) !== leaderOf(before));
  // Something to do for who still believes to lead.
  await aPod('late');
  const asked = proxy.asked.length;
  const told = published.length;
  const from = played.length;
  old.thaw();
  answers.resolve();
  await until('it knows', async () => !(await leads(old)));
  for (let count = 0; count < 4; count++) await nextRound();
  proxy.after = () => {};
  expect(proxy.asked.slice(asked).filter(isWrite)).toEqual([]);
  // It looks at the lease, as a standby does.
  expect(proxy.asked.slice(asked).filter(isLease).length).toBeGreaterThan(0);
  const work = published.slice(told).filter(({ subject }) => subject.startsWith('kubervisor.work.'));
  expect(work.length).toBeGreaterThanOrEqual(4);
  expect(new Set(work.map(({ leader }) => leader))).toEqual(new Set([leaderOf(first)]));
  expect(new Set(played.slice(from).map(leaderOf))).toEqual(new Set([leaderOf(first)]));
  expect(most).toBe(1);
  for (const name of ['x', 'y', 'z', 'late'])
    await kubernetes.api.request('DELETE', pathIn(PATHS.pods, namespace, name), { body: { gracePeriodSeconds: 0 } });
});

test.each([3, 15])(
  'Leader: killed, with a lease of %i s: another leads within the lease and one second',
  async (seconds) => {
    // A namespace without a resource, so that these two disturb nobody.
    const elsewhere = await cluster.namespace();
    const way = await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8'));
    const env = { ...environment(way), WATCH_NAMESPACES: elsewhere, LEASE_NAMESPACE: elsewhere };
    const two: ServiceProcess[] = [];
    let renewedAt = 0;
    let isDead = false;
    way.after = ({ method, url }) => {
      // What comes after is the other's.
      if (!isDead && method === 'PUT' && url.includes('/leases/')) renewedAt = Date.now();
    };
    try {
      for (const name of ['killed', 'standby'])
        two.push(await startService('controller', name, { ...env, LEASE_DURATION_SECONDS: String(seconds) }));
      const [killed, standby] = two;
      await until('one leads', async () => leads(killed!));
      await until('it has renewed', async () => renewedAt > 0);
      await killed!.kill();
      isDead = true;
      const line = await until('the other leads', async () => standby!.log.find(({ msg }) => msg === 'leading'));
      const took = (Date.parse(String(line.time)) - renewedAt) / 1000;
      console.log(`fail-over with a lease of ${seconds} s: ${took.toFixed(2)} s after the last renewal`);
      expect(took).toBeGreaterThan(seconds - 0.1);
      expect(took).toBeLessThan(seconds + 1);
    } finally {
      for (const controller of two) await controller.stop();
      await way.close();
    }
  },
);

test('W7: NATS comes back empty: streams are made, nothing is published for 5 s, then rounds go on from nothing', async () => {
  const before = await nextRound();
  await nats.restart({ wipe: true });
  const back = performance.now();
  const next = await nextRound();
  expect(next.at - back).toBeGreaterThan(CLAIM_EXPIRY - 1000);
  expect(next).toMatchObject({ outcome: 'claimed', work: { claimRevision: 0 } });
  expect(leaderOf(next)).toBe(leaderOf(before));
});

test('W7: the API server is away for longer than the lease: nobody leads; when it is back one does, without a restart of anything', async () => {
  // A given cluster is nobody's to stop.
  if (cluster.outage === undefined) return;
  await nextRound();
  await cluster.outage.begin();
  await until('nobody leads', async () => (await leaders()).length === 0);
  const from = played.length;
  await cluster.outage.end();
  await theLeader();
  const next = await nextRound();
  expect(next.outcome).toBe('claimed');
  expect(played.slice(from).filter(({ outcome }) => outcome === 'refused')).toEqual([]);
  await aPod('d');
  await nextRound(({ work: { fleet } }) => fleet.some(({ name, traffic }) => name === 'd' && traffic === 'yes'));
  await kubernetes.api.request('DELETE', pathIn(PATHS.pods, namespace, 'd'), { body: { gracePeriodSeconds: 0 } });
});

test('F2: the resource is deleted: its pods are released, and its metrics end', async () => {
  const leader = await theLeader();
  expect(await leader.metrics()).toContain('kubervisor_fleet_pods{');
  await kubernetes.api.request('DELETE', pathIn(PATHS.kubervisorServices, namespace, 'cart'));
  await until('released', async () => {
    const pods = await kubernetes.listPods(namespace, 'app=cart');
    return pods.length === 3 && pods.every((pod) => marksOf(pod).name === undefined && marksOf(pod).traffic === 'yes');
  });
  await until('metrics', async () => !(await leader.metrics()).includes('kubervisor_fleet_pods{'));
});

test('Leader: stopped in due form, it gives the lease back, and the other need not wait for its end', async () => {
  const old = await theLeader();
  const stopped = performance.now();
  await old.stop();
  controllers = controllers.filter((controller) => controller !== old);
  await theLeader();
  expect(performance.now() - stopped).toBeLessThan(LEASE_SECONDS * 1000);
  const faults = [old, ...controllers].flatMap(({ log: all }) =>
    all.filter(({ level }) => level === 'fatal' || level === 'error'),
  );
  expect(faults.filter(({ msg }) => msg !== 'NATS has not what is declared')).toEqual([]);
});
