/** Carries out what the plan says, and undoes it. */
import { setTimeout as delay } from 'node:timers/promises';
import { pathIn, PATHS } from '@kubervisor/runtime/kubernetes/resources';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { DEPLOYMENTS } from '@kubervisor/testing/kubernetes/workload';
import type { ObservedPod } from '../model/observer.ts';
import type { Mischief } from './api-proxy.ts';
import { resourceOf, serviceOf, soloOf, type Fleet } from './cast.ts';
import { FAULTS } from './plugin.ts';
import type { Fault, Role } from './plan.ts';
import { MERGE, type Member, type Stage } from './stage.ts';
import type { Sufferer, Wish } from './sufferer.ts';

export type Undo = () => Promise<void>;
const NOTHING: Undo = async () => {};

export interface Hands {
  begin(fault: Fault): Promise<Undo>;
  /** As a person or the cluster would, again and again until the API server takes it. */
  insist(method: string, path: string, body?: object, contentType?: string): Promise<void>;
  /** Whom somebody set aside comes back: what the activators leave to people. */
  releasePaused(): Promise<void>;
}

export function handsOf(stage: Stage): Hands {
  const { api, namespace, fleets, members, evidence, plugin } = stage;
  const at = <T>(items: readonly T[], index: number): T => items[index % items.length] as T;
  const of = (role: Role): Member[] => members.filter((member) => member.role === role);

  const insist: Hands['insist'] = async (method, path, body, contentType) => {
    for (let tries = 0; ; tries++) {
      try {
        const { code } = await api.request(method, path, {
          ...(body !== undefined && { body }),
          ...(contentType !== undefined && { contentType }),
          signal: AbortSignal.timeout(5000),
        });
        // It is as it was asked to be: there already, or gone already.
        if (code < 300 || (method === 'POST' && code === 409) || (method !== 'POST' && code === 404)) return;
        if (tries > 120) throw new Error(`${method} ${path}: ${code}`);
      } catch (error) {
        if (tries > 120) throw error;
      }
      await delay(500);
    }
  };
  const path = (collection: string, name?: string, subresource?: string) =>
    pathIn(collection, namespace, name, subresource);
  const merge = (collection: string, name: string, body: object, subresource?: string) =>
    insist('PATCH', path(collection, name, subresource), body, MERGE);

  const all = async (suffering: Promise<Undo>[]): Promise<Undo> => {
    const undos = await Promise.all(suffering);
    return async () => void (await Promise.all(undos.map((undo) => undo())));
  };
  const suffer = (who: Sufferer | undefined, wish: Wish): Promise<Undo> =>
    who?.suffer(wish) ?? Promise.resolve(NOTHING);

  const leader = async (): Promise<Member | undefined> => {
    const { body } = await api.request(
      'GET',
      `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/kubervisor-controller`,
      {
        signal: AbortSignal.timeout(2000),
      },
    );
    const holder = String((body.spec as { holderIdentity?: string } | undefined)?.holderIdentity ?? '');
    return of('controller').find(({ name }) => holder.startsWith(`${name}_`));
  };

  /** What befalls the way of every process of a role; the last that was asked for wins, and its end is the end of all. */
  const mischief = (role: Role, change: (member: Member) => void, undo: (member: Member) => void): Undo => {
    const ended = role === 'controller' ? evidence.disturbs() : () => {};
    for (const member of of(role)) change(member);
    return async () => {
      for (const member of of(role)) undo(member);
      ended();
    };
  };
  const mischiefOf = (role: Role, what: Mischief): Undo => {
    const keys = Object.keys(what) as (keyof Mischief)[];
    return mischief(
      role,
      ({ proxy }) => proxy && (proxy.mischief = { ...proxy.mischief, ...what }),
      ({ proxy }) => {
        if (proxy === undefined) return;
        const rest = { ...proxy.mischief };
        for (const key of keys) delete rest[key];
        proxy.mischief = rest;
      },
    );
  };

  const podsOf = ({ name }: Fleet): ObservedPod[] =>
    [...evidence.pods.values()].filter(
      ({ metadata }) => metadata.labels?.['app'] === name && metadata.deletionTimestamp === undefined,
    );
  const someOf = (fleet: Fleet, count: number): ObservedPod[] => podsOf(fleet).slice(0, count);
  const setReady = (pod: string, ready: boolean): Promise<void> => {
    const time = new Date().toISOString().replace(/\.\d+/, '');
    const conditions = ['Ready', 'ContainersReady'].map((type) => ({
      ...{ type, status: ready ? 'True' : 'False', lastTransitionTime: time },
    }));
    // As a kubelet would say it; a pod that is gone meanwhile has nothing to say.
    return insist('PATCH', path(PATHS.pods, pod, 'status'), { status: { conditions } }, STRATEGIC);
  };
  const specOf = (fleet: Fleet, which: number) => at(fleet.resources, which);
  const deleteAndBack = async (collection: string, name: string, body: object): Promise<Undo> => {
    await insist('DELETE', path(collection, name));
    return () => insist('POST', path(collection), body);
  };
  const serviceIs = (fleet: Fleet, selector: Record<string, string | null>): Promise<void> =>
    merge(PATHS.services, fleet.name, { spec: { selector } });

  return {
    insist,
    async releasePaused() {
      for (const { metadata } of evidence.pods.values()) {
        if (metadata.labels?.[LABEL.traffic] !== 'pause') continue;
        evidence.person(metadata.name);
        await merge(PATHS.pods, metadata.name, {
          metadata: { labels: { [LABEL.traffic]: 'yes', [LABEL.strategy]: null } },
        });
      }
    },

    async begin(fault) {
      switch (fault.kind) {
        case 'kill':
          return suffer(at(of(fault.role), fault.which).life, 'dead');
        case 'freeze':
          return suffer(at(of(fault.role), fault.which).life, 'frozen');
        case 'killLeader':
          return suffer((await leader())?.life, 'dead');
        case 'freezeLeader':
          return suffer((await leader())?.life, 'frozen');
        case 'killAll':
          return all(of(fault.role).map(({ life }) => life.suffer('dead')));
        case 'killAt':
        case 'freezeAt': {
          const ends: Promise<unknown>[] = [];
          const { cancel } = stage.await(fault.role, fault.moment, (member) => {
            // Nothing may move in it from now on, so it stands still first.
            const thaw = member.life.freezeNow();
            if (fault.kind === 'freezeAt') ends.push(delay(fault.freezes).then(thaw));
            else
              ends.push(
                member.life.suffer('dead').then(async (undo) => {
                  await thaw();
                  await delay(1000);
                  await undo();
                }),
              );
          });
          return async () => {
            cancel();
            await Promise.all(ends);
          };
        }
        case 'rollingRestart':
          for (const member of members) {
            const undo = await member.life.suffer('ended');
            await undo();
          }
          return NOTHING;

        case 'killApiServer':
          return suffer(stage.apiServer, 'dead');
        case 'freezeApiServer':
          return suffer(stage.apiServer, 'frozen');
        case 'killEtcd':
          return suffer(stage.etcd, 'dead');
        case 'freezeEtcd':
          return suffer(stage.etcd, 'frozen');
        case 'killNats':
          return suffer(stage.natsServer, 'dead');
        case 'freezeNats':
          return suffer(stage.natsServer, 'frozen');
        case 'restartNats':
        case 'wipeNats': {
          const undo = await suffer(stage.natsServer, 'dead');
          if (fault.kind === 'wipeNats') stage.wipeNats();
          await undo();
          return NOTHING;
        }
        case 'silenceNats': {
          const { tap } = at(of(fault.role), fault.which);
          tap?.silence();
          return async () => tap?.pass();
        }
        case 'cutNats':
          at(of(fault.role), fault.which).tap?.cut();
          return NOTHING;

        case 'refuse':
          return mischiefOf(fault.role, { refuse: { status: fault.status, share: fault.share } });
        case 'loseAnswers':
          return mischiefOf(fault.role, { loseAnswer: { as: fault.as, share: fault.share } });
        case 'slow':
          return mischiefOf(fault.role, { slow: fault.milliseconds });
        case 'cut':
          return mischief(
            fault.role,
            ({ proxy }) => proxy?.cut(),
            () => {},
          );
        case 'silence':
        case 'silenceWatches':
          return mischief(
            fault.role,
            ({ proxy }) => proxy?.silence(fault.kind === 'silence' ? 'all' : 'watches'),
            ({ proxy }) => proxy?.pass(),
          );

        case 'pluginFails': {
          const { name } = at(fleets, fault.fleet);
          plugin.fails(name, at(FAULTS, fault.how).respond);
          return async () => plugin.fails(name, undefined);
        }
        case 'mostAreBad': {
          const { name } = at(fleets, fault.fleet);
          plugin.badShare(name, 0.9);
          return async () => plugin.badShare(name, 0);
        }

        case 'deleteResource': {
          const resource = specOf(at(fleets, fault.fleet), fault.which);
          return deleteAndBack(PATHS.kubervisorServices, resource.name, resourceOf(resource));
        }
        case 'changeMode': {
          const { name, spec } = specOf(at(fleets, fault.fleet), 0);
          await merge(PATHS.kubervisorServices, name, { spec: { mode: fault.mode } });
          return () => merge(PATHS.kubervisorServices, name, { spec: { mode: spec.mode ?? 'enforce' } });
        }
        case 'removeBreaker': {
          const { name, spec } = specOf(at(fleets, fault.fleet), 0);
          if (spec.breakers.length < 2) return NOTHING;
          const breakers = spec.breakers.filter((_, index) => index !== fault.which % spec.breakers.length);
          await merge(PATHS.kubervisorServices, name, { spec: { breakers } });
          return () => merge(PATHS.kubervisorServices, name, { spec: { breakers: spec.breakers } });
        }
        case 'deactivate': {
          const fleet = at(fleets, fault.fleet);
          if (!fleet.activated) return NOTHING;
          await serviceIs(fleet, { [LABEL.traffic]: null });
          return () => serviceIs(fleet, { [LABEL.traffic]: 'yes' });
        }
        case 'changeSelector': {
          const fleet = at(fleets, fault.fleet);
          await serviceIs(fleet, { tier: fault.tier });
          return () => serviceIs(fleet, { tier: null });
        }
        case 'deleteService': {
          const fleet = at(fleets, fault.fleet);
          return deleteAndBack(PATHS.services, fleet.name, serviceOf(fleet));
        }
        case 'deletePods':
          await Promise.all(
            someOf(at(fleets, fault.fleet), fault.count).map(({ metadata }) =>
              insist('DELETE', path(PATHS.pods, metadata.name)),
            ),
          );
          return NOTHING;
        case 'soloAnew': {
          const fleet = at(
            fleets.filter(({ solo }) => solo),
            fault.fleet,
          );
          const body = soloOf(fleet);
          // At once, so that nobody has time to see that it was gone.
          await insist('DELETE', path(PATHS.pods, body.metadata.name), { gracePeriodSeconds: 0 });
          await insist('POST', path(PATHS.pods), body);
          return NOTHING;
        }
        case 'flapReadiness': {
          const pods = someOf(at(fleets, fault.fleet), fault.count).map(({ metadata }) => metadata.name);
          await Promise.all(pods.map((pod) => setReady(pod, false)));
          return async () => void (await Promise.all(pods.map((pod) => setReady(pod, true))));
        }
        case 'rollout': {
          const { name } = at(fleets, fault.fleet);
          const annotations = { 'chaos/rollout': new Date().toISOString() };
          await merge(DEPLOYMENTS, name, { spec: { template: { metadata: { annotations } } } });
          return NOTHING;
        }
        case 'scale': {
          const { name, replicas } = at(fleets, fault.fleet);
          await merge(DEPLOYMENTS, name, { spec: { replicas: replicas + fault.by } });
          return () => merge(DEPLOYMENTS, name, { spec: { replicas } });
        }
        case 'exempt': {
          const pods = someOf(at(fleets, fault.fleet), fault.count).map(({ metadata }) => metadata.name);
          const set = (value: string | null) =>
            Promise.all(
              pods.map((pod) => merge(PATHS.pods, pod, { metadata: { annotations: { 'kubervisor/exempt': value } } })),
            );
          await set('true');
          return async () => void (await set(null));
        }
      }
    },
  };
}

const STRATEGIC = 'application/strategic-merge-patch+json';
