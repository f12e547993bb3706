/** The Dockerfile, by a Docker engine: what an image of ours adds to its base, as whom it runs, and that what it holds is all it needs. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { describeUnless } from '@kubervisor/testing/needs';
import { BASE_IMAGE as base, docker, hasEngine, hasImage } from '@kubervisor/testing/servers/docker';

jest.setTimeout(600_000);
const SERVICES = ['controller', 'breaker', 'activator', 'detector', 'release', 'sandbox'];
const MEGABYTE = 1_000_000;

const missing = !hasEngine()
  ? ['no Docker engine']
  : !hasImage(base)
    ? [`the engine has no image ${base}; another with Node 24 and npm: TEST_BASE_IMAGE`]
    : [];

interface Image {
  Size: number;
  Config: { User: string; Labels: Record<string, string>; Healthcheck?: unknown; Env: string[] };
}
const inspect = (image: string): Image => (JSON.parse(docker('image', 'inspect', image).stdout) as [Image])[0];
const tagOf = (service: string): string => `localhost/kubervisor-test/${service}:1.2.3`;

describeUnless(missing, 'images')('images', () => {
  beforeAll(() => {
    for (const service of SERVICES) {
      const options = { BASE: base, SERVICE: service, VERSION: '1.2.3', REVISION: 'abc' };
      const words = Object.entries(options).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
      const { status, stdout, stderr } = docker('build', '--network', 'host', ...words, '--tag', tagOf(service), '.');
      expect({ service, status, said: status === 0 ? '' : `${stdout}\n${stderr}` }).toMatchObject({ status: 0 });
    }
  });
  afterAll(() => void docker('image', 'rm', ...SERVICES.map(tagOf)));

  test.each(SERVICES)('%s adds at most 10 MB to its base', (service) => {
    const added = inspect(tagOf(service)).Size - inspect(base).Size;
    expect(added).toBeGreaterThan(MEGABYTE);
    expect(added).toBeLessThanOrEqual(10 * MEGABYTE);
  });

  test.each(SERVICES)('%s says what it is, is not root, and leaves its health to probes', (service) => {
    const { Config } = inspect(tagOf(service));
    expect(Config.User).toBe('65532:65532');
    expect(Config.Healthcheck).toBeUndefined();
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': `kubervisor ${service}`,
      'org.opencontainers.image.version': '1.2.3',
      'org.opencontainers.image.revision': 'abc',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });

  const run = (service: string, ...words: string[]) =>
    docker('run', '--rm', '--read-only', '--network', 'none', '--cap-drop', 'ALL', tagOf(service), ...words);

  test.each(['controller', 'breaker', 'activator'])('%s starts and tells what it is not told', (service) => {
    const { status, stderr } = run(service);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('NATS_URL: not set') });
  });

  test.each([
    ['release', '--system-namespace'],
    ['sandbox', 'docker compose up'],
  ])('%s starts', (service, words) => {
    expect(run(service, '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining(words) });
  });

  test('the detector serves from a file system that nobody may write to', () => {
    const { stdout: container } = docker('run', '--detach', '--read-only', '--network', 'none', tagOf('detector'));
    try {
      const ask = `
          const until = Date.now() + 60000;
          const ask = () => fetch('http://127.0.0.1:8080/readyz').then((answer) => answer.status, (error) => {
            if (Date.now() > until) throw error;
            return new Promise((done) => setTimeout(done, 200)).then(ask);
          });
          ask().then((status) => console.log(status));`;
      const asked = docker('exec', container, 'node', '--eval', ask);
      expect({ asked: asked.stdout, logs: docker('logs', container).stdout }).toMatchObject({ asked: '200' });
    } finally {
      docker('rm', '--force', container);
    }
  });
});
