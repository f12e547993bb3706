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
import { dashboard } from './dashboard.ts';
import { lifeCyclePage } from './life-cycle-page.ts';
import { configurationPage, metricsPage } from './operator-pages.ts';

interface Generated {
  /** From the root of the project. */
  path: string;
  content: () => string | Promise<string>;
}

// Readers of YAML 1.1 are still about: a value such as yes or off is quoted for them.
const yaml = (value: unknown): string => stringify(value, { compat: 'yaml-1.1', lineWidth: 120 });
const markdown = (text: string): Promise<string> => format(text, { parser: 'markdown' });

const GENERATED: readonly Generated[] = [
  {
    path: 'deploy/k8s/crd/kubervisorservices.yaml',
    content: () => `# Generated from libs/shared/crd by npm run generate; do not edit.\n${yaml(crdManifest())}`,
  },
  {
    path: 'docs/detectors/openapi.json',
    content: () => format(JSON.stringify(detectorOpenApi()), { parser: 'json', printWidth: 120 }),
  },
  {
    path: 'deploy/k8s/dashboards/kubervisor.json',
    content: () => format(JSON.stringify(dashboard()), { parser: 'json', printWidth: 120 }),
  },
  { path: 'docs/life-cycle.md', content: () => markdown(lifeCyclePage()) },
  { path: 'docs/reference.md', content: () => markdown(referencePage()) },
  { path: 'docs/metrics.md', content: () => markdown(metricsPage()) },
  { path: 'docs/configuration.md', content: () => markdown(configurationPage()) },
];

const ROOT = join(import.meta.dirname, '..');
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
  if (stale.length === 0) return console.log(`${GENERATED.length} generated files are up to date`);
  console.log(`${check ? 'stale, run npm run generate' : 'written'}: ${stale.join(', ')}`);
  if (check) process.exitCode = 1;
}

await main(process.argv.includes('--check'));
