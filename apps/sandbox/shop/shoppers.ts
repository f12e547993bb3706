/** The shop's customers: a steady stream of requests, to the pods of the EndpointSlice and to nobody else, as a Service would send them. */
import { Agent, get } from 'node:http';

export interface Shoppers {
  /** The names of the pods in the EndpointSlice. */
  sendTo: (pods: readonly string[]) => void;
  /** What they saw in the last seconds. */
  figures: () => { requestsPerSecond: number; badPercent: number };
  /** Since the start. */
  totals: () => { requests: number; bad: number };
  stop: () => void;
}

const TICK_MS = 20;
const REMEMBERED_MS = 2000;
const TIMEOUT_MS = 1000;
/** One request in so many asks for what is not there: a 404 is a good answer. */
const ASTRAY = 25;

export function startShoppers({
  perSecond,
  portOf,
}: {
  perSecond: number;
  portOf: (pod: string) => number | undefined;
}): Shoppers {
  const agent = new Agent({ keepAlive: true });
  let endpoints: readonly string[] = [];
  let recent: { at: number; bad: boolean }[] = [];
  let [sent, requests, bad] = [0, 0, 0];
  const began = performance.now();

  const answered = (isBad: boolean): void => {
    requests += 1;
    if (isBad) bad += 1;
    recent.push({ at: performance.now(), bad: isBad });
  };
  const send = (): void => {
    const pod = endpoints[sent % Math.max(1, endpoints.length)];
    sent += 1;
    if (pod === undefined) return;
    const path = sent % ASTRAY === 0 ? '/wishlist' : '/cart';
    const request = get({ host: '127.0.0.1', port: portOf(pod) ?? 1, path, agent, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      response.once('end', () => answered((response.statusCode ?? 500) >= 500));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', () => answered(true));
  };
  let due = 0;
  let last = began;
  const timer = setInterval(() => {
    const now = performance.now();
    // Where the process was held up, the missed ones are not sent in a burst.
    due += (Math.min(now - last, 5 * TICK_MS) * perSecond) / 1000;
    last = now;
    for (; due >= 1; due -= 1) send();
    recent = recent.filter(({ at }) => at > now - REMEMBERED_MS);
  }, TICK_MS);

  return {
    sendTo(pods) {
      endpoints = pods;
    },
    figures: () => ({
      requestsPerSecond: (1000 * recent.length) / Math.max(1, Math.min(REMEMBERED_MS, performance.now() - began)),
      badPercent: recent.length === 0 ? 0 : (100 * recent.filter((one) => one.bad).length) / recent.length,
    }),
    totals: () => ({ requests, bad }),
    stop() {
      clearInterval(timer);
      agent.destroy();
    },
  };
}
