/** All that plays: servers, services with a proxy before each, fleets; and the eyes that see it. */
import { setTimeout as delay } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import type { ApiClient } from '@kubervisor/kube-sandbox/client';
import { pathIn, PATHS } from '@kubervisor/runtime/kubernetes/resources';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { DEPLOYMENTS } from '@kubervisor/testing/kubernetes/workload';
import { Random } from '@kubervisor/testing/random';
import { startNats } from '@kubervisor/testing/servers/nats';
import { startService, type ServiceProcess } from '@kubervisor/testing/services';
import type { ResourceManifest, ServiceManifest } from '../model/allowed.ts';
import { cameToNothing, startApiProxy, type ApiProxy } from './api-proxy.ts';
import { budgetOf, castOf, deploymentOf, resourceOf, serviceOf, soloOf, type Fleet } from './cast.ts';
import { Evidence, podWriteOf, type RawPod } from './evidence.ts';
import { follow, type Follower } from './follow.ts';
import { startNatsTap, type NatsTap } from './nats-tap.ts';
import { startPlugin, type ChaosPlugin } from './plugin.ts';
import type { Moment, Role } from './plan.ts';
import type { Record as History } from './record.ts';
import { sufferer, type Sufferer } from './sufferer.ts';

export const COUNTS: Readonly<Record<Role, number>> = { controller: 2, breaker: 3, activator: 2, detector: 2 };
const LEASE_SECONDS = 3;
/** Milliseconds between two looks at what was seen. */
const LOOK = 100;

export interface Member {
  readonly name: string;
  readonly role: Role;
  readonly life: Sufferer;
  readonly process: ServiceProcess;
  /** Not of a detector. */
  readonly proxy: ApiProxy | undefined;
  readonly tap: NatsTap | undefined;
}

/** A KubervisorService as it stands. */
export interface StandingResource extends ResourceManifest {
  status?: {
    conditions?: { type: string; status: string; reason: string }[];
    podCount?: { nbPodsBreaked?: number; nbPodsPaused?: number };
    available?: number;
  };
}

/** An evaluation that was completed, as its breaker told it. */
export interface Evaluation {
  at: number;
  resource: string;
  breakers: readonly string[];
}

export interface Stage {
  readonly kind: TestCluster['kind'];
  readonly api: ApiClient;
  readonly namespace: string;
  readonly fleets: readonly Fleet[];
  readonly members: readonly Member[];
  readonly apiServer: Sufferer;
  /** Undefined on the simulator. */
  readonly etcd: Sufferer | undefined;
  readonly natsServer: Sufferer;
  /** When it starts next, it has lost all its files. */
  wipeNats(): void;
  readonly plugin: ChaosPlugin;
  readonly evidence: Evidence;
  readonly resources: ReadonlyMap<string, StandingResource>;
  /** Told of each that ends. */
  onEvaluation: (evaluation: Evaluation) => void;
  /** How rounds ended, by kind and outcome, as their workers told it. */
  readonly rounds: Map<string, number>;
  /** Resolves with the process that next comes to this moment of a round; what it resolves to happens before anything else does. */
  await(role: Role, moment: Moment, then: (member: Member) => void): { cancel(): void };
  /** The watch of pods lost its place in history so often. */
  readonly gaps: () => number;
  /** Ends all of it. */
  stop(): Promise<void>;
}

export async function startStage(
  source: 'assets' | 'sandbox',
  seed: number,
  history: History,
  say: (line: string) => void,
): Promise<Stage> {
  const random = new Random(seed ^ 0x5eed);
  const ends: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse())
      await Promise.resolve(end()).catch((error: unknown) => say(`at the end: ${String(error)}`));
  };
  try {
    const cluster = await startCluster({ source, kubelet: { endsAfter: 1000 } });
    ends.push(() => cluster.stop());
    say(
      cluster.kind === 'real'
        ? 'a real kube-apiserver with etcd and kube-controller-manager is up'
        : 'no real API server is at hand (KUBEBUILDER_ASSETS): on the simulator, where etcd cannot fail; what is shown counts for less',
    );
    const nats = await startNats();
    ends.push(() => nats.stop());
    const namespace = await cluster.namespace();
    const api = cluster.client;
    const plugin = await startPlugin(namespace, random);
    ends.push(() => plugin.close());
    const fleets = castOf(plugin.address);
    const evidence = new Evidence(() => performance.now());
    const text = readFileSync(cluster.kubeconfig, 'utf8');

    const create = async (collection: string, body: object): Promise<void> => {
      await api.call('POST', pathIn(collection, namespace), { body });
    };
    for (const fleet of fleets) {
      await create(PATHS.services, serviceOf(fleet));
      await create(DEPLOYMENTS, deploymentOf(fleet));
      if (fleet.solo) await create(PATHS.pods, soloOf(fleet));
      if (fleet.name === 'pay') await create('/apis/policy/v1/poddisruptionbudgets', budgetOf(fleet));
    }
    await create(PATHS.pods, marker);

    // The services.
    const moments = new Set<{ role: Role; moment: Moment; then: (member: Member) => void }>();
    const comesTo = (member: Member | undefined, moment: Moment): void => {
      if (member?.life.isWell !== true) return;
      for (const one of moments)
        if (one.role === member.role && one.moment === moment && moments.delete(one)) one.then(member);
    };
    const rounds = new Map<string, number>();
    const members: Member[] = [];
    const byName = new Map<string, Member>();
    let onEvaluation: (evaluation: Evaluation) => void = () => {};

    const startMember = async (role: Role, index: number): Promise<void> => {
      const name = `${role}-${index}`;
      const own = { name, role };
      const wired = role !== 'detector';
      const proxy = wired
        ? await startApiProxy(
            text,
            {
              requested(passage) {
                const { method, path, query, body } = passage;
                const write = podWriteOf(method, path, body);
                if (write !== undefined) {
                  evidence.requested(own, write, () => cameToNothing(passage));
                  if (role !== 'controller') comesTo(byName.get(name), 'write');
                } else if (isList(method, path, query) && role !== 'controller') comesTo(byName.get(name), 'list');
              },
              answered({ method, path, query, status }, answer) {
                if (role === 'controller' || status !== 200 || !isList(method, path, query)) return;
                const list = JSON.parse(answer) as { metadata: { resourceVersion: string }; items: RawPod[] };
                const app = /(?:^|,)app=([^,]+)/.exec(query.get('labelSelector') ?? '')?.[1] ?? '';
                evidence.listed(own, app, list.metadata.resourceVersion, list.items);
              },
            },
            () => random.next(),
          )
        : undefined;
      const tap = wired
        ? await startNatsTap(nats.port, {
            published(subject, payload) {
              const [, stream, kind] = subject.split('.');
              if (stream !== 'work' && stream !== 'round') return;
              const { time, data } = JSON.parse(payload) as Published;
              if (stream === 'work') return evidence.workPublished(data.round, Date.parse(time));
              const { round, resource, outcome, due } = data;
              const key = `${kind} ${outcome}`;
              rounds.set(key, (rounds.get(key) ?? 0) + 1);
              history.tell('round', `${name} ${kind} ${round} of ${resource.name}: ${outcome}`);
              if (kind === 'evaluate' && outcome === 'completed')
                onEvaluation({ at: performance.now(), resource: resource.name, breakers: due ?? [] });
            },
            claimSent(claim) {
              evidence.claimSent(own, claim);
              comesTo(byName.get(name), 'claim');
            },
            claimStored(claim) {
              evidence.claimStored(own, claim);
              history.tell('claim', `${name} ${claim.round} has ${claim.key} as ${claim.revision}`);
            },
          })
        : undefined;
      ends.push(async () => {
        await Promise.all([proxy?.close(), tap?.close()]);
      });
      const detectors = members.filter((member) => member.role === 'detector');
      const connected = { KUBECONFIG: proxy?.kubeconfig ?? '', NATS_URL: tap?.url ?? '' };
      const env: Record<Role, Record<string, string>> = {
        controller: {
          ...connected,
          WATCH_NAMESPACES: namespace,
          LEASE_NAMESPACE: namespace,
          LEASE_DURATION_SECONDS: String(LEASE_SECONDS),
        },
        // Spread over the detectors, as a Service of Kubernetes would.
        breaker: { ...connected, DETECTOR_URL: detectors[index % Math.max(1, detectors.length)]?.process.url ?? '' },
        activator: connected,
        detector: { DETECTOR_ALLOW: '127.0.0.1:*' },
      };
      const process = await startService(role, name, { NODE_OPTIONS: '', ...env[role] }, history.logOf(name));
      ends.push(() => process.stop());
      let endFreeze: (() => void) | undefined;
      const life = sufferer(
        name,
        {
          kill: (gently) => process.kill(gently ? 'SIGTERM' : 'SIGKILL'),
          start: process.restart,
          freeze: process.freeze,
          thaw: process.thaw,
        },
        (state) => {
          history.tell('process', `${name} is ${state}`);
          if (state === 'frozen') endFreeze ??= evidence.freezes(name);
          else {
            endFreeze?.();
            endFreeze = undefined;
          }
        },
      );
      const member: Member = { name, role, life, process, proxy, tap };
      members.push(member);
      byName.set(name, member);
    };
    for (const role of ['detector', 'controller', 'breaker', 'activator'] as const)
      for (let index = 0; index < COUNTS[role]; index++) await startMember(role, index);

    // The servers.
    const disturbing = (name: string, body: Parameters<typeof sufferer>[1]): Sufferer => {
      let ended: (() => void)[] = [];
      return sufferer(name, body, (state) => {
        history.tell('server', `${name} is ${state}`);
        if (state === 'well') for (const end of ended.splice(0)) end();
        else if (ended.length === 0) ended = [evidence.stalls(), evidence.disturbs()];
      });
    };
    const { controlPlane, outage } = cluster;
    const nothing = (): void => {};
    const apiServer = disturbing('kube-apiserver', {
      kill: async () => outage?.begin(),
      start: async () => outage?.end(),
      freeze: () => (controlPlane?.processes.apiServer.freeze ?? nothing)(),
      thaw: () => (controlPlane?.processes.apiServer.thaw ?? nothing)(),
    });
    const etcd =
      controlPlane &&
      disturbing('etcd', {
        kill: () => controlPlane.killEtcd(),
        start: () => controlPlane.restartEtcd(),
        freeze: () => controlPlane.processes.etcd.freeze(),
        thaw: () => controlPlane.processes.etcd.thaw(),
      });
    let wipe = false;
    const natsServer = sufferer(
      'nats-server',
      {
        kill: () => nats.kill(),
        async start() {
          await nats.restart({ wipe });
          wipe = false;
        },
        freeze: () => nats.freeze(),
        thaw: () => nats.thaw(),
      },
      (state) => history.tell('server', `nats-server is ${state}`),
    );

    // The eyes.
    const resources = new Map<string, StandingResource>();
    const services = new Map<string, ServiceManifest>();
    evidence.onChange = ({ pod, from, to, by }) => history.tell('pod', `${pod}: ${from} → ${to} by ${by}`);
    const keep = <T extends Standing>(into: Map<string, T>, tell: (objects: T[]) => void) => {
      let told = '';
      const look = (): void => {
        const objects = [...into.values()];
        // Every change of a status would be one more version of what is allowed.
        const wanted = JSON.stringify(
          objects.map(({ metadata: { uid, deletionTimestamp }, spec }) => [uid, deletionTimestamp, spec]),
        );
        if (wanted === told) return;
        told = wanted;
        tell(objects);
      };
      return {
        listed(objects: T[]) {
          into.clear();
          for (const object of objects) into.set(object.metadata.name, object);
          look();
        },
        changed({ type, object }: { type: string; object: T }) {
          if (type === 'DELETED') into.delete(object.metadata.name);
          else into.set(object.metadata.name, object);
          look();
        },
      };
    };
    const followed: Follower[] = [
      follow<RawPod>(api, pathIn(PATHS.pods, namespace), {
        listed: (pods, version) => evidence.podsAre(pods, version),
        changed: ({ type, object: pod }) => evidence.podChanged({ type, pod }),
      }),
      follow<StandingResource>(
        api,
        pathIn(PATHS.kubervisorServices, namespace),
        keep(resources, (objects) => evidence.resourcesAre(objects)),
      ),
      follow<ServiceManifest>(
        api,
        pathIn(PATHS.services, namespace),
        keep(services, (objects) => evidence.servicesAre(objects)),
      ),
    ];
    ends.push(async () => void (await Promise.all(followed.map((one) => one.stop()))));
    let lookedAt = performance.now();
    const look = setInterval(() => {
      const late = performance.now() - lookedAt - LOOK;
      if (late > LOOK) evidence.lagged(late);
      lookedAt = performance.now();
      evidence.judge(followed[0]!.position);
      for (const { name } of fleets)
        plugin.fleetIs(
          name,
          [...evidence.pods.values()]
            .filter(({ metadata }) => metadata.labels?.['app'] === name)
            .map(({ metadata }) => metadata.name),
        );
    }, LOOK);
    // So that the watch of pods always has something to tell, and shows how far it has come.
    let marks = 0;
    const mark = setInterval(() => {
      const body = { metadata: { annotations: { 'chaos/mark': String((marks += 1)) } } };
      const signal = AbortSignal.timeout(1000);
      api
        .request('PATCH', pathIn(PATHS.pods, namespace, marker.metadata.name), { body, contentType: MERGE, signal })
        .catch(() => undefined);
    }, 500);
    ends.push(() => {
      clearInterval(look);
      clearInterval(mark);
    });

    // The resources come last: the CRD is the controller's to install.
    for (const resource of fleets.flatMap((fleet) => fleet.resources))
      for (let tries = 0; ; tries++) {
        const { code } = await api.request('POST', pathIn(PATHS.kubervisorServices, namespace), {
          body: resourceOf(resource),
        });
        if (code === 201) break;
        if (tries > 60) throw new Error(`the resource ${resource.name} could not be created: ${code}`);
        await delay(500);
      }

    return {
      ...{ kind: cluster.kind, api, namespace, fleets, members, apiServer, etcd, natsServer, plugin, evidence },
      ...{ resources, rounds },
      wipeNats: () => void (wipe = true),
      get onEvaluation() {
        return onEvaluation;
      },
      set onEvaluation(next) {
        onEvaluation = next;
      },
      await(role, moment, then) {
        const one = { role, moment, then };
        moments.add(one);
        return { cancel: () => void moments.delete(one) };
      },
      gaps: () => followed[0]!.gaps,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Standing {
  metadata: { name: string; uid?: string; deletionTimestamp?: string };
  spec: object;
}

interface Published {
  time: string;
  data: { round: string; resource: { name: string }; outcome: string; due?: string[] };
}

export const MERGE = 'application/merge-patch+json';

/** No pod of any fleet, and never scheduled. */
const marker = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'marker' },
  spec: { schedulerName: 'nobody', containers: [{ name: 'app', image: 'app' }] },
};

const isList = (method: string, path: string, query: URLSearchParams): boolean =>
  method === 'GET' && path.endsWith('/pods') && query.has('labelSelector') && !query.has('watch');
