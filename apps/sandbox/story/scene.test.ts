import { expect, test } from '@jest/globals';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { readScene, type RawScene } from './scene.ts';

const NOW = Date.parse('2026-01-01T10:00:00Z');
const rawPod = (name: string, { labels = {}, annotations = {} }: NonNullable<RawPod['metadata']> = {}): RawPod => ({
  metadata: { name, uid: `uid-${name}`, labels: { 'kubervisor/traffic': 'yes', ...labels }, annotations },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const endpoint = (name: string, ready = true) => ({ conditions: { ready }, targetRef: { name } });
const sample = (pod: string, code: string, amount: number): RawScene['samples'][number] => ({
  metric: { pod, code },
  value: [0, String(amount)],
});
const sceneWith = (different: Partial<RawScene>) =>
  readScene({
    pods: [rawPod('b'), rawPod('a')],
    endpointSlices: [{ endpoints: [endpoint('a')] }, { endpoints: [endpoint('b', false)] }],
    status: undefined,
    samples: [],
    shoppers: { requestsPerSecond: 0, badPercent: 0 },
    seconds: 1,
    now: NOW,
    ...different,
  });

test('traffic goes to the ready endpoints of every slice; pods come by name', () => {
  expect(sceneWith({}).pods.map(({ name, inSlice }) => [name, inSlice])).toEqual([
    ['a', true],
    ['b', false],
  ]);
});

test('figures are those of Prometheus: 200 and 404 are good, no series is no figure', () => {
  const [a, b] = sceneWith({ samples: [sample('a', '200', 40), sample('a', '404', 5), sample('a', '500', 5)] }).pods;
  expect(a).toMatchObject({ requestsPerSecond: 10, badPercent: 10 });
  expect(b).toMatchObject({ requestsPerSecond: undefined, badPercent: undefined });
});

test('a pod that is out says why, and when it comes back', () => {
  const out = rawPod('a', {
    labels: { 'kubervisor/traffic': 'no' },
    annotations: { 'kubervisor/reason': '93 % bad values (observed=93, limit=20)', 'shop/fault': '503' },
  });
  const status = { pods: [{ name: 'a', uid: 'uid-a', nextActionTime: '2026-01-01T10:00:04Z' }] };
  expect(sceneWith({ pods: [out], status }).pods[0]).toMatchObject({
    traffic: 'no',
    reason: '93 % bad values',
    backIn: 4,
    fault: 503,
    onProbation: false,
  });
});

test('a pod that came back is on probation for as long as its figures look back', () => {
  const back = (activatedAt: string) => rawPod('a', { annotations: { 'kubervisor/activatedAt': activatedAt } });
  expect(sceneWith({ pods: [back('2026-01-01T09:59:57Z')] }).pods[0]?.onProbation).toBe(true);
  expect(sceneWith({ pods: [back('2026-01-01T09:59:50Z')] }).pods[0]?.onProbation).toBe(false);
});

test('what is degraded is taken from status, with its reason', () => {
  const condition = (status: 'True' | 'False') => ({
    conditions: [{ type: 'Degraded', status, reason: 'FleetAnomalous', message: '6 of 8', lastTransitionTime: '' }],
  });
  expect(sceneWith({ status: condition('True') }).degraded).toEqual({ reason: 'FleetAnomalous', message: '6 of 8' });
  expect(sceneWith({ status: condition('False') }).degraded).toBeUndefined();
});
