/**
 * Identical questions that are under way at once are asked once, whoever asks; and each is asked from one of a few places, for which the namespaces wait in turn.
 * So those of one namespace wait together, but not with those of another: its queue may be the longer one.
 */
import { createSharedFlights } from './shared-flights.ts';
import type { Turns } from './turns.ts';

export interface FairFlights<T> {
  /** `start` must not reject; its signal ends when nobody waits any more. */
  join(asked: {
    namespace: string;
    key: string;
    turns: Turns;
    start: (signal: AbortSignal) => Promise<T>;
    signal: AbortSignal;
  }): Promise<Outcome<T>>;
}

/** `ended`: where it stood when its signal ended, or that too many of its namespace wait. */
export type Outcome<T> = { landed: T } | { ended: 'underWay' | 'waiting' | 'crowded' };

export function createFairFlights<T>(onShared: () => void): FairFlights<T> {
  const flights = createSharedFlights<T>(onShared);
  const queued = createSharedFlights<Outcome<T>>(onShared);

  return {
    async join({ namespace, key, turns, start, signal }) {
      const fly = async (until: AbortSignal): Promise<Outcome<T>> => {
        const place = await turns.take(namespace, until);
        if ('refused' in place) return { ended: place.refused === 'crowded' ? 'crowded' : 'waiting' };
        const landed = await flights.join(key, start, until);
        place.leave();
        return landed === undefined ? { ended: 'underWay' } : { landed };
      };
      let ended: 'underWay' | 'waiting' = 'waiting';
      const look = () => void (ended = flights.isUnderWay(key) ? 'underWay' : 'waiting');
      // Before those of the flights, which end where it is the last that waits.
      signal.addEventListener('abort', look);
      const outcome = await queued.join(JSON.stringify([namespace, key]), fly, signal);
      signal.removeEventListener('abort', look);
      return outcome ?? { ended };
    },
  };
}
