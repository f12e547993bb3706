/** For tests of the shell: pods in memory that take the patches of one round, with faults put in by the test; a bus; two clocks. */
import type { PatchResult, KillResult } from '@kubervisor/runtime/kubernetes/client';
import { createMetrics } from '@kubervisor/runtime/metrics';
import type { WorkMessage } from '@kubervisor/runtime/nats/bus';
import { roundMetrics } from '@kubervisor/runtime/worker/metrics';
import { roundHandler } from '@kubervisor/runtime/worker/round';
import * as crd from '@kubervisor/shared/crd/kubervisor-service';
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { decodeEvent, encodeEvent, type CloudEvent } from '@kubervisor/shared/events/envelope';
import type { PodFact } from '@kubervisor/shared/events/facts';
import { workActivate, type WorkActivate } from '@kubervisor/shared/events/work-activate';
import type { JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import { marksOf } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import pino from 'pino';
import { NOW, SELECTOR } from '../core/fleet.fixture.ts';
import { activatorMetrics } from './metrics.ts';
import { activationRound } from './round.ts';

export const aWork = (
  activator: Partial<crd.ActivatorSpec> = {},
  {
    breaker = {},
    over = {},
    mode = 'enforce',
  }: { breaker?: object; over?: Partial<WorkActivate>; mode?: crd.Mode } = {},
): WorkActivate => ({
  round: 'leader-1',
  resource: { namespace: 'shop', name: 'cart', uid: 'cart-uid', generation: 1 },
  spec: crd.spec.parse({
    service: 'cart',
    mode,
    breakers: [
      {
        name: 'slow',
        threshold: { prometheusService: 'prometheus', promQL: 'latency', podNamekey: 'pod', max: 1 },
        activator: { jitter: 0, ...activator },
        ...breaker,
      },
    ],
  }),
  selector: SELECTOR,
  active: true,
  claimRevision: 0,
  simulated: [],
  refusedKills: [],
  ...over,
});

const KEY = /^\/metadata\/(labels|annotations)(?:\/(.*))?$/;

/** What a test puts before an answer: to throw, to answer something else, to change a pod first, to hold the answer back. */
type Fault<Result> = (pod: Pod, apply: () => Result) => Promise<Result | undefined> | Result | undefined;

export function aCluster(pods: readonly Pod[]) {
  const present = new Map(pods.map((pod) => [pod.name, pod]));
  const calls: string[] = [];
  const faults: {
    list?: () => void;
    get?: (name: string) => void;
    patch?: Fault<PatchResult>;
    kill?: Fault<KillResult>;
  } = {};
  let underWay = 0;
  let most = 0;

  const bumped = (pod: Pod): Pod => ({ ...pod, resourceVersion: String(Number(pod.resourceVersion) + 1) });
  const change = (name: string, over: Partial<Pod>) => {
    const pod = present.get(name);
    if (pod !== undefined) present.set(name, bumped({ ...pod, ...over }));
  };

  function applyPatch({ name, uid }: Pod, operations: readonly JsonPatchOperation[]): PatchResult {
    const pod = present.get(name);
    if (pod === undefined || pod.uid !== uid) return { result: 'gone' };
    const maps = { labels: { ...pod.labels }, annotations: { ...pod.annotations } };
    for (const { op, path, value } of operations) {
      const [, map, key] = KEY.exec(path) ?? [];
      if (map === undefined) continue;
      const entries = maps[map as 'labels' | 'annotations'];
      const name = key?.replaceAll('~1', '/').replaceAll('~0', '~');
      if (name === undefined) continue;
      if (op === 'test' && (entries[name] ?? null) !== value) return { result: 'changed' };
      if (op === 'add') entries[name] = String(value);
      if (op === 'remove') delete entries[name];
    }
    change(name, { ...maps, hasAnnotations: true });
    return { result: 'patched', pod: present.get(name) ?? pod };
  }
  function applyKill({ name, uid, resourceVersion }: Pod): KillResult {
    const pod = present.get(name);
    if (pod === undefined || pod.uid !== uid) return { result: 'gone' };
    if (pod.resourceVersion !== resourceVersion) return { result: 'changed' };
    change(name, { terminating: true });
    return { result: 'killed' };
  }
  const kill = (verb: string) => async (pod: Pod) => {
    calls.push(`${verb} ${pod.name} ${pod.resourceVersion}`);
    const apply = () => applyKill(pod);
    return (await faults.kill?.(pod, apply)) ?? apply();
  };

  return {
    calls,
    faults,
    change,
    remove: (name: string) => present.delete(name),
    mostAtOnce: () => most,
    traffic: () =>
      Object.fromEntries(
        [...present.values()].map((pod) => [pod.name, pod.terminating ? 'ending' : marksOf(pod).traffic]),
      ),
    pod: (name: string) => present.get(name),
    kubernetes: {
      async listPods(namespace: string, selector: string) {
        calls.push(`list ${namespace} ${selector}`);
        faults.list?.();
        return [...present.values()];
      },
      async getPod(_: string, name: string) {
        calls.push(`get ${name}`);
        faults.get?.(name);
        return present.get(name);
      },
      async patchPod(pod: Pod, operations: readonly JsonPatchOperation[]) {
        calls.push(`patch ${pod.name}`);
        most = Math.max(most, ++underWay);
        const apply = () => applyPatch(pod, operations);
        try {
          await Promise.resolve();
          return (await faults.patch?.(pod, apply)) ?? apply();
        } finally {
          underWay--;
        }
      },
      evictPod: kill('evict'),
      deletePod: kill('delete'),
    },
  };
}
export type Cluster = ReturnType<typeof aCluster>;

/** Plays one round through the real frame. Clocks stand still unless a test turns them. */
export function aPlayer({ kubernetes }: Cluster) {
  /** `ahead`: how far the activator's own clock is ahead of the leader's. */
  const clock = { now: NOW, monotonic: 1000, ahead: 0 };
  const waits: number[] = [];
  const facts: { subject: string; data: PodFact }[] = [];
  const ended: ActivationCompleted[] = [];
  const claims = {
    answer: { outcome: 'claimed', revision: 7 } as
      { outcome: 'claimed'; revision: number } | { outcome: 'refused'; revision: number },
    asked: [] as [string, number, string][],
  };
  const metrics = createMetrics('activator');
  const declared = metrics.declare(activatorMetrics);
  const clocks = { now: () => clock.now + clock.ahead, monotonic: () => clock.monotonic };
  const ports = {
    ...clocks,
    source: '/kubervisor/activator/test',
    bus: {
      async publish(subject: string, event: CloudEvent) {
        if (!subject.startsWith('kubervisor.round.')) facts.push({ subject, data: event.data as PodFact });
        else {
          const decoded = decodeEvent(activationCompleted, JSON.stringify(event));
          if (!decoded.ok) throw new Error(decoded.problem);
          ended.push(decoded.event.data);
        }
      },
      claims: {
        async claim(...asked: [string, number, string]) {
          claims.asked.push(asked);
          return claims.answer;
        },
      },
    },
    log: pino({ level: 'silent' }),
    metrics: metrics.declare(roundMetrics),
  };
  const handle = roundHandler(
    activationRound({
      ...ports,
      kubernetes,
      activatorMetrics: declared,
      wait: async (milliseconds) => {
        waits.push(milliseconds);
        clock.monotonic += milliseconds;
      },
    }),
    ports,
  );
  return {
    clock,
    waits,
    facts,
    claims,
    text: () => metrics.registry.metrics(),
    /** The fact of the round; undefined where there was none. */
    async play(work: WorkActivate): Promise<ActivationCompleted> {
      const stamp = { id: 'work', source: '/kubervisor/controller/test', time: clock.now };
      const event = encodeEvent(workActivate, 'shop/cart', work, stamp);
      const acks: string[] = [];
      const message: WorkMessage = {
        subject: 'kubervisor.work.activate.shop.cart',
        text: JSON.stringify(event),
        receivedAt: clock.monotonic,
        deliveries: 1,
        ack: () => acks.push('ack'),
        term: (reason) => acks.push(reason),
      };
      await handle(message);
      const fact = ended.pop();
      if (fact === undefined || acks.join() !== 'ack') throw new Error(`no fact, or no ack: ${acks.join()}`);
      return fact;
    },
  };
}

/** `activated a WaitOver`, `withheld b NoOwner`; `~` before what is only simulated. */
export const told = ({ actions, withheld }: Pick<ActivationCompleted, 'actions' | 'withheld'>): string[] => [
  ...actions.map(({ action, pod, reason, enforced }) => `${enforced ? '' : '~'}${action} ${pod} ${reason}`),
  ...withheld.map(({ pod, reason, enforced }) => `${enforced ? '' : '~'}withheld ${pod} ${reason}`),
];
