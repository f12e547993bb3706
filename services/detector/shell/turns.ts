/**
 * Places at something that namespaces share and that one of them could take whole. Whoever waits does so in the queue of its namespace, the queues are
 * served in turn, and a namespace holds no more places than it leaves free: alone at most half of them (of one that one), beside another a third each, and so on,
 * so that one which comes anew finds a place however slow the others are.
 */

export interface Turns {
  /** `weight`: what it keeps in memory while it waits. Without a signal it waits for ever. */
  take(namespace: string, signal?: AbortSignal, weight?: number): Promise<Place | { refused: Refusal }>;
  /** Those that wait get no place any more. */
  dismiss(): void;
}

export interface Place {
  /** Once. */
  leave(): void;
}

/** `late`: its signal ended before; `crowded`: too many wait. */
export type Refusal = 'late' | 'crowded' | 'dismissed';

export interface TurnsSettings {
  places: number;
  /** Of a namespace. */
  mostWaiting: number;
  /** Of all together. Beyond it the namespace that weighs most gives way, with what came last. */
  mostWeight?: number;
  /** Nobody has a place any more, and nobody waits. */
  onIdle?: () => void;
}

interface Waiting {
  weight: number;
  settle(outcome: Place | { refused: Refusal }): void;
}

export function createTurns({ places, mostWaiting, mostWeight = Infinity, onIdle }: TurnsSettings): Turns {
  /** The namespace whose turn is next first; none is empty. */
  const queues = new Map<string, Waiting[]>();
  const held = new Map<string, number>();
  let free = places;

  const mayHaveOneMore = (namespace: string): boolean => (held.get(namespace) ?? 0) < free;

  function occupy(namespace: string): Place {
    free -= 1;
    held.set(namespace, (held.get(namespace) ?? 0) + 1);
    return {
      leave() {
        free += 1;
        const left = (held.get(namespace) ?? 0) - 1;
        if (left > 0) held.set(namespace, left);
        else held.delete(namespace);
        serve();
        if (free === places) onIdle?.();
      },
    };
  }

  function serve(): void {
    for (const [namespace, [first, ...others]] of queues) {
      if (first === undefined || !mayHaveOneMore(namespace)) continue;
      queues.delete(namespace);
      if (others.length > 0) queues.set(namespace, others);
      first.settle(occupy(namespace));
    }
  }

  function remove(namespace: string, one: Waiting): void {
    const left = queues.get(namespace)?.filter((other) => other !== one) ?? [];
    if (left.length > 0) queues.set(namespace, left);
    else queues.delete(namespace);
  }

  function refuse(namespace: string, one: Waiting, refused: Refusal): void {
    remove(namespace, one);
    one.settle({ refused });
  }

  function lighten(): void {
    const weigh = (queue: readonly Waiting[]) => queue.reduce((sum, { weight }) => sum + weight, 0);
    const weighed = [...queues].map(([namespace, queue]) => ({ namespace, weight: weigh(queue) }));
    if (weighed.reduce((sum, { weight }) => sum + weight, 0) <= mostWeight) return;
    const [heaviest] = weighed.toSorted((one, other) => other.weight - one.weight);
    const last = queues.get(heaviest?.namespace ?? '')?.at(-1);
    if (heaviest !== undefined && last !== undefined) refuse(heaviest.namespace, last, 'crowded');
  }

  return {
    async take(namespace, signal, weight = 0) {
      if (signal?.aborted) return { refused: 'late' };
      const queue = queues.get(namespace) ?? [];
      if (queue.length === 0 && mayHaveOneMore(namespace)) return occupy(namespace);
      if (queue.length >= mostWaiting) return { refused: 'crowded' };
      const { promise, resolve } = Promise.withResolvers<Place | { refused: Refusal }>();
      const one: Waiting = { weight, settle: resolve };
      queues.set(namespace, [...queue, one]);
      lighten();
      const ended = (): void => refuse(namespace, one, 'late');
      signal?.addEventListener('abort', ended, { once: true });
      const outcome = await promise;
      signal?.removeEventListener('abort', ended);
      return outcome;
    },
    dismiss() {
      for (const [namespace, queue] of [...queues]) for (const one of queue) refuse(namespace, one, 'dismissed');
    },
  };
}
