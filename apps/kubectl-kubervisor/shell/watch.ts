/** Live: on a terminal a picture that is drawn anew, elsewhere a line a change. */
import { pause } from '@kubervisor/runtime/kubernetes/api-server';
import { PATHS, readKubervisorService } from '@kubervisor/runtime/kubernetes/resources';
import { watchCollection } from '@kubervisor/runtime/kubernetes/watch';
import { marksOf, readPod, writeTime } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { podChange, resourceChange } from '../core/changes.ts';
import { printList, printPods, type Style } from '../core/print.ts';
import { readResource, type ReadResource } from '../core/resource.ts';
import { viewPod, viewPods, viewResource, type ChangeView } from '../core/views.ts';
import type { Cluster } from './cluster.ts';

export interface Watching {
  /** Undefined: all of them. */
  name: string | undefined;
  everywhere: boolean;
  style: Omit<Style, 'now'>;
  /** A picture in place of lines. */
  isTerminal: boolean;
  changed(change: ChangeView): void;
  draw(picture: string): void;
  /** That nothing is heard of the cluster, and that it is heard again; once each. */
  troubled(sentence: string): void;
  signal: AbortSignal;
}

/** A burst of changes is one picture; ages count on without one. */
const DRAW_AT_MOST_EVERY = 150;
const DRAW_AT_LEAST_EVERY = 1000;
/** Milliseconds. A watch that ends and is opened anew is no trouble yet. */
const TROUBLE_AFTER = 3000;

export async function watch(cluster: Cluster, watching: Watching): Promise<void> {
  const { name, everywhere, style, isTerminal, signal } = watching;
  // Says at once what is wrong, where something is: the watches themselves would try again for ever.
  if (name !== undefined) await cluster.resource(name);
  else await cluster.resources(everywhere ? undefined : cluster.namespace);

  const namespaces = everywhere ? [] : [cluster.namespace];
  const key = (one: { namespace: string; name: string }): string => `${one.namespace}/${one.name}`;
  let stale = true;
  let synced = 0;
  const tell = (
    kind: ChangeView['kind'],
    of: { namespace: string; name: string },
    message: string | undefined,
    pod?: ChangeView['pod'],
  ): void => {
    stale = true;
    if (message === undefined || isTerminal) return;
    const { namespace, name: called } = of;
    watching.changed({
      at: writeTime(Date.now()),
      namespace,
      kind,
      name: called,
      message,
      ...(pod !== undefined && { pod }),
    });
  };
  const resources = watchCollection<{
    uid: string;
    namespace: string;
    name: string;
    resourceVersion: string;
    read: ReadResource;
  }>(cluster.kubernetes, {
    path: PATHS.kubervisorServices,
    namespaces,
    read: (raw) => {
      const resource = readKubervisorService(raw);
      const { uid, namespace, name: called, resourceVersion } = resource;
      return { uid, namespace, name: called, resourceVersion, read: readResource(resource) };
    },
    key,
    onChange: (_key, before, after) => {
      const of = after ?? before;
      if (of === undefined || (name !== undefined && of.name !== name)) return;
      tell('KubervisorService', of, resourceChange(before?.read, after?.read));
    },
    onSynced: () => (synced += 1),
  });
  const ownerOf = (pod: Pod): ReadResource | undefined =>
    resources.get(`${pod.namespace}/${marksOf(pod).name ?? ''}`)?.read;
  const isShown = (pod: Pod): boolean => name === undefined || marksOf(pod).name === name;
  const pods = watchCollection<Pod>(cluster.kubernetes, {
    path: PATHS.pods,
    namespaces,
    labelSelector: LABEL.name,
    read: readPod,
    key,
    onChange: (_key, before, after) => {
      const of = after ?? before;
      if (of === undefined || !isShown(of)) return;
      // The pods that are there at the start are no news.
      const message = synced < 2 && before === undefined ? undefined : podChange(before, after);
      tell('Pod', of, message, after === undefined ? undefined : viewPod(after, ownerOf(after), Date.now()));
    },
    onSynced: () => (synced += 1),
  });

  /** Why what is shown may be old; undefined while it is not. */
  const trouble = (): string | undefined => {
    const problem = resources.health.problem ?? pods.health.problem;
    const silent = performance.now() - Math.min(resources.health.heardAt, pods.health.heardAt);
    if (problem === undefined || silent < TROUBLE_AFTER) return undefined;
    return `Nothing is heard of the cluster for ${Math.floor(silent / 1000)} s: ${problem}. It is asked on.`;
  };
  const picture = (now: number): string => {
    const shown = [...resources.values()].filter((one) => name === undefined || one.name === name);
    const views = shown.map(({ read }) => viewResource(read)).sort((one, other) => (key(one) < key(other) ? -1 : 1));
    const members = [...pods.values()].filter(isShown);
    const listed = name === undefined ? members.filter((pod) => marksOf(pod).traffic !== 'yes') : members;
    const rows = viewPods(listed, undefined, now).map((row) => {
      const pod = listed.find(({ uid }) => uid === row.uid);
      return pod === undefined ? row : viewPod(pod, ownerOf(pod), now);
    });
    const body = rows.length === 0 ? 'Nobody is out of traffic.' : printPods(rows, { ...style, now });
    const old = trouble();
    return `${printList(views, { ...style, now })}\n\n${body}\n${old === undefined ? '' : `\n${old}\n`}`;
  };
  let drawnAt = -Infinity;
  let isTroubled = false;
  try {
    while (!signal.aborted) {
      const due = performance.now() - drawnAt >= DRAW_AT_LEAST_EVERY;
      if (isTerminal && synced === 2 && (stale || due)) {
        stale = false;
        drawnAt = performance.now();
        watching.draw(picture(Date.now()));
      }
      const sentence = trouble();
      if (!isTerminal && (sentence !== undefined) !== isTroubled) {
        isTroubled = !isTroubled;
        watching.troubled(sentence ?? 'The cluster is heard again; what changed meanwhile was told.');
      }
      await pause(DRAW_AT_MOST_EVERY, signal);
    }
  } finally {
    await Promise.all([resources.stop(), pods.stop()]);
  }
}
