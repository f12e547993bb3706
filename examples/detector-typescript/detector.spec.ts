import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, checkDetector } from '@kubervisor/detector-kit/testing';
import { detector } from './detector.ts';
import { judge } from './judge.ts';

const now = Date.parse('2026-01-02T12:00:00Z');

test('a pod that is Ready for longer than the limit is bad, by as much as it is older', () => {
  const verdict = judge({ name: 'cart-1', uid: 'u1', readySince: '2026-01-01T00:00:00Z' }, 24, now);
  assert.deepEqual(verdict, {
    pod: 'cart-1',
    uid: 'u1',
    outcome: 'anomalous',
    score: 1.5,
    reason: 'Ready for 36.0 h, limit 24 h',
    observed: 36,
    limit: 24,
  });
});

test('it is asked by contract, and each pod has its verdict', async () => {
  const pods = [
    { name: 'old', readySince: '2026-01-01T00:00:00Z' },
    { name: 'young', readySince: new Date().toISOString() },
    'who-knows',
  ];
  const { old, young, 'who-knows': unknown } = await ask(detector, { pods, parameters: { maxHours: 1 } });
  assert.deepEqual([old?.outcome, young?.outcome, unknown?.outcome], ['anomalous', 'ok', 'inconclusive']);
});

test('it keeps the contract', async () => {
  const { findings } = await checkDetector(detector);
  assert.deepEqual(
    findings.filter(({ result }) => result !== 'held'),
    [],
  );
});
