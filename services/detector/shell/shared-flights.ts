/** Identical questions that are under way at once are asked once. Each asker keeps its own deadline. */
import { orEnd } from './or-end.ts';

export interface SharedFlights<T> {
  /**
   * What `start` answers, or undefined where `signal` ended first. `start` must not reject; its own signal ends when nobody waits
   * any more.
   */
  join(key: string, start: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T | undefined>;
  isUnderWay(key: string): boolean;
}

interface Flight<T> {
  answer: Promise<T>;
  controller: AbortController;
  waiting: number;
  answered: boolean;
}

export function createSharedFlights<T>(onShared: () => void): SharedFlights<T> {
  const flights = new Map<string, Flight<T>>();

  const take = (key: string, start: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const present = flights.get(key);
    if (present !== undefined) {
      onShared();
      return present;
    }
    const controller = new AbortController();
    const flight = { answer: start(controller.signal), controller, waiting: 0, answered: false };
    void flight.answer.then(() => (flight.answered = true));
    flights.set(key, flight);
    return flight;
  };

  return {
    isUnderWay: (key) => flights.has(key),
    async join(key, start, signal) {
      if (signal.aborted) return undefined;
      const flight = take(key, start);
      flight.waiting += 1;
      try {
        return await orEnd(flight.answer, signal);
      } finally {
        flight.waiting -= 1;
        // Answered, or given up by the last who waited: either way the next one asks anew.
        if (!signal.aborted || flight.waiting === 0) {
          if (flights.get(key) === flight) flights.delete(key);
          if (flight.waiting === 0 && !flight.answered) flight.controller.abort();
        }
      }
    },
  };
}
