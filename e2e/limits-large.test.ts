/**
 * A fleet of 5,000: what is sent fits into a message, and what is decided is decided in a moment. The claim is 3 s, and the event loop of
 * a process has other resources to serve. (The same on an API server: `npm run bench -- large`.)
 */
import { randomUUID } from 'node:crypto';
import { cpuUsage } from 'node:process';
import { describe, expect, test } from '@jest/globals';
import { pack } from '@kubervisor/runtime/nats/payload';
import { spec as specSchema } from '@kubervisor/shared/crd/kubervisor-service';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import { MAX_STATUS_PODS, status as statusSchema } from '@kubervisor/shared/crd/status';
import type { EvaluationResponse } from '@kubervisor/shared/detection/service';
import { encodeEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { MAX_PAYLOAD_BYTES } from '@kubervisor/shared/events/subjects';
import { workEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { EDITS, edited, readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { CLAIM_LIFE } from '@kubervisor/shared/policy/claim';
import { decideActivations } from '../services/activator/core/decide-activations.ts';
import { decideBreaks } from '../services/breaker/core/decide-breaks.ts';
import { clocksOf } from '../services/breaker/core/grace.ts';
import { inquiries, nominate } from '../services/breaker/core/nominate.ts';
import { brokenPod, NOTHING_DONE, reportEvaluations } from '../services/breaker/core/report.ts';
import { evaluationRound } from '../services/breaker/shell/round.ts';
import { NEW_MEMORY, rememberEvaluation } from '../services/controller/core/memory.ts';
import { composeStatus } from '../services/controller/core/status.ts';
import { superviseNamespace } from '../services/controller/core/supervision.ts';
import { evaluationWork } from '../services/controller/core/work.ts';

const PODS = 5000;
const BREAKERS = 50;
const NOW = Date.parse('2026-11-25T12:00:00Z');
/** What a decision over them may take of the 3 s of a claim. It takes a few hundredths; the rest is for a machine that others use too. */
const A_MOMENT = 1000;

const pods: Pod[] = Array.from({ length: PODS }, (_, index) =>
  readPod({
    metadata: {
      name: `checkout-frontend-7d9f8b6c5d-${index.toString(36).padStart(5, '0')}`,
      namespace: 'shop-production',
      uid: randomUUID(),
      resourceVersion: String(1_000_000 + index),
      creationTimestamp: '2026-11-25T08:00:00Z',
      labels: {
        app: 'checkout',
        'pod-template-hash': '7d9f8b6c5d',
        'kubervisor/name': 'checkout',
        'kubervisor/traffic': 'yes',
        'topology.kubernetes.io/zone': `europe-west1-${'bcd'[index % 3]}`,
      },
      annotations: {},
      ownerReferences: [{ kind: 'ReplicaSet', name: 'checkout-7d9f8b6c5d', uid: 'rs', controller: true }],
    },
    spec: { nodeName: `gke-production-pool-1-${(index % 200).toString(16).padStart(8, '0')}-abcd` },
    status: {
      phase: 'Running',
      podIP: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-11-25T08:00:10Z' }],
    },
  }),
);

const specOf = (count: number, more: object = {}) =>
  specSchema.parse({
    service: 'checkout',
    breakers: Array.from({ length: count }, (_, index) => ({
      name: `breaker-${index}`,
      customService: 'judge',
      minPodsAvailableCount: PODS - 1500,
      ...more,
    })),
  });
function supervisedBy(spec: ReturnType<typeof specOf>) {
  const resource = {
    ...{ namespace: 'shop-production', name: 'checkout', uid: randomUUID(), generation: 1, resourceVersion: '1' },
    ...{ createdAt: 0, terminating: false, spec, status: undefined },
  };
  const service = {
    ...{ namespace: 'shop-production', name: 'checkout', uid: 'service' },
    selector: { app: 'checkout', 'kubervisor/traffic': 'yes' },
  };
  const supervised = superviseNamespace([resource], new Map([['checkout', service]])).get('checkout');
  if (supervised?.spec === undefined || supervised.selector === undefined) throw new Error('not supervised');
  return { ...supervised, spec: supervised.spec, selector: supervised.selector };
}
function workOf(spec: ReturnType<typeof specOf>, memory = NEW_MEMORY) {
  const due = spec.breakers.map(({ name }) => name);
  return evaluationWork({
    supervised: supervisedBy(spec),
    round: 'r-1',
    claimRevision: 1,
    claimBucket: 'bucket',
    memory,
    due,
    pods,
    others: [],
  });
}
const stamp = { id: 'r-1', source: '/kubervisor/test', time: NOW };
const bytesOf = async (event: object): Promise<number> => (await pack(JSON.stringify(event))).data.length;

/** The round of a breaker, but for the API server. `outcome` of the first so many pods. */
function judge(work: ReturnType<typeof workOf>, outcome: 'anomalous' | 'inconclusive', count: number) {
  const resolved = resolveSpec(work.spec);
  const answer: EvaluationResponse = {
    verdicts: pods.map(({ name }, index) =>
      index < count
        ? {
            pod: name,
            outcome,
            score: 2 + index / PODS,
            reason: `p99 2.4 s, limit 1 s (${index})`,
            observed: 2.4,
            limit: 1,
          }
        : { pod: name, outcome: 'ok' as const },
    ),
    ignored: {},
    warnings: [],
  };
  return inquiries(work, resolved, clocksOf(NOW)).map((inquiry) => nominate(inquiry, answer));
}
function factOf(work: ReturnType<typeof workOf>, report: ReturnType<typeof reportEvaluations>) {
  const { round, resource, due } = work;
  const claim = { outcome: 'claimed', revision: 2 } as const;
  return {
    round,
    resource,
    claim,
    outcome: 'completed' as const,
    due,
    errors: [] as string[],
    durationMilliseconds: 2900,
    ...report,
  };
}
const decide = (evaluations: ReturnType<typeof judge>, fleet: readonly Pod[] = pods) =>
  decideBreaks({ now: NOW, name: 'checkout', selector: { app: 'checkout' }, evaluations, pods: fleet, others: [] });

/** Milliseconds of the processor's time, for others may use it too. */
function timed<T>(work: () => T): { result: T; milliseconds: number } {
  const begun = cpuUsage();
  const result = work();
  const { user, system } = cpuUsage(begun);
  return { result, milliseconds: (user + system) / 1000 };
}

describe('what is sent', () => {
  test.each([1, BREAKERS])('an evaluation with %i breakers due fits into a message', async (count) => {
    const bytes = await bytesOf(encodeEvent(workEvaluate, 's', workOf(specOf(count)), stamp));
    expect(bytes).toBeLessThan(MAX_PAYLOAD_BYTES / 2);
  });

  test('V3: fifty breakers that confirm remember 5,000 pods each, and what is sent of it fits', async () => {
    const spec = specOf(BREAKERS, { confirm: { anomalous: 2, of: 3 } });
    const bad = pods.slice(0, 100).map(({ uid }): [string, string] => [uid, '01']);
    const good = pods.slice(100).map(({ uid }): [string, string] => [uid, '00']);
    const history = Object.fromEntries(spec.breakers.map(({ name }) => [name, Object.fromEntries([...bad, ...good])]));
    const bytes = await bytesOf(encodeEvent(workEvaluate, 's', workOf(spec, { ...NEW_MEMORY, history }), stamp));
    expect(bytes).toBeLessThan(MAX_PAYLOAD_BYTES / 2);
  });

  test('the fact of 1,500 breaks and 1,000 pods withheld fits', async () => {
    const work = workOf(specOf(1));
    const evaluations = judge(work, 'anomalous', 2500);
    const { breaks, withheld, budgets, panics } = decide(evaluations);
    expect([breaks.length, withheld.length]).toEqual([1500, 1000]);
    const done = { breaks: breaks.map((one) => brokenPod(one, NOW)), withheld, budgets, panics };
    const fact = factOf(work, reportEvaluations(evaluations, done));
    expect(await bytesOf(encodeEvent(evaluationCompleted, 's', fact, stamp))).toBeLessThan(MAX_PAYLOAD_BYTES / 2);
  });

  test('W1: fifty breakers without data for any of 5,000 pods: too much for a fact, so it is told without its lists', async () => {
    const work = workOf(specOf(BREAKERS, { confirm: { anomalous: 2, of: 3 } }));
    const fact = factOf(work, reportEvaluations(judge(work, 'inconclusive', PODS), NOTHING_DONE));
    const lists = JSON.stringify([fact.outcomes, fact.judged]);
    expect((await pack(lists)).data.length).toBeGreaterThan(MAX_PAYLOAD_BYTES);
    const compact = encodeEvent(evaluationCompleted, 's', evaluationRound({} as never).compact(fact), stamp);
    expect(compact.data.breakers.map(({ counts }) => counts.inconclusive)).toEqual(Array(BREAKERS).fill(PODS));
    expect(await bytesOf(compact)).toBeLessThan(MAX_PAYLOAD_BYTES / 10);
  }, 60_000);
});

describe('what is decided', () => {
  test.each([
    [1, A_MOMENT],
    // 125,000 nominations. What of the claim they leave is for patches; the rest is withheld (Deadline).
    [BREAKERS, CLAIM_LIFE],
  ])('B3, W3: a mass break, named by %i breakers, takes less than %i ms of the claim', (count, most) => {
    const evaluations = judge(workOf(specOf(count)), 'anomalous', 2500);
    const { result, milliseconds } = timed(() => decide(evaluations));
    expect(result.breaks).toHaveLength(1500);
    expect(result.withheld).toHaveLength(1000 * count);
    expect(milliseconds).toBeLessThan(most);
  });

  const broken = pods.map((pod, index) => {
    const observation = { reason: 'slow', score: 2 + index, observed: 2.4, limit: 1 };
    return index < 2500
      ? edited(pod, EDITS.break(pod, { breaker: 'breaker-0', at: NOW - 60_000, retryCount: 1, observation }))
      : pod;
  });

  test('A2, B7: and so does the return of 2,500', () => {
    const { spec, selector } = supervisedBy(specOf(1));
    const input = {
      ...{ now: NOW, resource: { name: 'checkout' }, resolved: resolveSpec(spec), selector, pods: broken },
      ...{ active: true, simulated: [], refusedKills: [] },
    };
    const { result, milliseconds } = timed(() => decideActivations(input));
    expect(result.activate).toHaveLength(2500);
    expect(milliseconds).toBeLessThan(A_MOMENT);
  });

  test('status counts all who are out, names fifty of them, and is one that the CRD takes', () => {
    const spec = specOf(BREAKERS);
    const work = workOf(spec);
    const evaluations = judge(work, 'anomalous', 2500);
    const { breaks, withheld, budgets, panics } = decide(evaluations);
    const done = { breaks: breaks.map((one) => brokenPod(one, NOW)), withheld, budgets, panics };
    const memory = rememberEvaluation(
      NEW_MEMORY,
      factOf(work, reportEvaluations(evaluations, done)),
      resolveSpec(spec),
      NOW,
    );
    const { result, milliseconds } = timed(() =>
      composeStatus({
        ...{ supervised: supervisedBy(spec), pods: broken, memory, templatesWithoutLabel: [] },
        ...{ fleetTooLarge: false, previous: undefined, now: NOW },
      }),
    );
    expect(result).toMatchObject({ available: 2500, podCount: { nbPodsBreaked: 2500 } });
    expect(result.pods).toHaveLength(MAX_STATUS_PODS);
    expect(result.breakers).toHaveLength(BREAKERS);
    expect(statusSchema.safeParse(result).error).toBeUndefined();
    expect(milliseconds).toBeLessThan(A_MOMENT);
  });
});
