/** docker-compose.yml says what the demo, the services and the chart take for granted; that it runs: deploy/compose.integration.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { parse } from 'yaml';
import { activatorConfig } from '../../services/activator/service.ts';
import { breakerConfig } from '../../services/breaker/service.ts';
import { controllerConfig } from '../../services/controller/service.ts';
import { detectorConfig } from '../../services/detector/service.ts';
import { HOST, KUBERNETES_PORT, TARGETS_PORT } from './containers.ts';
import { environmentOf, REPLICAS, SERVICES } from './services.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): unknown => parse(readFileSync(join(ROOT, file), 'utf8'), { merge: true });

interface Container {
  build?: { args: { SERVICE: string; BASE: string } };
  image?: string;
  environment?: Record<string, string>;
  deploy?: { replicas: number };
  ports?: string[];
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  attach?: boolean;
}
const { services: containers, configs } = read('docker-compose.yml') as {
  services: Record<string, Container>;
  configs: Record<string, { file: string }>;
};
const SCHEMAS = {
  detector: detectorConfig,
  controller: controllerConfig,
  breaker: breakerConfig,
  activator: activatorConfig,
} as const;

describe.each(SERVICES)('the container %s', (service) => {
  const { environment = {}, deploy, build } = containers[service] as Container;
  test('has an environment that the service accepts, the one of the demo but for where things are', () => {
    const config = readConfig(SCHEMAS[service], environment);
    expect(config.HTTP_PORT).toBe(8080);
    const platform = { kubeconfigFile: 'file', natsUrl: 'nats://nats', sourcesFile: 'file' };
    const { DETECTOR_SOURCES: _, ...demo } = environmentOf(service, platform, 'http://detector');
    const { DETECTOR_ALLOW: __, ...own } = environment;
    expect(Object.keys(own).sort()).toEqual(Object.keys(demo).sort());
    expect(own['LEASE_DURATION_SECONDS']).toBe(demo['LEASE_DURATION_SECONDS']);
  });
  test('is there as often as in the demo, and built from here', () => {
    expect(deploy?.replicas ?? 1).toBe(REPLICAS[service]);
    expect(build?.args).toEqual({ SERVICE: service, BASE: '${BASE:-node:24-slim}' });
  });
});

test('every container may write nothing but its temporary files, and has no rights of the host', () => {
  for (const [name, { read_only, cap_drop, security_opt }] of Object.entries(containers))
    expect([name, read_only, cap_drop, security_opt]).toEqual([name, true, ['ALL'], ['no-new-privileges:true']]);
});

test('nobody but the host reaches the API, which knows no accounts', () => {
  const ports = Object.values(containers).flatMap(({ ports = [] }) => ports);
  expect(ports).toHaveLength(2);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+-\d+\}:\d+$/);
  expect(ports).toContain(`127.0.0.1:\${KUBERNETES_PORT-${KUBERNETES_PORT}}:${KUBERNETES_PORT}`);
});

test('`docker compose up` shows the story and nothing else', () => {
  const shown = Object.entries(containers).filter(([, { attach }]) => attach !== false);
  expect(shown.map(([name]) => name)).toEqual([HOST]);
});

test('NATS is that of the chart, and images have exact tags', () => {
  const { nats } = read('deploy/k8s/chart/values.yaml') as { nats: { image: string } };
  expect(containers['nats']?.image).toBe(`\${NATS_IMAGE:-${nats.image}}`);
  expect(containers['prometheus']?.image).toMatch(/^\$\{PROMETHEUS_IMAGE:-prom\/prometheus:v\d+\.\d+\.\d+\}$/);
});

test('kubeconfigs and Prometheus lead to where the demo listens', () => {
  const server = (file: string) =>
    (read(file) as { clusters: { cluster: { server: string } }[] }).clusters[0]?.cluster.server;
  expect(server('deploy/compose/kubeconfig.yaml')).toBe(`http://127.0.0.1:${KUBERNETES_PORT}`);
  expect(server(configs['kubeconfig']?.file ?? '')).toBe(`http://${HOST}:${KUBERNETES_PORT}`);
  const prometheus = read(configs['prometheus']?.file ?? '') as { scrape_configs: Record<string, unknown>[] };
  expect(prometheus.scrape_configs).toEqual([
    expect.objectContaining({
      http_sd_configs: [expect.objectContaining({ url: `http://${HOST}:${TARGETS_PORT}/` })],
    }),
    expect.objectContaining({
      dns_sd_configs: [expect.objectContaining({ names: expect.arrayContaining([...SERVICES]) })],
    }),
  ]);
});
