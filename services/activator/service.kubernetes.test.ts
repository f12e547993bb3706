/** Rounds on a Kubernetes API and a real nats-server. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { concurrently } from '@kubervisor/runtime/worker/concurrently';
import type { ActivatorSpec } from '@kubervisor/shared/crd/kubervisor-service';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import { marksOf, readPod } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { CLAIM_EXPIRY } from '@kubervisor/shared/policy/claim';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { startService } from '@kubervisor/testing/services';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { log, startLeader, startLiveActivator, type Leader } from './live.fixture.ts';
import type { ActivatorPorts } from './service.ts';
import { aWork, told } from './shell/cluster.fixture.ts';

let cluster: TestCluster;
let nats: NatsServer;
let leader: Leader;
let kubernetes: Kubernetes;
beforeAll(async () => {
  [cluster, nats] = await Promise.all([startCluster(), startNats()]);
  kubernetes = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, log);
  leader = await startLeader(nats);
}, 120_000);
afterAll(async () => {
  await leader?.stop();
  await kubernetes?.close();
  await nats?.stop();
  await cluster?.stop();
}, 60_000);

const kill = { mode: 'retryAndKill', maxRetryCount: 3, period: 1 } as const;

/** A Service of its own, in a namespace of its own. */
async function aService() {
  const namespace = await cluster.namespace();
  const node = await cluster.installNode();
  const owner = await kubernetes.api.request<{ metadata: { uid: string } }>(
    'POST',
    pathIn('/api/v1/configmaps', namespace),
    { body: { metadata: { name: 'owner' } } },
  );
  // Garbage collection ends pods of owners that do not exist; a ConfigMap is an owner that makes no pods of its own.
  const ownerReferences = [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid, controller: true },
  ];
  const uid = randomUUID();
  let round = 0;
  let claimRevision = 0;

  async function ready(name: string): Promise<Pod> {
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const raw = await kubernetes.api.request<RawPod>('PATCH', pathIn(PATHS.pods, namespace, name, 'status'), {
      body: { status },
      contentType: 'application/strategic-merge-patch+json',
    });
    return readPod(raw);
  }

  return {
    namespace,
    uid,
    async pod(
      name: string,
      marks: { traffic?: string; brokenFor?: number; retryCount?: number; owned?: boolean; finalizers?: string[] } = {},
    ): Promise<Pod> {
      const { traffic = 'yes', brokenFor, retryCount = 1, owned = true, finalizers = [] } = marks;
      const metadata = {
        name,
        finalizers,
        labels: {
          app: 'cart',
          [LABEL.name]: 'cart',
          [LABEL.traffic]: traffic,
          ...(traffic === 'no' && { [LABEL.strategy]: 'slow' }),
        },
        ...(brokenFor !== undefined && {
          annotations: {
            [ANNOTATION.breakAt]: new Date(Date.now() - 1000 * brokenFor).toISOString(),
            [ANNOTATION.retryCount]: String(retryCount),
          },
        }),
        ...(owned && { ownerReferences }),
      };
      const spec = {
        nodeName: node,
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'registry.example/main' }],
      };
      await kubernetes.api.request('POST', pathIn(PATHS.pods, namespace), { body: { metadata, spec } });
      return ready(name);
    },
    found: (name: string) => kubernetes.getPod(namespace, name),
    traffic: async () =>
      Object.fromEntries(
        (await kubernetes.listPods(namespace, 'app=cart')).map((pod) => [
          pod.name,
          pod.terminating ? 'ending' : marksOf(pod).traffic,
        ]),
      ),
    work(activator: Partial<ActivatorSpec> = {}, over: Partial<WorkActivate> = {}): WorkActivate {
      const resource = { namespace, name: 'cart', uid, generation: 1 };
      return aWork(activator, { over: { round: `${uid}-${++round}`, resource, claimRevision, ...over } });
    },
    /** Publishes the work, as the leader would after the last fact, and answers how it ended. */
    async play(work: WorkActivate) {
      await leader.publish(work);
      const fact = await leader.fact(work.round);
      claimRevision = fact.claim.revision;
      return fact;
    },
  };
}
type Service = Awaited<ReturnType<typeof aService>>;

async function withActivator<T>(use: () => Promise<T>, over: Partial<ActivatorPorts['kubernetes']> = {}): Promise<T> {
  const activator = await startLiveActivator(nats, { ...kubernetes, ...over }, 'one');
  try {
    return await use();
  } finally {
    await activator.stop();
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 15_000; !(await condition()); await sleep(20))
    if (performance.now() > end) throw new Error('it did not become so');
}

test('A2, A4, A7: one round brings back, sets aside and stamps; the marks stand on the pods', async () => {
  const service = await aService();
  await Promise.all([
    service.pod('healthy'),
    service.pod('due', { traffic: 'no', brokenFor: 60 }),
    service.pod('early', { traffic: 'no', brokenFor: 0 }),
    service.pod('spent', { traffic: 'no', brokenFor: 60, retryCount: 4 }),
    service.pod('unreadable', { traffic: 'no' }),
  ]);
  await withActivator(async () => {
    const fact = await service.play(service.work({ mode: 'retryAndPause', maxRetryCount: 3, period: 10 }));
    expect(told(fact)).toEqual([
      'activated due WaitOver',
      'paused spent RetriesExhausted',
      'stamped unreadable UnreadableBreakAt',
      'withheld early WaitNotOver',
    ]);
  });
  expect(await service.traffic()).toEqual({
    healthy: 'yes',
    due: 'yes',
    early: 'no',
    spent: 'pause',
    unreadable: 'no',
  });
  const due = await service.found('due');
  expect(due && marksOf(due)).toMatchObject({ retryCount: 1, activatedAt: expect.any(Number) });
  expect(due?.annotations[ANNOTATION.breakAt]).toBeUndefined();
  expect(due?.labels[LABEL.strategy]).toBeUndefined();
  expect((await service.found('unreadable'))?.annotations[ANNOTATION.breakAt]).toBeDefined();
});

describe('A5: a kill', () => {
  const setUp = async (...pods: Parameters<Service['pod']>[1][]) => {
    const service = await aService();
    await service.pod('healthy');
    await Promise.all(
      pods.map((marks, index) =>
        service.pod(`spent-${index}`, { traffic: 'no', brokenFor: 60, retryCount: 9 - index, ...marks }),
      ),
    );
    return service;
  };

  test.each(['evict', 'delete'] as const)(
    'killPolicy %s: one at a time; the next when that pod is gone',
    async (killPolicy) => {
      const service = await setUp({ finalizers: ['kubervisor.io/test'] }, {});
      await withActivator(async () => {
        expect(told(await service.play(service.work({ ...kill, killPolicy })))).toEqual([
          'killed spent-0 RetriesExhausted',
          'withheld spent-1 KillInProgress',
        ]);
        expect(await service.traffic()).toEqual({ healthy: 'yes', 'spent-0': 'ending', 'spent-1': 'no' });
        expect(told(await service.play(service.work({ ...kill, killPolicy })))).toEqual([
          'withheld spent-1 KillInProgress',
        ]);

        await kubernetes.api.request('PATCH', pathIn(PATHS.pods, service.namespace, 'spent-0'), {
          body: { metadata: { finalizers: null } },
          contentType: 'application/merge-patch+json',
        });
        await until(async () => (await service.found('spent-0')) === undefined);
        expect(told(await service.play(service.work({ ...kill, killPolicy })))).toEqual([
          'killed spent-1 RetriesExhausted',
        ]);
      });
      await until(async () => (await service.found('spent-1')) === undefined);
    },
  );

  test('that a PodDisruptionBudget forbids is refused, shown, and tried again when its time has come', async () => {
    const service = await setUp({});
    const budgets = pathIn('/apis/policy/v1/poddisruptionbudgets', service.namespace);
    await kubernetes.api.request('POST', budgets, {
      body: {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'cart' },
        spec: { minAvailable: 9, selector: { matchLabels: { app: 'cart' } } },
      },
    });
    await withActivator(async () => {
      const refused = await service.play(service.work(kill));
      expect(told(refused)).toEqual(['withheld spent-0 EvictionRefused']);
      expect(refused.withheld[0]?.message).toMatch(/disruption budget/i);
      expect(refused.errors).toEqual([]);
      expect(await service.traffic()).toMatchObject({ 'spent-0': 'no' });

      const uid = (await service.found('spent-0'))?.uid ?? '';
      const at = (seconds: number) => [
        { uid, refusals: 1, nextAttempt: new Date(Date.now() + 1000 * seconds).toISOString() },
      ];
      const early = await service.play(service.work(kill, { refusedKills: at(60) }));
      expect(early.withheld[0]?.message).toMatch(/^tried again at /);

      await kubernetes.api.request('DELETE', `${budgets}/cart`);
      expect(told(await service.play(service.work(kill, { refusedKills: at(-1) })))).toEqual([
        'killed spent-0 RetriesExhausted',
      ]);
    });
  });

  test('of a pod that changes after it was read is refused by the preconditions', async () => {
    const service = await setUp({});
    const uid = (await service.found('spent-0'))?.uid;
    const getPod: Kubernetes['getPod'] = async (namespace, name) => {
      const found = await kubernetes.getPod(namespace, name);
      if (found === undefined) throw new Error(`${name} is gone`);
      // A person brings it back at that very moment.
      const back = [{ op: 'add', path: `/metadata/labels/kubervisor~1traffic`, value: 'yes' }] as const;
      expect((await kubernetes.patchPod(found, back)).result).toBe('patched');
      return found;
    };
    await withActivator(
      async () => {
        expect(told(await service.play(service.work(kill)))).toEqual(['withheld spent-0 Changed']);
      },
      { getPod },
    );
    expect(await service.found('spent-0')).toMatchObject({ uid, terminating: false });
  });

  test('is never of a pod without an owner: A7: it comes back after maxPeriod', async () => {
    const service = await setUp({ owned: false });
    await withActivator(async () => {
      expect(told(await service.play(service.work(kill)))).toEqual(['withheld spent-0 NoOwner']);
      expect(told(await service.play(service.work({ ...kill, maxPeriod: 30 })))).toEqual([
        'activated spent-0 KillNotPossible',
      ]);
    });
    expect(await service.traffic()).toEqual({ healthy: 'yes', 'spent-0': 'yes' });
  });
});

test('W4: a pod that changed after the list is left alone', async () => {
  const service = await aService();
  await service.pod('a', { traffic: 'no', brokenFor: 60 });
  const listPods: Kubernetes['listPods'] = async (...asked) => {
    const pods = await kubernetes.listPods(...asked);
    for (const pod of pods.filter((one) => marksOf(one).traffic === 'no'))
      await kubernetes.patchPod(pod, [{ op: 'add', path: `/metadata/labels/kubervisor~1traffic`, value: 'pause' }]);
    return pods;
  };
  await withActivator(
    async () => {
      expect(told(await service.play(service.work()))).toEqual(['withheld a Changed']);
    },
    { listPods },
  );
  expect(await service.traffic()).toEqual({ a: 'pause' });
});

test('W7: killed in the middle of a round, it leaves nothing that the next round does not finish', async () => {
  const service = await aService();
  const names = Array.from({ length: 120 }, (_, index) => `pod-${index}`);
  await concurrently(names, 8, (name) => service.pod(name, { traffic: 'no', brokenFor: 60 }));
  const claims: number[] = [];
  const watching = leader.bus.claims.watch({
    claim: (key, revision) => {
      if (key === `${service.uid}.activate`) claims.push(revision);
    },
  });
  const process = await startService('activator', 'activator-0', {
    NATS_URL: nats.url,
    KUBECONFIG: cluster.kubeconfig,
  });
  try {
    const before = leader.facts.length;
    const first = service.work();
    await leader.publish(first);
    while (leader.facts.length === before) await sleep(1);
    await process.kill();
    // W1: the leader waits until all that the dead one may have begun is over, then supersedes its claim.
    await sleep(CLAIM_EXPIRY);
    const back = Object.values(await service.traffic()).filter((traffic) => traffic === 'yes').length;
    expect(back).toBeGreaterThan(0);
    expect(back).toBeLessThan(names.length);

    await process.restart();
    const fact = await service.play(service.work({}, { claimRevision: claims.at(-1) ?? 0 }));
    expect(fact.outcome).toBe('completed');
    expect(fact.actions).toHaveLength(names.length - back);
    expect(Object.values(await service.traffic())).toEqual(names.map(() => 'yes'));
  } finally {
    await watching.stop();
    await process.stop();
  }
}, 90_000);
