/** What the server says of itself: groups, versions, resources, and as much OpenAPI as kubectl apply and explain ask for. */
import { PATCH_TYPES } from './api.ts';
import type { Kind } from './kinds.ts';
import { fieldsOf, type Fields } from './objects.ts';

export const VERSION_INFO: Fields = {
  major: '1',
  minor: '37',
  emulationMajor: '1',
  emulationMinor: '37',
  gitVersion: 'v1.37.0+kubervisor-sandbox',
  gitCommit: 'simulated',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'kubervisor-sandbox/simulator',
};

const groupVersion = ({ group, version }: Kind): string => (group === '' ? version : `${group}/${version}`);

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const SUBRESOURCES: Readonly<Record<string, { verbs: string[]; group?: string; version?: string; kind?: string }>> = {
  status: { verbs: ['get', 'patch', 'update'] },
  finalize: { verbs: ['update'] },
  scale: { verbs: ['get', 'patch', 'update'], group: 'autoscaling', version: 'v1', kind: 'Scale' },
  eviction: { verbs: ['create'], group: 'policy', version: 'v1', kind: 'Eviction' },
  binding: { verbs: ['create'], kind: 'Binding' },
};

export function resourceList(kinds: readonly Kind[], wanted: string): Fields | undefined {
  const served = kinds.filter((kind) => groupVersion(kind) === wanted);
  if (served.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: wanted,
    resources: served.flatMap(({ plural, singular, kind, namespaced, shortNames, categories, subresources }) => [
      {
        name: plural,
        singularName: singular,
        namespaced,
        kind,
        verbs: VERBS,
        ...(shortNames.length > 0 && { shortNames }),
        ...(categories.length > 0 && { categories }),
      },
      ...subresources.map((name) => ({
        name: `${plural}/${name}`,
        singularName: '',
        namespaced,
        kind,
        verbs: [],
        ...SUBRESOURCES[name],
      })),
    ]),
  };
}

function groups(kinds: readonly Kind[]): Fields[] {
  const names = [...new Set(kinds.map(({ group }) => group))].filter((group) => group !== '');
  return names.map((name) => {
    const versions = [...new Set(kinds.filter(({ group }) => group === name).map(({ version }) => version))].map(
      (version) => ({ groupVersion: `${name}/${version}`, version }),
    );
    return { name, versions, preferredVersion: versions[0] };
  });
}

const modelName = ({ group, version, kind }: Kind): string =>
  [...(group === '' ? ['core'] : group.split('.').reverse()), version, kind].join('.');

/**
 * OpenAPI v3 of one group and version. The schemas of custom resources are whole, those of built-in kinds empty: kubectl reads
 * from it that the server checks fields itself, and has its own knowledge of built-in kinds.
 */
function openApi(kinds: readonly Kind[], wanted: string): Fields {
  const served = kinds.filter((kind) => groupVersion(kind) === wanted);
  const root = wanted.includes('/') ? `/apis/${wanted}` : `/api/${wanted}`;
  const gvk = ({ group, version, kind }: Kind) => ({ group, version, kind });
  const content = (types: readonly string[]) => Object.fromEntries(types.map((type) => [type, {}]));
  const fieldValidation = { name: 'fieldValidation', in: 'query', schema: { type: 'string', uniqueItems: true } };
  const answer = (kind: Kind) => ({
    responses: {
      200: {
        description: 'OK',
        content: { 'application/json': { schema: { $ref: `#/components/schemas/${modelName(kind)}` } } },
      },
    },
  });
  const operation = (kind: Kind, action: string, more: Fields) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(kind),
    ...answer(kind),
    ...more,
  });
  const paths = served.flatMap((kind): [string, Fields][] => {
    const collection = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
    const write = { parameters: [fieldValidation] };
    const patch = {
      ...write,
      requestBody: { content: content([PATCH_TYPES.json, PATCH_TYPES.merge, PATCH_TYPES.apply]) },
    };
    return [
      [collection, { get: operation(kind, 'list', {}), post: operation(kind, 'post', write) }],
      [
        `${collection}/{name}`,
        {
          get: operation(kind, 'get', {}),
          put: operation(kind, 'put', write),
          patch: operation(kind, 'patch', patch),
          delete: operation(kind, 'delete', {}),
        },
      ],
    ];
  });
  const schemas = served.map((kind): [string, Fields] => [
    modelName(kind),
    {
      type: 'object',
      ...kind.schema,
      properties: {
        apiVersion: { type: 'string', description: 'The version of this representation.' },
        kind: { type: 'string', description: 'The kind of this resource.' },
        ...fieldsOf(kind.schema?.properties),
        metadata: { type: 'object', description: 'Standard object metadata.' },
      },
      'x-kubernetes-group-version-kind': [gvk(kind)],
    },
  ]);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubervisor sandbox', version: String(VERSION_INFO.gitVersion) },
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(schemas) },
  };
}

const HEALTH: readonly string[] = ['/healthz', '/livez', '/readyz'];

/** The answer to a path that is not about objects; undefined where it is, or nothing is there. Text or JSON. */
export function discover(path: string, kinds: readonly Kind[], accept: string): Fields | string | undefined {
  const versions = [...new Set(kinds.map(groupVersion))];
  if (HEALTH.some((health) => path === health || path.startsWith(`${health}/`))) return 'ok';
  switch (path) {
    case '/':
      return { paths: ['/api', '/api/v1', '/apis', ...HEALTH, '/openapi/v3', '/version'] };
    case '/version':
      return VERSION_INFO;
    case '/api':
      return { kind: 'APIVersions', apiVersion: 'v1', versions: ['v1'], serverAddressByClientCIDRs: [] };
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups(kinds) };
    case '/openapi/v3':
      return {
        paths: Object.fromEntries(
          versions.map((version) => {
            const name = version.includes('/') ? `apis/${version}` : `api/${version}`;
            return [name, { serverRelativeURL: `/openapi/v3/${name}` }];
          }),
        ),
      };
    case '/openapi/v2':
      // kubectl asks for it as protobuf alone and takes an error as "no schema".
      if (accept.includes('protobuf') && !accept.includes('application/json')) return undefined;
      return { swagger: '2.0', info: { title: 'Kubervisor sandbox', version: 'v1' }, paths: {}, definitions: {} };
    default:
  }
  const [, spec] = /^\/openapi\/v3\/apis?\/(.+)$/.exec(path) ?? [];
  if (spec !== undefined) return versions.includes(spec) ? openApi(kinds, spec) : undefined;
  const [, wanted] = /^\/apis?\/([^/]+(?:\/[^/]+)?)$/.exec(path) ?? [];
  if (wanted === undefined) return undefined;
  const group = groups(kinds).find(({ name }) => name === wanted);
  return group === undefined ? resourceList(kinds, wanted) : { kind: 'APIGroup', apiVersion: 'v1', ...group };
}
