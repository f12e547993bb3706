/**
 * A process that watches an API server through so many reconnects as it is told, and then what is left of them: for the test that
 * memory, sockets and listeners do not grow. It needs `--expose-gc`, and prints one line of JSON (`Sample[]`).
 *
 *     node --expose-gc --conditions=source reconnects.ts KUBECONFIG RECONNECTS
 */
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectKubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS } from '@kubervisor/runtime/kubernetes/resources';
import { watchCollection } from '@kubervisor/runtime/kubernetes/watch';
import { createLogger } from '@kubervisor/runtime/logs';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';

/** After a garbage collection. */
export interface Sample {
  reconnects: number;
  heapBytes: number;
  sockets: number;
  /** Of the signals that are alive: the most that one has. */
  listeners: number;
}

/** Samples a run. */
const SAMPLES = 10;

if (import.meta.main) {
  const [kubeconfigFile = '', reconnects = '1000'] = process.argv.slice(2);
  // A thousand times as fast: a watch of 5 ms is one that lasted, and a break after it waits as after the first.
  const real = performance.now.bind(performance);
  performance.now = () => real() * 1000;
  const signals = new Set<WeakRef<AbortSignal>>();
  const known = new WeakSet<AbortSignal>();
  const listen = AbortSignal.prototype.addEventListener;
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...of: Parameters<typeof listen>) {
    if (!known.has(this)) signals.add(new WeakRef(this));
    known.add(this);
    return listen.apply(this, of);
  };

  const kubernetes = connectKubernetes({ kubeconfigFile, userAgent: 'reconnects' }, createLogger('test', 'silent'));
  const collection = watchCollection<Pod>(kubernetes, {
    path: PATHS.pods,
    namespaces: [],
    read: readPod,
    key: ({ namespace, name }) => `${namespace}/${name}`,
    onChange() {},
  });
  const samples: Sample[] = [];
  for (let sample = 1; sample <= SAMPLES; sample++) {
    const due = (Number(reconnects) / SAMPLES) * sample;
    while (collection.stats.reconnects < due) await sleep(5);
    // Twice, for what the first one finalizes.
    for (let times = 0; times < 2; times++) {
      globalThis.gc?.();
      await sleep(0);
    }
    let listeners = 0;
    for (const reference of signals) {
      const signal = reference.deref();
      if (signal === undefined) signals.delete(reference);
      else listeners = Math.max(listeners, getEventListeners(signal, 'abort').length);
    }
    samples.push({
      reconnects: collection.stats.reconnects,
      heapBytes: process.memoryUsage().heapUsed,
      sockets: process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length,
      listeners,
    });
  }
  await collection.stop();
  await kubernetes.close();
  console.log(JSON.stringify(samples));
}
