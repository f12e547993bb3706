/** A copy of all objects of a kind, kept up to date by list and watch. */
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf, type ApiClient } from '../client.ts';
import type { KubeObject } from '../objects.ts';

export interface Source {
  group?: string;
  version?: string;
  plural: string;
}

type Listener = (object: KubeObject, gone: boolean, previous: KubeObject | undefined) => void;

const keyOf = ({ metadata: { namespace = '', name } }: KubeObject) => `${namespace}/${name}`;
const revisionOf = ({ metadata }: KubeObject) => Number(metadata.resourceVersion);

/** Before the next list after a watch that ended in an error. */
const PAUSE_MS = 200;
const WATCH_SECONDS = 240;

export class Mirror {
  readonly #client: ApiClient;
  readonly #path: string;
  readonly #listener: Listener;
  readonly #objects = new Map<string, Map<string, KubeObject>>();

  constructor(client: ApiClient, source: Source, listener: Listener) {
    this.#client = client;
    this.#path = pathOf(source);
    this.#listener = listener;
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key.slice(0, key.indexOf('/')))?.get(key);
  }

  in(namespace: string): Iterable<KubeObject> {
    return this.#objects.get(namespace)?.values() ?? [];
  }

  *all(): Iterable<KubeObject> {
    for (const objects of this.#objects.values()) yield* objects.values();
  }

  /** What an answer to our own write says, so that the next decision does not rest on the state before it. */
  note(object: KubeObject): void {
    const key = keyOf(object);
    const known = this.get(key);
    if (known !== undefined && revisionOf(known) >= revisionOf(object)) return;
    const namespace = object.metadata.namespace ?? '';
    let objects = this.#objects.get(namespace);
    if (objects === undefined) this.#objects.set(namespace, (objects = new Map()));
    objects.set(key, object);
    this.#listener(object, false, known);
  }

  forget(object: KubeObject): void {
    const known = this.get(keyOf(object));
    if (known === undefined || known.metadata.uid !== object.metadata.uid) return;
    this.#objects.get(object.metadata.namespace ?? '')?.delete(keyOf(object));
    this.#listener(object, true, known);
  }

  /** Until the signal fires. `synced` is called after the first list. */
  async run(signal: AbortSignal, synced: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        const list = await this.#client.call('GET', this.#path, { signal });
        const { resourceVersion } = list.metadata;
        const items = list.items ?? [];
        const listed = new Set(items.map(keyOf));
        for (const object of [...this.all()])
          if (!listed.has(keyOf(object)) && revisionOf(object) <= Number(resourceVersion)) this.forget(object);
        for (const item of items) this.note(item);
        synced();
        await this.#follow(resourceVersion, signal);
      } catch {
        // The server is away, refuses or has forgotten the past: list anew.
        await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #follow(from: string, signal: AbortSignal): Promise<void> {
    let resourceVersion = from;
    while (!signal.aborted) {
      const query = { resourceVersion, allowWatchBookmarks: true, timeoutSeconds: WATCH_SECONDS };
      for await (const { type, object } of this.#client.watch(this.#path, query, signal)) {
        if (type === 'ERROR') return;
        resourceVersion = object.metadata.resourceVersion;
        if (type === 'DELETED') this.forget(object);
        else if (type !== 'BOOKMARK') this.note(object);
      }
    }
  }
}
