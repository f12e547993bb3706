/**
 * What the pages tell people to run or to apply works. A command is run here, or by the test that is named for it; one that is in neither
 * list fails, and so does a manifest that the API server would refuse.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { describeUnless } from '@kubervisor/testing/needs';
import { parseAllDocuments, stringify } from 'yaml';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })].sort();
const blocksOf = (page: string, language: string): string[] =>
  [...read(page).matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].flatMap(([, found, text = '']) =>
    found === language ? [text] : [],
  );
/** A line is a command; a backslash at its end goes on, and what follows ` #` is a remark. */
const commandsOf = (block: string): string[] =>
  block
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '');

/** Pages whose commands and manifests a test of their own takes from them. */
const OWN_TEST: Readonly<Record<string, string>> = {
  'docs/kubectl.md': 'e2e/kubectl.kubernetes.test.ts',
  'docs/getting-started.md': 'e2e/installation.kubernetes.test.ts',
  'docs/detectors/write-your-own.md': 'libs/detector-kit/package.test.ts',
  'docs/detectors/sources.md': 'services/detector/core/sources-file.test.ts',
};
/** What a test of this kind cannot run: who runs it, and by which words there. */
const ELSEWHERE: readonly (readonly [command: RegExp, where: string, words: string])[] = [
  [/^npm ci$/, '.ci/run', 'npm ci'],
  [/^npm test( -- --selectProjects kubernetes)?$/, '.ci/run', '--selectProjects kubernetes'],
  [/^npm run (build|lint|generate)$/, '.ci/run', 'npm run -s'],
  // These three, one after the other.
  [/^npm run check$/, 'package.json', 'npm run generate -- --check && npm run build && npm run lint && npm test'],
  [/^npm run demo$/, 'apps/sandbox/main.integration.test.ts', 'demo'],
  [/^docker compose (up --build|down)$/, 'deploy/compose.integration.test.ts', 'docker-compose.yml'],
  [/^npm run release( -- --dry-run)?$/, 'e2e/uninstall.kubernetes.test.ts', 'release'],
  [/^(HTTP_PORT=\d+ )(DETECTOR_URL=\S+ )?npm start -w services\/\w+$/, 'libs/testing/services.ts', 'HTTP_PORT'],
  [/^export (KUBECONFIG|KUBEBUILDER_ASSETS)=/, 'libs/testing/kubernetes/cluster.ts', 'KUBEBUILDER_ASSETS'],
  [/^helm (install|upgrade|uninstall|test) kubervisor /, 'e2e/installation.kubernetes.test.ts', 'helm'],
];

const kubectl = ((): string | undefined => {
  for (const program of [join(process.env['KUBEBUILDER_ASSETS'] ?? '', 'kubectl'), 'kubectl']) {
    try {
      execFileSync(program, ['version', '--client'], { stdio: 'ignore' });
      return program;
    } catch {
      // The next.
    }
  }
  return undefined;
})();

/** A Deployment of the old name for the migration, a Service that takes part, and a resource to switch. */
const GIVEN = [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'kubervisor' },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'kubervisor' } },
      template: {
        metadata: { labels: { app: 'kubervisor' } },
        spec: { containers: [{ name: 'main', image: 'main' }] },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'cart' },
    spec: { selector: { app: 'cart', [LABEL.traffic]: 'yes' }, ports: [{ port: 80 }] },
  },
  {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name: 'cart' },
    spec: { service: 'cart', breakers: [{ name: 'errors', customService: 'judge' }] },
  },
];

const commands = pages
  .filter((page) => OWN_TEST[page] === undefined)
  .flatMap((page) =>
    blocksOf(page, 'sh')
      .flatMap(commandsOf)
      .map((command) => [page, command] as const),
  );
const isKubectl = ([, command]: readonly [string, string]): boolean => command.startsWith('kubectl ');

test.each(Object.entries(OWN_TEST).filter(([page]) => pages.includes(page)))(
  '%s is the business of %s',
  (page, own) => {
    expect(read(own)).toContain(page);
  },
);

test.each(commands.filter((one) => !isKubectl(one)))('%s: `%s` is run by a test', (_page, command) => {
  const [, where, words] = ELSEWHERE.find(([pattern]) => pattern.test(command)) ?? [];
  expect([command, where]).toEqual([command, expect.any(String)]);
  expect(read(where ?? '')).toContain(words);
});

describeUnless(
  kubectl === undefined ? ['no kubectl, neither in KUBEBUILDER_ASSETS nor on PATH'] : [],
  'the commands of the pages',
)('on a cluster', () => {
  let cluster: TestCluster;
  let namespace: string;
  const env = () => ({ PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: cluster.kubeconfig });
  const ask = (...words: string[]) =>
    run(kubectl ?? '', ['--namespace', namespace, ...words], { env: env(), cwd: root }).then(({ stdout }) => stdout);
  const apply = async (manifests: unknown[], ...more: string[]): Promise<string> => {
    const child = spawn(kubectl ?? '', ['--namespace', namespace, 'apply', ...more, '-f', '-'], { env: env() });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    child.stdin.end(manifests.map((manifest) => `---\n${stringify(manifest, { version: '1.1' })}`).join(''));
    const status = await new Promise((resolve) => child.once('close', resolve));
    if (status !== 0) throw new Error(`kubectl apply: ${said}`);
    return said;
  };

  beforeAll(async () => {
    cluster = await startCluster();
    namespace = await cluster.namespace();
    await ask('apply', '-f', 'deploy/k8s/crd');
    await ask('wait', '--for=condition=Established', 'crd/kubervisorservices.kubervisor.k8s.io', '--timeout=30s');
    await apply(GIVEN);
  }, 120_000);
  afterAll(() => cluster.stop(), 60_000);

  test.each(commands.filter(isKubectl))('%s: `%s` works', async (_page, command) => {
    const words = command.match(/'[^']*'|\S+/g)?.map((word) => word.replaceAll("'", '')) ?? [];
    await ask(...words.slice(1));
  });

  const manifests = pages
    .filter((page) => OWN_TEST[page] === undefined)
    .flatMap((page) =>
      blocksOf(page, 'yaml').flatMap((block) =>
        parseAllDocuments(block).map((document) => [page, document.toJS() as Record<string, unknown>] as const),
      ),
    );
  test.each(manifests.filter(([, { kind }]) => kind !== undefined))('%s: %j is accepted', async (_page, manifest) => {
    expect(await apply([manifest], '--dry-run=server')).toContain('server dry run');
  });
  test.each(manifests.filter(([, { breakers }]) => breakers !== undefined))(
    '%s: the breakers %j are accepted',
    async (_page, fragment) => {
      const resource = { apiVersion: API_VERSION, kind: KIND, metadata: { name: 'fragment' } };
      const spec = { service: 'cart', ...fragment };
      expect(await apply([{ ...resource, spec }], '--dry-run=server')).toContain('server dry run');
    },
  );
  test('and there is no other kind of YAML but Prometheus’ own, which promtool knows', () => {
    const others = manifests.filter(([, { kind, breakers }]) => kind === undefined && breakers === undefined);
    expect(others.map(([page, { scrape_configs }]) => [page, Array.isArray(scrape_configs)])).toEqual([
      ['docs/alerts.md', true],
    ]);
  });
});
