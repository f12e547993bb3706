/** The four kinds of patch. Each takes the present object as JSON and gives the new one; none changes its input. */
import { badRequest, unprocessablePatch } from './errors.ts';
import { copy, fieldsOf, isFields, same, type Fields } from './objects.ts';

const steps = (pointer: string): string[] => {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw unprocessablePatch(`invalid JSON pointer ${JSON.stringify(pointer)}`);
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
};

function index(list: readonly unknown[], step: string, length: number): number {
  const value = Number(step);
  if (!/^\d+$/.test(step) || value >= length)
    throw unprocessablePatch(`index ${step} is not within the ${list.length} items of the list`);
  return value;
}

const read = (container: Fields | unknown[], step: string): unknown =>
  Array.isArray(container) ? container[index(container, step, container.length)] : container[step];

/**
 * RFC 6902, as the API server understands it: a `test` for null passes on a missing key, but not where the map that would hold
 * the key is missing, and a `replace` may set a missing key. @throws ApiError 422, also for a `test` that fails; 400 for a body that is no patch
 */
export function jsonPatch(object: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  const document = { root: copy(object) };
  const parent = (path: string): [Fields | unknown[], string] => {
    let container: unknown = document;
    let step = 'root';
    for (const next of steps(path)) {
      container = read(container as Fields, step);
      if (!isFields(container) && !Array.isArray(container))
        throw unprocessablePatch(`${path}: what would hold it is missing`);
      step = next;
    }
    return [container as Fields, step];
  };
  const get = (path: string): unknown => {
    const [container, step] = parent(path);
    return read(container, step);
  };
  const must = (path: string): unknown => {
    const value = get(path);
    if (value === undefined) throw unprocessablePatch(`${path}: no such key`);
    return value;
  };
  const add = (path: string, value: unknown) => {
    const [container, step] = parent(path);
    if (!Array.isArray(container)) container[step] = value;
    else container.splice(step === '-' ? container.length : index(container, step, container.length + 1), 0, value);
  };
  const remove = (path: string) => {
    must(path);
    const [container, step] = parent(path);
    if (Array.isArray(container)) container.splice(index(container, step, container.length), 1);
    else delete container[step];
  };
  for (const operation of patch as unknown[]) {
    const { op, path, from, value } = fieldsOf(operation);
    if (typeof path !== 'string') throw unprocessablePatch('an operation needs a path');
    switch (op) {
      case 'test':
        if (!same(get(path) ?? null, value ?? null)) throw unprocessablePatch(`testing value ${path} failed`);
        break;
      case 'add':
        add(path, copy(value ?? null));
        break;
      case 'replace': {
        // In a map a missing key is simply set, unlike RFC 6902 has it.
        const [container, step] = parent(path);
        if (Array.isArray(container)) container[index(container, step, container.length)] = copy(value ?? null);
        else container[step] = copy(value ?? null);
        break;
      }
      case 'remove':
        remove(path);
        break;
      case 'move': {
        const moved = must(String(from));
        remove(String(from));
        add(path, moved);
        break;
      }
      case 'copy':
        add(path, copy(must(String(from))));
        break;
      default:
        throw unprocessablePatch(`unexpected kind of operation: ${String(op)}`);
    }
  }
  return document.root;
}

/** RFC 7386: null removes, maps merge, everything else replaces. */
export function mergePatch(object: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return copy(patch);
  const result: Fields = { ...fieldsOf(object) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/**
 * The lists of built-in kinds that merge by a key, by the name of the field that holds them. `ports` are told apart by what
 * the item has, since a container's and a Service's differ.
 */
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  imagePullSecrets: ['name'],
  secrets: ['name'],
  hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey'],
  resourceClaims: ['name'],
  ports: ['containerPort', 'port'],
  conditions: ['type'],
  podIPs: ['ip'],
  ownerReferences: ['uid'],
  taints: ['key'],
  addresses: ['type'],
};
/** Lists of plain values that are sets. */
const MERGE_SETS: readonly string[] = ['finalizers'];

const keyOf = (item: unknown, keys: readonly string[]): unknown => {
  const key = keys.find((name) => fieldsOf(item)[name] !== undefined);
  return key === undefined ? undefined : fieldsOf(item)[key];
};

function mergeList(present: unknown[], patch: unknown[], keys: readonly string[]): unknown[] {
  if (patch.some((item) => fieldsOf(item).$patch === 'replace'))
    return patch.filter((item) => fieldsOf(item).$patch === undefined).map((item) => copy(item));
  const result = [...present];
  for (const item of patch) {
    const key = keyOf(item, keys);
    const place = result.findIndex((other) => same(keyOf(other, keys), key));
    if (fieldsOf(item).$patch === 'delete') {
      if (place >= 0) result.splice(place, 1);
    } else if (place >= 0) result[place] = strategicMergePatch(result[place], item);
    else result.push(strategicMergePatch({}, item));
  }
  return result;
}

/** Strategic merge patch of built-in kinds, with `$patch`, `$deleteFromPrimitiveList`, `$retainKeys` and `$setElementOrder`. */
export function strategicMergePatch(object: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return copy(patch);
  const { $patch, $retainKeys, ...changes } = patch;
  if ($patch === 'replace') return copy(changes);
  if ($patch === 'delete') return {};
  const result: Fields = { ...fieldsOf(object) };
  if (Array.isArray($retainKeys))
    for (const key of Object.keys(result)) if (!$retainKeys.includes(key)) delete result[key];
  for (const [key, value] of Object.entries(changes)) {
    const present = result[key];
    if (key.startsWith('$setElementOrder/')) continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice('$deleteFromPrimitiveList/'.length);
      const list = result[field];
      if (Array.isArray(list) && Array.isArray(value)) result[field] = list.filter((item) => !value.includes(item));
    } else if (value === null) delete result[key];
    else if (Array.isArray(value) && MERGE_SETS.includes(key))
      result[key] = [...new Set([...(Array.isArray(present) ? (present as unknown[]) : []), ...(value as unknown[])])];
    else if (Array.isArray(value) && MERGE_KEYS[key] !== undefined && value.every(isFields))
      result[key] = mergeList(Array.isArray(present) ? present : [], value, MERGE_KEYS[key]);
    else result[key] = strategicMergePatch(present, value);
  }
  return result;
}

/** How the lists of a kind merge under apply: the keys of a list map, or that it is a set; undefined is atomic. */
export type ListRule = { keys: readonly string[] } | 'set' | undefined;
export type ListRules = (path: readonly string[]) => ListRule;

/** For built-in kinds, whose lists merge as in a strategic merge patch. */
export const builtInLists: ListRules = (path) => {
  const field = path.at(-1) ?? '';
  const keys = MERGE_KEYS[field];
  return keys !== undefined ? { keys } : MERGE_SETS.includes(field) ? 'set' : undefined;
};

const identify = (item: unknown, keys: readonly string[]) => {
  const present = keys.map((key) => fieldsOf(item)[key]);
  return JSON.stringify(present);
};

/**
 * Server-side apply, simplified: what the manager applied last time and leaves out now is removed, the rest is merged. There
 * is no ownership between managers: a conflict never arises, the last to apply wins.
 */
export function apply(
  object: unknown,
  applied: unknown,
  lastApplied: unknown,
  lists: ListRules,
  path: readonly string[] = [],
): unknown {
  if (isFields(applied)) {
    const result: Fields = { ...fieldsOf(object) };
    const last = fieldsOf(lastApplied);
    for (const key of Object.keys(last)) if (applied[key] === undefined) delete result[key];
    for (const [key, value] of Object.entries(applied))
      if (value !== null) result[key] = apply(result[key], value, last[key], lists, [...path, key]);
    return result;
  }
  if (Array.isArray(applied)) {
    const rule = lists(path);
    const present = Array.isArray(object) ? (object as unknown[]) : [];
    const last = Array.isArray(lastApplied) ? (lastApplied as unknown[]) : [];
    if (rule === 'set') {
      const kept = present.filter((item) => !last.includes(item) && !applied.includes(item));
      return [...kept, ...(applied as unknown[])];
    }
    if (rule !== undefined) {
      const find = (list: unknown[], item: unknown) =>
        list.find((other) => identify(other, rule.keys) === identify(item, rule.keys));
      const kept = present.filter((item) => find(last, item) === undefined || find(applied, item) !== undefined);
      const merged = kept.map((item) => {
        const next = find(applied, item);
        return next === undefined ? item : apply(item, next, find(last, item), lists, [...path, '*']);
      });
      const added = (applied as unknown[]).filter((item) => find(present, item) === undefined);
      return [...merged, ...added.map((item) => copy(item))];
    }
  }
  return copy(applied);
}
