import { activatorConfig } from '../../services/activator/service.ts';
import { breakerConfig } from '../../services/breaker/service.ts';
import { controllerConfig } from '../../services/controller/service.ts';
import { detectorConfig } from '../../services/detector/service.ts';
import { readConfig } from '@kubervisor/runtime/config';
import { describe, expect, test } from '@jest/globals';
import { linesToPaste } from './cluster.ts';

const CONFIGS = {
  detector: detectorConfig,
  controller: controllerConfig,
  breaker: breakerConfig,
  activator: activatorConfig,
} as const;
const platform = { kubeconfigFile: '/tmp/it is/kube', natsUrl: 'nats://127.0.0.1:4222', sourcesFile: '/tmp/s.yaml' };
const lines = linesToPaste(platform);

describe('the line to paste', () => {
  test.each(Object.keys(CONFIGS) as (keyof typeof CONFIGS)[])(
    'of the %s is an environment that it accepts',
    (service) => {
      const line = lines.find((one) => one.endsWith(` npm start -w services/${service}`)) ?? '';
      const variables = Object.fromEntries(
        [...line.matchAll(/([A-Z_]+)=('[^']*'|\S+)/g)].map(([, name, value]) => [name, value?.replaceAll("'", '')]),
      );
      expect(variables['HTTP_HOST']).toBe('127.0.0.1');
      expect(() => readConfig(CONFIGS[service], variables)).not.toThrow();
    },
  );
  test('quotes what a shell would split', () => expect(lines[1]).toContain("KUBECONFIG='/tmp/it is/kube'"));
  test('gives every service a port of its own, and the breaker that of the detector', () => {
    const ports = lines.map((line) => /HTTP_PORT=(\d+)/.exec(line)?.[1]);
    expect(new Set(ports).size).toBe(4);
    expect(lines.find((line) => line.endsWith('breaker'))).toContain(`DETECTOR_URL=http://127.0.0.1:${ports[0]} `);
  });
});
