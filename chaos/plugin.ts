/**
 * The detectors' plug-in of all fleets, by a path for each breaker, `/FLEET/BREAKER`. Who is bad is a matter of chance that goes on for
 * a while, and it may hang or answer garbage.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '@kubervisor/testing/random';
import { FAULTS, type Respond } from '../e2e/fixtures/plugin.ts';

export { FAULTS };

export interface ChaosPlugin {
  readonly address: string;
  /** Names of the pods of a fleet from now on; who is new among them is bad or not by chance. */
  fleetIs(fleet: string, pods: readonly string[]): void;
  /** Share of a fleet that is bad at one time; 0: all are well at once. */
  badShare(fleet: string, share: number): void;
  /** How every breaker of the fleet is answered; undefined: soundly. */
  fails(fleet: string, respond: ((body: string) => Respond) | undefined): void;
  /** Requests for the verdicts of a breaker, by path. */
  readonly asked: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** Milliseconds that a pod is bad: mostly a moment, sometimes long enough to be broken again and again. */
const MOMENT = { least: 2000, most: 8000 };
const LONG = { least: 20_000, most: 60_000 };

export async function startPlugin(namespace: string, random: Random): Promise<ChaosPlugin> {
  const members = new Map<string, readonly string[]>();
  const shares = new Map<string, number>();
  const failing = new Map<string, (body: string) => Respond>();
  const asked = new Map<string, number>();
  /** By fleet and pod: until when it is bad. */
  const badUntil = new Map<string, number>();

  const badOf = (fleet: string): string[] => {
    const now = performance.now();
    const pods = members.get(fleet) ?? [];
    const isBad = (pod: string): boolean => (badUntil.get(`${fleet}/${pod}`) ?? 0) > now;
    const wanted = Math.round(pods.length * (shares.get(fleet) ?? 0));
    const well = pods.filter((pod) => !isBad(pod));
    for (let missing = wanted - (pods.length - well.length); missing > 0 && well.length > 0; missing--) {
      const [pod] = well.splice(random.integer(0, well.length - 1), 1);
      const { least, most } = random.chance(0.3) ? LONG : MOMENT;
      badUntil.set(`${fleet}/${pod}`, now + random.between(least, most));
    }
    return wanted === 0 ? [] : pods.filter(isBad);
  };

  const server = createServer((request, response) => {
    const [, fleet = '', breaker = ''] = (request.url ?? '').split('?')[0]?.split('/') ?? [];
    const path = `${fleet}/${breaker}`;
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const items = badOf(fleet).map((name) => ({ metadata: { name, namespace } }));
    const body = JSON.stringify({ kind: 'PodList', apiVersion: 'v1', items });
    request.resume();
    request.on('end', () => {
      const respond = failing.get(fleet);
      if (respond !== undefined) return respond(body)(request, response);
      response.setHeader('content-type', 'application/json');
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    fleetIs(fleet, pods) {
      members.set(fleet, pods);
      for (const key of badUntil.keys())
        if (key.startsWith(`${fleet}/`) && !pods.includes(key.slice(fleet.length + 1))) badUntil.delete(key);
    },
    badShare(fleet, share) {
      shares.set(fleet, share);
      if (share > 0) return;
      for (const key of badUntil.keys()) if (key.startsWith(`${fleet}/`)) badUntil.delete(key);
    },
    fails(fleet, respond) {
      if (respond === undefined) failing.delete(fleet);
      else failing.set(fleet, respond);
    },
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
