/** What an operator sees: a real Prometheus scrapes the real services, with the alert rules, and is asked all that the dashboard asks. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startPrometheus, type PrometheusServer } from '@kubervisor/testing/servers/prometheus';
import { ROWS } from '../scripts/dashboard.ts';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
let world: World;
let prometheus: PrometheusServer;

/** What a loop without trouble does not count, or nobody has: the query has to be right all the same. */
const NOTHING_YET = [
  'kubervisor_pauses_total',
  'kubervisor_kills_total',
  'kubervisor_activations_withheld_total',
  'kubervisor_untold_rounds_total',
  'kubervisor_detector_ignored_total',
  'kubervisor_work_published_total{result="failed"}',
];

interface Answer<Data> {
  status: string;
  error?: string;
  data: Data;
}
const ask = async <Data>(path: string): Promise<Answer<Data>> =>
  (await (await fetch(`${prometheus.url}/api/v1/${path}`)).json()) as Answer<Data>;
const query = (expr: string) =>
  ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
    `query?${new URLSearchParams({ query: expr }).toString()}`,
  );
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const limit = performance.now() + 30_000; performance.now() < limit;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`not within 30 s: ${what}`);
}

beforeAll(async () => {
  world = await startWorld();
  const rules = join(import.meta.dirname, '../deploy/k8s/alerts/kubervisor.yaml');
  // JSON is YAML.
  const configYaml = JSON.stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [rules],
    scrape_configs: [
      {
        job_name: 'kubervisor',
        honor_labels: true,
        static_configs: [{ targets: world.processes.map(({ url }) => new URL(url).host) }],
      },
    ],
  });
  prometheus = await startPrometheus({ configYaml });
  const then = thenIn(world);
  const when = whenIn(world);
  const [bad = '', worse = ''] = await givenIn(world).fleet(fleet, { replicas: 4 });
  await givenIn(world).supervision(fleet, { minPodsAvailableCount: 3, activator: { period: 3, jitter: 0 } });
  // Twice, so that counters which began with the first have grown since.
  for (let round = 0; round < 2; round++) {
    // One of the two is withheld: the floor is three of four.
    when.isBad(bad, worse);
    await world.until('one is out', () => then.out(fleet).length === 1);
    await world.until('and one withheld', () => /FloorReached/.test(world.status(fleet)?.breakers?.[0]?.message ?? ''));
    when.allIsWell();
    await then.isInTraffic(fleet, bad, worse);
  }
}, 120_000);
afterAll(async () => {
  await prometheus.stop();
  await world.stop();
}, 60_000);

test('all alert rules are evaluated without an error, and where all is well none of them fires', async () => {
  interface Group {
    rules: { name: string; health: string; lastError?: string; state: string }[];
  }
  const rules = await until('every rule was evaluated', async () => {
    const all = (await ask<{ groups: Group[] }>('rules')).data.groups.flatMap((group) => group.rules);
    return all.every(({ health }) => health !== 'unknown') && all.length > 0 ? all : undefined;
  });
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  expect(rules.filter(({ state }) => state === 'firing')).toEqual([]);
});

const queries = ROWS.flatMap(({ panels }) =>
  panels.flatMap(({ title, queries: all }) => all.map(({ expr }) => [title, expr] as const)),
);
test.each(queries)(
  'the dashboard’s "%s" has something to show: %s',
  async (_title, expr) => {
    const asked = expr.replaceAll(/\$(namespace|name)\b/g, '.*').replaceAll('$__rate_interval', '30s');
    const isEmpty = NOTHING_YET.some((text) => {
      const [, name = '', matcher = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(text) ?? [];
      return expr.includes(name) && expr.includes(matcher);
    });
    const first = await query(asked);
    expect(first).toMatchObject({ status: 'success' });
    if (isEmpty) return;
    const result = await until(`${asked} answers`, async () => {
      const { data } = await query(asked);
      return data.result.length > 0 ? data.result : undefined;
    });
    expect(result.length).toBeGreaterThan(0);
  },
  60_000,
);

test('labels are the resource’s own', async () => {
  const { data } = await query('kubervisor_fleet_pods{state="available"}');
  expect(data.result.map(({ metric }) => metric)).toEqual([
    expect.objectContaining({ namespace: world.namespace, name: fleet }),
  ]);
});
