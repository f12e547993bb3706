import { describe, expect, test } from '@jest/globals';
import { apply, builtInLists, jsonPatch, mergePatch, strategicMergePatch, type ListRules } from './patch.ts';
import { labelSelector, specSelector } from './selectors.ts';

describe('strategic merge patch', () => {
  const pod = {
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '1' },
      ],
    },
  };

  test('merges lists by their key, deep, and leaves the input alone', () => {
    const before = structuredClone(pod);
    const patch = { spec: { containers: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] } };
    expect(strategicMergePatch(pod, patch)).toEqual({
      spec: {
        containers: [
          {
            name: 'a',
            image: '1',
            env: [
              { name: 'X', value: '1' },
              { name: 'Y', value: '2' },
            ],
          },
          { name: 'b', image: '1' },
        ],
      },
    });
    expect(pod).toEqual(before);
  });

  test.each([
    [
      '$patch: delete of an item',
      { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
      { spec: { containers: [{ name: 'b', image: '1' }] } },
    ],
    [
      '$patch: replace of a list',
      { spec: { containers: [{ $patch: 'replace' }, { name: 'c' }] } },
      { spec: { containers: [{ name: 'c' }] } },
    ],
    ['$patch: replace of a map', { spec: { $patch: 'replace', hostname: 'h' } }, { spec: { hostname: 'h' } }],
    ['$setElementOrder alone', { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } }, pod],
    ['$retainKeys', { spec: { $retainKeys: ['hostname'], hostname: 'h' } }, { spec: { hostname: 'h' } }],
    ['null', { spec: null }, {}],
  ])('%s', (_, patch, expected) => {
    expect(strategicMergePatch(pod, patch)).toEqual(expected);
  });

  test('finalizers are a set', () => {
    const object = { metadata: { finalizers: ['a', 'b'] } };
    expect(strategicMergePatch(object, { metadata: { finalizers: ['b', 'c'] } })).toEqual({
      metadata: { finalizers: ['a', 'b', 'c'] },
    });
    expect(strategicMergePatch(object, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } })).toEqual({
      metadata: { finalizers: ['b'] },
    });
  });
});

describe('apply', () => {
  const byType: ListRules = (path) => (path.at(-1) === 'conditions' ? { keys: ['type'] } : undefined);

  test('removes what the manager applied before and leaves out now, and nothing else', () => {
    const object = { a: 1, b: 2, foreign: 3 };
    expect(apply(object, { a: 1 }, { a: 1, b: 2 }, byType)).toEqual({ a: 1, foreign: 3 });
  });

  test('a list map keeps the items of others; an atomic list is replaced', () => {
    const object = { conditions: [{ type: 'Ready', status: 'True' }, { type: 'Old' }], list: [1, 2] };
    const applied = { conditions: [{ type: 'Ready', status: 'False' }, { type: 'New' }], list: [3] };
    expect(apply(object, applied, { conditions: [{ type: 'Old' }] }, byType)).toEqual({
      conditions: [{ type: 'Ready', status: 'False' }, { type: 'New' }],
      list: [3],
    });
  });

  test('built-in lists have the keys of a strategic merge patch', () => {
    const object = { containers: [{ name: 'a', image: '1' }] };
    expect(apply(object, { containers: [{ name: 'b' }] }, undefined, builtInLists)).toEqual({
      containers: [{ name: 'a', image: '1' }, { name: 'b' }],
    });
  });
});

describe('JSON patch and merge patch', () => {
  test('lists: insert, append, remove, replace', () => {
    const operations = [
      { op: 'add', path: '/l/0', value: 'first' },
      { op: 'add', path: '/l/-', value: 'last' },
      { op: 'remove', path: '/l/1' },
      { op: 'replace', path: '/l/1', value: 'then' },
    ];
    expect(jsonPatch({ l: ['a', 'b'] }, operations)).toEqual({ l: ['first', 'then', 'last'] });
    expect(() => jsonPatch({ l: [] }, [{ op: 'add', path: '/l/1', value: 1 }])).toThrow(/index 1/);
  });

  test('a failing operation leaves nothing done', () => {
    const object = { a: 1 };
    expect(() =>
      jsonPatch(object, [
        { op: 'add', path: '/b', value: 1 },
        { op: 'test', path: '/a', value: 2 },
      ]),
    ).toThrow(/testing value \/a failed/);
    expect(object).toEqual({ a: 1 });
  });

  test('a merge patch removes by null at any depth and replaces lists', () => {
    expect(mergePatch({ a: { b: 1, c: [1] } }, { a: { b: null, c: [2], d: { e: null } } })).toEqual({
      a: { c: [2], d: {} },
    });
  });
});

describe('selectors', () => {
  const pod = (labels: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', uid: '', resourceVersion: '', creationTimestamp: '', labels },
  });

  test('spaces, sets and keys with a prefix are understood', () => {
    const selected = labelSelector(' app in (a, b) , kubervisor/traffic = yes, !gone ');
    expect(selected?.(pod({ app: 'b', 'kubervisor/traffic': 'yes' }))).toBe(true);
    expect(selected?.(pod({ app: 'c', 'kubervisor/traffic': 'yes' }))).toBe(false);
    expect(selected?.(pod({ app: 'a', 'kubervisor/traffic': 'yes', gone: '' }))).toBe(false);
  });

  test('of a spec: one that is missing selects nothing, an empty one all', () => {
    expect(specSelector(undefined)({ a: 'b' })).toBe(false);
    expect(specSelector({})({ a: 'b' })).toBe(true);
    expect(specSelector({ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] })({ a: 'b' })).toBe(
      false,
    );
  });
});
