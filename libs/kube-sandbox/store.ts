/**
 * What the simulator remembers: objects by kind, namespace and name, one revision counter for all of them, and of each kind
 * the last changes, from which a watch resumes. It outlives the HTTP server: a "restart" gives the same state to a new one.
 */
import type { KubeObject } from './objects.ts';

export interface Change {
  revision: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** After the change; of a deletion the last state, with the revision of the deletion. */
  object: KubeObject;
  previous?: KubeObject;
}

type Listener = (change: Change) => void;

interface Collection {
  namespaces: Map<string, Map<string, KubeObject>>;
  changes: Change[];
  /** Every change after this revision is in `changes`. */
  completeSince: number;
  listeners: Set<Listener>;
}

/** How many changes of a kind are kept; a watch that wants older ones is answered 410. */
const HISTORY = 20_000;

export class KubeState {
  #revision = 1;
  readonly #collections = new Map<string, Collection>();
  /** What each manager applied last: for server-side apply. */
  readonly applied = new Map<string, unknown>();

  get revision(): number {
    return this.#revision;
  }

  #collection(key: string): Collection {
    let collection = this.#collections.get(key);
    if (collection === undefined) {
      collection = { namespaces: new Map(), changes: [], completeSince: this.#revision, listeners: new Set() };
      this.#collections.set(key, collection);
    }
    return collection;
  }

  get(key: string, namespace: string, name: string): KubeObject | undefined {
    return this.#collections.get(key)?.namespaces.get(namespace)?.get(name);
  }

  /** By namespace, then by name. */
  list(key: string, namespace?: string): KubeObject[] {
    const { namespaces } = this.#collection(key);
    const sorted = (objects: Map<string, KubeObject> | undefined) =>
      [...(objects ?? [])].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, object]) => object);
    if (namespace !== undefined) return sorted(namespaces.get(namespace));
    return [...namespaces.keys()].sort().flatMap((name) => sorted(namespaces.get(name)));
  }

  keys(): string[] {
    return [...this.#collections.keys()];
  }

  /** Stores the object under the next revision and tells the watchers. */
  put(key: string, object: KubeObject): KubeObject {
    const collection = this.#collection(key);
    const { namespace = '', name } = object.metadata;
    let objects = collection.namespaces.get(namespace);
    if (objects === undefined) collection.namespaces.set(namespace, (objects = new Map()));
    const previous = objects.get(name);
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#revision) } };
    objects.set(name, stored);
    this.#tell(collection, {
      revision: this.#revision,
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      object: stored,
      ...(previous !== undefined && { previous }),
    });
    return stored;
  }

  remove(key: string, namespace: string, name: string): KubeObject | undefined {
    const collection = this.#collection(key);
    const objects = collection.namespaces.get(namespace);
    const previous = objects?.get(name);
    if (objects === undefined || previous === undefined) return undefined;
    objects.delete(name);
    const gone = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(++this.#revision) } };
    this.#tell(collection, { revision: this.#revision, type: 'DELETED', object: gone, previous });
    return gone;
  }

  #tell(collection: Collection, change: Change): void {
    collection.changes.push(change);
    if (collection.changes.length > 2 * HISTORY) {
      const dropped = collection.changes.splice(0, HISTORY);
      collection.completeSince = dropped.at(-1)?.revision ?? collection.completeSince;
    }
    for (const listener of collection.listeners) listener(change);
  }

  /** The changes after a revision; undefined where they are no longer known (410). */
  changesSince(key: string, revision: number): Change[] | undefined {
    const { changes, completeSince } = this.#collection(key);
    if (revision < completeSince) return undefined;
    let low = 0;
    let high = changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return changes.slice(low);
  }

  subscribe(key: string, listener: Listener): () => void {
    const { listeners } = this.#collection(key);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Forgets past changes, as etcd's compaction does: every watch that resumes from the past is answered 410. */
  compact(): void {
    this.#revision += 1;
    for (const collection of this.#collections.values()) {
      collection.changes = [];
      collection.completeSince = this.#revision;
    }
  }
}
