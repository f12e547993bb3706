import { describe, expect, test } from '@jest/globals';
import { judging, Sights, untruths } from './calm.ts';
import type { StandingResource } from './stage.ts';

describe('blindness', () => {
  test('the longest time without an evaluation, also one that still lasts, of any breaker', () => {
    const sights = new Sights();
    sights.begin(['cart/errors', 'cart/slow'], 1000);
    sights.saw('cart/errors', 2000);
    sights.saw('cart/slow', 4000);
    sights.saw('cart/errors', 5000);
    expect(sights.longest(5000)).toEqual({ gap: 3000, of: '' });
    expect(sights.longest(9000)).toEqual({ gap: 5000, of: 'cart/slow' });
  });

  test('who was not seen since; who is not asked for does not count', () => {
    const sights = new Sights();
    sights.begin(['cart/errors', 'cart/slow'], 1000);
    sights.saw('cart/errors', 2000);
    sights.saw('pay/errors', 2000);
    expect(sights.unseenSince(1000)).toEqual(['cart/slow']);
  });
});

test('F5: who gave its Service up to another is not asked for any more, and the other is from then on', () => {
  const sights = new Sights();
  sights.begin(['twin-a/errors'], 1000);
  sights.demand(['twin-b/errors'], 2000);
  expect(sights.longest(60_000)).toEqual({ gap: 58_000, of: 'twin-b/errors' });
  expect(sights.unseenSince(2000)).toEqual(['twin-b/errors']);
  sights.saw('twin-b/errors', 3000);
  sights.demand(['twin-b/errors'], 4000);
  expect(sights.unseenSince(2000)).toEqual([]);
});

const resource = (more: { status?: StandingResource['status']; spec?: object } = {}): StandingResource =>
  ({
    metadata: { name: 'cart', uid: 'u', creationTimestamp: '' },
    ...more,
    spec: { service: 'cart', breakers: [{ name: 'errors' }], ...more.spec },
  }) as StandingResource;
const READY = [{ type: 'Ready', status: 'True', reason: 'Reconciled' }];
const pod = (name: string, traffic: string, ready = true) => ({
  metadata: { name, uid: name, labels: { app: 'cart', 'kubervisor/name': 'cart', 'kubervisor/traffic': traffic } },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

test('judged is what is Ready and not disabled', () => {
  const status = { conditions: READY };
  expect(judging([resource({ status }), resource(), resource({ status, spec: { mode: 'disabled' } })])).toEqual([
    'cart/errors',
  ]);
});

test('a status that says another number than is seen, or not Ready without a good reason', () => {
  const pods = [pod('a', 'yes'), pod('b', 'no'), pod('c', 'pause'), pod('d', 'yes', false)];
  const podCount = { nbPodsBreaked: 1, nbPodsPaused: 1 };
  expect(untruths([resource({ status: { conditions: READY, available: 1, podCount } })], pods)).toEqual([]);
  expect(untruths([resource({ status: { conditions: READY, available: 2, podCount } })], pods)).toHaveLength(1);
  const notReady = (reason: string) =>
    resource({ status: { conditions: [{ type: 'Ready', status: 'False', reason }] } });
  const other = resource({ status: { conditions: READY, available: 1, podCount } });
  expect(untruths([notReady('Conflict'), other], pods)).toEqual([]);
  // Somebody has the Service.
  expect(untruths([notReady('Conflict'), notReady('Conflict')], pods)).toHaveLength(2);
  expect(untruths([notReady('InvalidSpec'), resource()], pods)).toHaveLength(2);
});
