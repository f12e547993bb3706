/** Leases as the API server keeps them: a write on another version than the one that stands is a conflict. */
import { ApiError } from '@kubervisor/runtime/kubernetes/api-server';
import type { Observer } from './observer.ts';

interface Lease {
  metadata: { name: string; resourceVersion: string };
  spec: unknown;
}

export class Leases {
  readonly #all = new Map<string, Lease>();
  #version = 0;
  /** From then on two may believe that they lead, each with good reason. */
  #deleted = false;
  readonly #observer: Observer;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  static has = (path: string): boolean => path.includes('/leases');

  serve(method: string, path: string, body: unknown): unknown {
    const given = body as Lease | undefined;
    const name = given?.metadata.name ?? path.slice(path.lastIndexOf('/') + 1);
    const found = this.#all.get(name);
    if (method === 'GET') {
      if (found === undefined) throw new ApiError(404, 'NotFound', 'not found');
      return found;
    }
    if (method === 'POST' && found !== undefined) throw new ApiError(409, 'AlreadyExists', 'it is there');
    if (method === 'PUT' && found === undefined) throw new ApiError(404, 'NotFound', 'not found');
    if (method === 'PUT' && given?.metadata.resourceVersion !== found?.metadata.resourceVersion)
      throw new ApiError(409, 'Conflict', 'another version stands');
    const written = { metadata: { name, resourceVersion: String((this.#version += 1)) }, spec: given?.spec };
    this.#all.set(name, written);
    if (!this.#deleted) this.#observer.leaseIsOf((written.spec as { holderIdentity: string }).holderIdentity);
    return written;
  }

  /** By a person: whoever holds it does not know yet. */
  deleteAll(): void {
    this.#all.clear();
    this.#deleted = true;
    this.#observer.leaseIsOf(undefined);
  }
}
