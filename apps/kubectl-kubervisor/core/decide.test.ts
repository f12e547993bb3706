import { describe, expect, test } from '@jest/globals';
import { edited } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import { activation, bringBack, changeMode, deactivation, exemption, type Decision, type Workload } from './decide.ts';
import { broken, NOW, pod, resource, SERVICE } from './pods.fixture.ts';

const service = { ...SERVICE, selector: { app: 'cart' } };
const workload = (change: Partial<Workload> = {}): Workload => ({
  kind: 'Deployment',
  name: 'cart',
  selectorKeys: ['app'],
  template: { app: 'cart', [LABEL.traffic]: 'yes' },
  owned: false,
  ...change,
});
const operationsOf = (decision: Decision) => (decision.do === 'patch' ? decision.operations : decision);

describe('§4: activation', () => {
  test('when every pod carries yes or pause: the key, guarded by the selector that was read', () => {
    const all = [
      pod('a'),
      broken('b', { traffic: 'pause' }),
      pod('ending', { terminating: true, labels: { [LABEL.traffic]: '' } }),
    ];
    expect(operationsOf(activation(service, all, [workload()], ['cart']))).toEqual([
      { op: 'test', path: '/metadata/uid', value: 's1' },
      { op: 'test', path: '/spec/selector', value: { app: 'cart' } },
      { op: 'add', path: '/spec/selector/kubervisor~1traffic', value: 'yes' },
    ]);
  });

  test('a pod that lacks the label, or is at no, is waited for; without a resource nobody would label it', () => {
    const bare = pod('a', { labels: { [LABEL.traffic]: '' } });
    const all = [bare, broken('b'), pod('c')];
    expect(activation(service, all, [], ['cart'])).toMatchObject({ do: 'wait', missing: ['a', 'b'] });
    expect(activation(service, [bare], [], [])).toMatchObject({
      do: 'refuse',
      problem: expect.stringContaining('no KubervisorService'),
    });
    expect(activation(service, [pod('c')], [], [])).toMatchObject({
      do: 'patch',
      warnings: [expect.stringContaining('nothing is evaluated')],
    });
  });

  test('a workload whose selector holds a key of ours: relabelling would orphan its pods; one of other pods is nobody’s business', () => {
    const bad = workload({ selectorKeys: ['app', LABEL.traffic] });
    expect(activation(service, [pod('a')], [bad], ['cart'])).toMatchObject({
      do: 'refuse',
      problem: expect.stringContaining('Deployment cart holds a kubervisor/ key'),
    });
    const other = workload({ ...bad, name: 'other', template: { app: 'other' } });
    expect(activation(service, [pod('a')], [other], ['cart']).do).toBe('patch');
  });

  test('a template without the label is a warning, of the workload that says what it is', () => {
    const bare = { template: { app: 'cart' } };
    const decision = activation(
      service,
      [pod('a')],
      [workload(bare), workload({ ...bare, kind: 'ReplicaSet', owned: true })],
      ['cart'],
    );
    expect(decision.do === 'patch' && decision.warnings).toEqual([
      expect.stringMatching(/^the pod template of Deployment cart lacks/),
    ]);
  });

  test('a Service without a selector, with our key alone, or with another value of it', () => {
    expect(activation({ ...service, selector: undefined }, [], [], []).do).toBe('refuse');
    expect(activation({ ...service, selector: { app: 'cart', [LABEL.traffic]: 'no' } }, [], [], []).do).toBe('refuse');
    expect(activation(SERVICE, [], [], []).do).toBe('nothing');
  });
});

test('deactivation tells who gets traffic again; the last key of a selector stays', () => {
  const decision = deactivation(SERVICE, [pod('a'), broken('b'), broken('c', { traffic: 'pause' })]);
  expect(decision).toMatchObject({ do: 'patch', warnings: ['2 pods that were out get traffic again: b, c'] });
  expect(deactivation(service, []).do).toBe('nothing');
  expect(deactivation({ ...service, selector: { [LABEL.traffic]: 'yes' } }, []).do).toBe('refuse');
});

test('A4: a pod that is out or paused is brought back, its count stays; one that is in is left', () => {
  for (const traffic of ['no', 'pause'] as const) {
    const out = broken('a', { traffic, retryCount: 3 });
    const decision = bringBack(out, NOW);
    expect(operationsOf(decision)).toEqual(
      expect.arrayContaining([
        { op: 'test', path: '/metadata/uid', value: 'uid-of-a' },
        { op: 'test', path: '/metadata/labels/kubervisor~1traffic', value: traffic },
        { op: 'add', path: '/metadata/labels/kubervisor~1traffic', value: 'yes' },
      ]),
    );
    expect(JSON.stringify(operationsOf(decision))).not.toContain('retryCount');
  }
  expect(bringBack(pod('a'), NOW).do).toBe('nothing');
  expect(bringBack(broken('a', { terminating: true }), NOW).do).toBe('nothing');
});

test('an exemption is a person’s mark: set, and taken away, whatever was written; nothing where it is so already', () => {
  expect(exemption(pod('a'), false).do).toBe('patch');
  expect(exemption(pod('a'), true).do).toBe('nothing');
  const exempt = edited(pod('a'), { labels: {}, annotations: { [ANNOTATION.exempt]: 'please' } });
  expect(exemption(exempt, false).do).toBe('nothing');
  expect(exemption(exempt, true)).toMatchObject({ do: 'patch' });
  expect(exemption(edited(pod('a'), { labels: {}, annotations: { [ANNOTATION.exempt]: 'no' } }), false).do).toBe(
    'patch',
  );
  expect(exemption(broken('a'), false)).toMatchObject({ warnings: [expect.stringContaining('release a')] });
});

test('a mode, of the resource or of one breaker that must still be where it was read', () => {
  const { resource: cart } = resource();
  expect(operationsOf(changeMode(cart, 'dryRun', undefined))).toEqual([
    { op: 'test', path: '/metadata/uid', value: 'r1' },
    { op: 'add', path: '/spec/mode', value: 'dryRun' },
  ]);
  expect(operationsOf(changeMode(cart, 'disabled', 'slow'))).toContainEqual({
    op: 'test',
    path: '/spec/breakers/0/name',
    value: 'slow',
  });
  expect(changeMode(cart, 'enforce', undefined).do).toBe('nothing');
  expect(changeMode(cart, 'dryRun', 'fast')).toMatchObject({ do: 'refuse', next: 'its breakers are: slow' });
  expect(changeMode(resource({ mode: 'disabled' }).resource, 'enforce', 'slow')).toMatchObject({
    warnings: ['cart is disabled, and the stricter counts'],
  });
});
