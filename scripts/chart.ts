/** The generated part of the chart: values, their schema and their page, and what templates read with .Files. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PERMISSIONS } from '@kubervisor/runtime/nats/permissions';
import { CONSUMERS } from '@kubervisor/shared/events/subjects';
import { WRITERS } from '@kubervisor/shared/installation';
import { RELEASE_RIGHTS, type Right } from '@kubervisor/shared/release/rights';
import { lookForProgram } from '@kubervisor/testing/servers/install';
import { Document, isMap, isScalar, type Pair, type YAMLMap } from 'yaml';
import * as z from 'zod';
import { ROLES } from '../apps/kubectl-kubervisor/rights.ts';
import { values } from '../deploy/k8s/values.ts';
import { table } from './markdown.ts';

export function chartManifest({ version, description }: { version: string; description: string }): object {
  return {
    apiVersion: 'v2',
    name: 'kubervisor',
    description,
    type: 'application',
    version,
    appVersion: version,
    // A pod may sleep before it ends.
    kubeVersion: '>=1.30.0-0',
    keywords: ['circuit-breaker', 'outlier-detection', 'traffic'],
  };
}

/** The defaults, each below its description. */
export function valuesYaml(): string {
  const document = new Document(values.parse({}), { compat: 'yaml-1.1' });
  document.commentBefore = ' Generated from deploy/k8s/values.ts by npm run generate; do not edit.';
  if (isMap(document.contents)) describe(document.contents as YAMLMap, values, 0);
  return document.toString({ lineWidth: 0 });
}

function describe(map: YAMLMap, schema: z.ZodObject, depth: number): void {
  for (const pair of map.items as Pair[]) {
    if (!isScalar(pair.key)) continue;
    const field = schema.shape[String(pair.key.value)] as z.ZodType | undefined;
    if (field === undefined) continue;
    if (field.description) pair.key.commentBefore = ` ${field.description}`;
    if (depth === 0) pair.key.spaceBefore = true;
    const inner = sectionOf(field);
    if (inner !== undefined && isMap(pair.value)) describe(pair.value as YAMLMap, inner, depth + 1);
  }
}

/** A section is an object with a default of its parts'; what has a default of its own is one value. */
const sectionOf = (field: z.ZodType): z.ZodObject | undefined =>
  field instanceof z.ZodPrefault && field.unwrap() instanceof z.ZodObject ? (field.unwrap() as z.ZodObject) : undefined;

export function valuesSchema(): object {
  const schema = z.toJSONSchema(values, { target: 'draft-7', io: 'input' });
  requireDefaults(values, schema as Node);
  return { title: 'Values of the chart', ...schema };
}

interface Node {
  properties: Record<string, Node>;
  required?: string[];
}
/**
 * Every value has a default in values.yaml, so what lacks was taken away: by `--reuse-values`, which knows the defaults of the older chart
 * alone, and would end in a template. What may be empty as well may lack, for that is what Helm makes of a key with nothing behind it.
 */
function requireDefaults(schema: z.ZodObject, node: Node): void {
  const required = Object.entries(schema.shape).flatMap(([name, field]) => {
    const inner = sectionOf(field as z.ZodType);
    const child = node.properties[name];
    if (inner !== undefined && child !== undefined) requireDefaults(inner, child);
    const unset: unknown = (field as z.ZodType).safeParse(undefined).data;
    const isNeeded = inner !== undefined || (Boolean(unset) && typeof unset !== 'object') || typeof unset === 'boolean';
    return isNeeded && !(field as z.ZodType).safeParse(null).success ? [name] : [];
  });
  node.required = required;
}

export function valuesPage(): string {
  const rows = (schema: z.ZodObject, path: string[]): string[][] =>
    Object.entries(schema.shape).flatMap(([name, field]) => {
      const inner = sectionOf(field as z.ZodType);
      if (inner !== undefined) return rows(inner, [...path, name]);
      const unset = (field as z.ZodType).safeParse(undefined).data;
      const shown = unset === undefined ? '' : `\`${JSON.stringify(unset)}\``;
      const meaning = (field as z.ZodType).description ?? '';
      return [[`\`${[...path, name].join('.')}\``, shown, meaning]];
    });
  return [
    '# Values of the chart',
    '<!-- Generated from deploy/k8s/values.ts by npm run generate; do not edit. -->',
    'A value that is not here, or not of this kind, is refused by `helm install`.',
    table(['value', 'default', 'meaning'], rows(values, [])),
    '',
  ].join('\n\n');
}

/** What the built-in NATS lets each of us do, and where the work of the breakers waits. */
export const natsFile = (): object => ({
  users: PERMISSIONS,
  evaluations: { stream: CONSUMERS.evaluate.stream, consumer: CONSUMERS.evaluate.durable },
});

/** Rules of the account of a release, by where it has them; of KEDA only where the chart makes a ScaledObject. */
export function releaseRightsFile(): object {
  // Those of the chart have fixed names; so nobody else's beside them can be changed with it.
  const named: Record<string, string[]> = {
    'deployments/scale': WRITERS.map((component) => `kubervisor-${component}`),
    scaledobjects: ['kubervisor-breaker'],
  };
  const rulesOf = (rights: readonly Right[]) =>
    rights.flatMap(({ group, resource, verbs }) => {
      const rule = { apiGroups: [group], resources: [resource] };
      const names = named[resource];
      if (names === undefined) return [{ ...rule, verbs }];
      // A list has no name to go by.
      const [lists, changes] = [verbs.filter((verb) => verb === 'list'), verbs.filter((verb) => verb !== 'list')];
      return [
        ...(lists.length === 0 ? [] : [{ ...rule, verbs: lists }]),
        { ...rule, resourceNames: names, verbs: changes },
      ];
    });
  const isKeda = ({ group }: Right): boolean => group === 'keda.sh';
  return {
    fleets: rulesOf(RELEASE_RIGHTS.filter((right) => right.in === 'fleets')),
    installation: rulesOf(RELEASE_RIGHTS.filter((right) => right.in === 'installation' && !isKeda(right))),
    keda: rulesOf(RELEASE_RIGHTS.filter(isKeda)),
  };
}

export const rolesFile = (): object => ({ roles: ROLES });

export const CHART = join(import.meta.dirname, '../deploy/k8s/chart');
export const HELM = lookForProgram({ name: 'helm', variable: 'HELM' });
/** Said to Helm, which has no cluster to ask: the oldest that the chart takes. */
const KUBERNETES = '1.30.0';

/** What Helm makes of the chart; throws what it says where it refuses. */
export async function render(helm: string, ...options: string[]): Promise<string> {
  const words = ['template', 'kubervisor', CHART, '--kube-version', KUBERNETES, ...options];
  return (await promisify(execFile)(helm, words, { maxBuffer: 2 ** 26 })).stdout;
}

const INSTALL = `# Generated from the chart by npm run generate; do not edit. The chart with its defaults, for who has no Helm:
#
#   kubectl create namespace kubervisor
#   kubectl create secret generic kubervisor-passwords --namespace kubervisor \\
#     $(for user in controller breaker activator; do echo --from-literal=$user=$(openssl rand -hex 20); done)
#   kubectl apply --server-side -f install.yaml
#
# Before you delete it let every pod go: npm run release.
`;

/** By default nobody asks for these. */
const NOT_INSTALLED = /\/files\/(alerts\.yaml|dashboard\.json)$/;

/** Names the chart that a manifest was rendered from: so that who has no Helm can tell, too, that it is stale. */
export function chartSum(): string {
  const sum = createHash('sha256');
  const files = readdirSync(CHART, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => !NOT_INSTALLED.test(path));
  for (const path of paths.sort()) sum.update(`${path.slice(CHART.length)}\n`).update(readFileSync(path));
  return `# Of the chart with the sum ${sum.digest('hex')}.`;
}

/** Without hooks: there is nobody who would run them when their time has come. */
export async function installManifest(helm: string): Promise<string> {
  const options = ['--namespace', 'kubervisor', '--include-crds', '--no-hooks', '--skip-tests'];
  const manifest = await render(helm, ...options, '--set', 'nats.auth.existingSecret=kubervisor-passwords');
  return `${INSTALL}${chartSum()}\n${manifest}`;
}
