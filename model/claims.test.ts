/**
 * W3 at every point of a round: two breakers as they are, and a second message, or a standstill, at each turn of the first. A turn is
 * what a process does between two awaits that the world answers, so these are all the points there are.
 */
import { describe, expect, test } from '@jest/globals';
import { encodeEvent, type CloudEvent } from '@kubervisor/shared/events/envelope';
import { workEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { KubervisorServiceSpec } from '@kubervisor/shared/crd/kubervisor-service';
import { createBreaker } from '../services/breaker/service.ts';
import { evaluationWork } from '../services/controller/core/work.ts';
import { NEW_MEMORY } from '../services/controller/core/memory.ts';
import { superviseNamespace } from '../services/controller/core/supervision.ts';
import { Cluster, NAMESPACE } from './cluster.ts';
import { EPOCH, EventLoop, Process } from './event-loop.ts';
import { Nats } from './nats.ts';
import { CALM, Network } from './network.ts';
import { Observer } from './observer.ts';
import { createPorts } from './ports.ts';
import { Random } from '@kubervisor/testing/random';
import { View } from './view.ts';

const SELECTOR = { app: 'cart' };
const FLOOR = 4;

/** A fleet of six, all of them bad, and two breakers. `onTurn` is asked before each turn of the first that belongs to its round. */
function stage(onTurn: (turn: number, first: Process) => void) {
  const loop = new EventLoop();
  const network = new Network(loop, new Random(1), CALM, () => {});
  const observer = new Observer(() => loop.time);
  observer.resourcesAre([
    {
      metadata: { name: 'cart', uid: 'uid-cart', creationTimestamp: new Date(EPOCH).toISOString() },
      spec: { service: 'cart', breakers: [{ name: 'errors', minPodsAvailableCount: FLOOR }] },
    },
  ]);
  observer.servicesAre([
    { metadata: { name: 'cart' }, spec: { selector: { ...SELECTOR, 'kubervisor/traffic': 'yes' } } },
  ]);
  const cluster = new Cluster(network, observer);
  const nats = new Nats(network, observer);
  const labels = { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' };
  for (let index = 0; index < 6; index++) cluster.create('cart', { labels });
  const supervised = superviseNamespace(
    [
      {
        ...{
          namespace: NAMESPACE,
          name: 'cart',
          uid: 'uid-cart',
          generation: 1,
          resourceVersion: '1',
          createdAt: EPOCH,
        },
        ...{ terminating: false, status: undefined },
        spec: {
          service: 'cart',
          breakers: [
            {
              name: 'errors',
              customService: 'judge',
              evaluationPeriod: 1,
              minPodsAvailableCount: FLOOR,
              panicThreshold: 100,
            },
          ],
        },
      },
    ],
    new Map([
      [
        'cart',
        { namespace: NAMESPACE, name: 'cart', uid: 'svc', selector: { ...SELECTOR, 'kubervisor/traffic': 'yes' } },
      ],
    ]),
  ).get('cart')!;
  const fleet = new View({ resources: [], services: [] }, cluster.pods.values()).podsIn();
  const message = (round: string, claimRevision: number, isBucketNamed = true): CloudEvent => {
    const work = evaluationWork({
      supervised: { ...supervised, spec: supervised.spec as KubervisorServiceSpec, selector: SELECTOR },
      ...{
        round,
        claimRevision,
        claimBucket: nats.bucket,
        memory: NEW_MEMORY,
        due: ['errors'],
        pods: fleet,
        others: [],
      },
    });
    if (!isBucketNamed) delete work.claimBucket;
    return encodeEvent(workEvaluate, 'shop/cart', work, { id: round, source: '/test', time: EPOCH });
  };
  const breaker = (name: string): Process => {
    const process = new Process(name);
    const ports = createPorts(process, {
      nats,
      cluster,
      trace: () => {},
      fault: (what) => expect(what).toBe(''),
    });
    createBreaker(
      { DETECTOR_URL: '', CONCURRENCY: 4 },
      {
        ...ports,
        ask: async ({ pods }) => {
          await ports.wait(50);
          return {
            ignored: {},
            warnings: [],
            // The two would break others: where both act, both write.
            verdicts: pods.map(({ name: pod }, index) => ({
              pod,
              outcome: 'anomalous' as const,
              score: name === 'first' ? pods.length - index : index + 1,
            })),
          };
        },
      },
    );
    return process;
  };
  const first = breaker('first');
  const second = breaker('second');
  let turn = 0;
  loop.beforeTurn = (process) => {
    if (process === first) onTurn((turn += 1), first);
  };
  return {
    loop,
    first,
    second,
    message,
    give: (process: Process, event: CloudEvent) => nats.give(process, 'evaluate', event),
    /** The claims are lost, and the bucket is made anew. */
    async remakeBucket() {
      nats.wipe();
      await nats.connect(new Process('leader')).ensure(1);
    },
    /** Until nothing is to be done any more. */
    async end() {
      await loop.run(() => true);
      const { violations, counts } = observer;
      return { violations, turns: turn, breaks: counts.breaks, claims: counts.claims };
    },
  };
}

async function turnsOfOneRound(): Promise<number> {
  const { give, first, message, end } = stage(() => {});
  give(first, message('r-1', 0));
  const { turns, breaks, violations } = await end();
  expect({ breaks, violations }).toEqual({ breaks: 2, violations: [] });
  return turns;
}

describe('W3: the second delayed to any point of the first', () => {
  test.each([
    ['the same message', 'r-1'],
    ['the message of the next round, which supersedes the same claim', 'r-2'],
  ])('%s: one acts', async (_, round) => {
    const turns = await turnsOfOneRound();
    expect(turns).toBeGreaterThan(5);
    for (let at = 1; at <= turns; at++) {
      const world = stage((turn) => turn === at && world.give(world.second, world.message(round, 0)));
      world.give(world.first, world.message('r-1', 0));
      const { violations, breaks, claims } = await world.end();
      expect({ at, violations, breaks, claims }).toEqual({ at, violations: [], breaks: 2, claims: 1 });
    }
  });
});

test('W3: a holder that stands still past its 3 s, at any point, starts no patch when it wakes; who comes after acts alone', async () => {
  const turns = await turnsOfOneRound();
  for (let at = 1; at <= turns; at++) {
    const world = stage((turn, first) => {
      if (turn === at) first.frozenUntil = world.loop.time + 7000;
    });
    world.give(world.first, world.message('r-1', 0));
    // What the controller does 5 s after its sight of the claim; where none was made, the claim is still the one before.
    for (const revision of [1, 0])
      world.loop.after(5500, () => world.give(world.second, world.message(`r-2-${revision}`, revision)));
    const { violations, breaks } = await world.end();
    expect({ at, violations, breaks }).toEqual({ at, violations: [], breaks: 2 });
  }
});

describe('W3: the bucket of claims made anew while the first stands still, at any point, and then its message once more, to the second', () => {
  test.each([
    ['nobody acts beside the first, for the message is of the bucket before', true],
    ['where it names no bucket somebody does: so this is what holds it', false],
  ])('%s', async (_, isBucketNamed) => {
    const turns = await turnsOfOneRound();
    const overlaps: number[] = [];
    for (let at = 1; at <= turns; at++) {
      const world = stage((turn, first) => {
        if (turn !== at) return;
        first.frozenUntil = world.loop.time + 2000;
        void world.remakeBucket().then(() => world.give(world.second, event));
      });
      const event = world.message('r-1', 0, isBucketNamed);
      world.give(world.first, event);
      const { violations } = await world.end();
      if (violations.length > 0) overlaps.push(at);
    }
    if (isBucketNamed) expect(overlaps).toEqual([]);
    else expect(overlaps).not.toEqual([]);
  });
});
