/**
 * Writes every file that is generated from a declaration. With --check it writes nothing and fails with the list of those that
 * are stale. A new generated file is one more entry below.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crdManifest } from '@kubervisor/shared/crd/manifest';
import { referencePage } from '@kubervisor/shared/crd/reference';
import { detectorOpenApi } from '@kubervisor/shared/detection/openapi';
import { format } from 'prettier';
import { stringify } from 'yaml';
import { conformancePage } from '../libs/detector-kit/core/obligations.ts';
import packageManifest from '../package.json' with { type: 'json' };
import {
  chartManifest,
  chartSum,
  HELM,
  installManifest,
  natsFile,
  releaseRightsFile,
  rolesFile,
  valuesPage,
  valuesSchema,
  valuesYaml,
} from './chart.ts';
import { dashboard } from './dashboard.ts';
import { krewManifest, NO_CHECKSUM, RELEASES } from '../apps/kubectl-kubervisor/krew.ts';
import { kubectlPage } from '../apps/kubectl-kubervisor/page.ts';
import { conceptsPage } from './concepts-page.ts';
import { configurationPage, metricsPage } from './operator-pages.ts';

interface Generated {
  /** From the root of the project. */
  path: string;
  content: () => string | Promise<string>;
}

// Readers of YAML 1.1 are still about: a value such as yes or off is quoted for them.
const yaml = (value: unknown): string => stringify(value, { compat: 'yaml-1.1', lineWidth: 120 });
const json = (value: unknown): Promise<string> => format(JSON.stringify(value), { parser: 'json', printWidth: 120 });
/** As .prettierrc.json has it, which the linter holds the pages to: it looks into their code blocks, too. */
const markdown = (text: string): Promise<string> =>
  format(text, { parser: 'markdown', singleQuote: true, printWidth: 120 });

const ROOT = join(import.meta.dirname, '..');
const crdFile = (): string =>
  `# Generated from libs/shared/crd by npm run generate; do not edit.\n${yaml(crdManifest())}`;
const CHART = 'deploy/k8s/chart';
const INSTALL = 'deploy/k8s/install.yaml';

const GENERATED: readonly Generated[] = [
  { path: 'deploy/k8s/crd/kubervisorservices.yaml', content: crdFile },
  { path: `${CHART}/Chart.yaml`, content: () => yaml(chartManifest(packageManifest)) },
  { path: `${CHART}/crds/kubervisorservices.yaml`, content: crdFile },
  { path: `${CHART}/values.yaml`, content: valuesYaml },
  { path: `${CHART}/values.schema.json`, content: () => json(valuesSchema()) },
  { path: `${CHART}/files/nats.json`, content: () => json(natsFile()) },
  {
    path: `${CHART}/files/alerts.yaml`,
    content: () => readFile(join(ROOT, 'deploy/k8s/alerts/kubervisor.yaml'), 'utf8'),
  },
  { path: `${CHART}/files/dashboard.json`, content: () => json(dashboard()) },
  { path: `${CHART}/files/release-rights.json`, content: () => json(releaseRightsFile()) },
  { path: `${CHART}/files/roles.json`, content: () => json(rolesFile()) },
  { path: 'docs/detectors/openapi.json', content: () => json(detectorOpenApi()) },
  { path: 'deploy/k8s/dashboards/kubervisor.json', content: () => json(dashboard()) },
  { path: 'docs/kubectl.md', content: () => markdown(kubectlPage()) },
  {
    path: 'deploy/krew/kubervisor.yaml',
    content: () =>
      `# Generated from apps/kubectl-kubervisor by npm run generate; do not edit. Of a release: npm run release -w apps/kubectl-kubervisor.\n${yaml(krewManifest(NO_CHECKSUM, RELEASES))}`,
  },
  { path: 'docs/concepts.md', content: () => markdown(conceptsPage()) },
  { path: 'docs/detectors/conformance.md', content: () => markdown(conformancePage()) },
  { path: 'docs/reference.md', content: () => markdown(referencePage()) },
  { path: 'docs/metrics.md', content: () => markdown(metricsPage()) },
  { path: 'docs/configuration.md', content: () => markdown(configurationPage()) },
  { path: 'docs/values.md', content: () => markdown(valuesPage()) },
  // Last: it is made of the chart as it is by then.
  ...(HELM === undefined ? [] : [{ path: INSTALL, content: () => installManifest(HELM as string) }]),
];

const present = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined);

async function main(check: boolean): Promise<void> {
  const stale: string[] = [];
  for (const { path, content } of GENERATED) {
    const file = join(ROOT, path);
    const wanted = await content();
    if ((await present(file)) === wanted) continue;
    stale.push(path);
    if (check) continue;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, wanted);
  }
  if (HELM === undefined && !(await present(join(ROOT, INSTALL)))?.includes(chartSum())) {
    console.log(`${INSTALL}: stale, and only helm can render it: name it in HELM and run npm run generate`);
    process.exitCode = 1;
  }
  if (stale.length === 0) return console.log(`${GENERATED.length} generated files are up to date`);
  console.log(`${check ? 'stale, run npm run generate' : 'written'}: ${stale.join(', ')}`);
  if (check) process.exitCode = 1;
}

await main(process.argv.includes('--check'));
