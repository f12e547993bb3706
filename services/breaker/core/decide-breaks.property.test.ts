/** What holds of every decision, over random fleets, breakers and verdicts. The counting here is done anew, not by the code under test. */
import { describe, expect, test } from '@jest/globals';
import type { SimulatedPod } from '@kubervisor/shared/events/common';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { EDITS, edited, writeTime } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import fc from 'fast-check';
import type { Break, BreakDecision } from './decide-breaks.ts';
import {
  aPod,
  applied,
  aWork,
  decide,
  evaluate,
  NOW,
  type BreakerText,
  type PodText,
  type Verdicts,
} from './fleet.fixture.ts';

/** The floor is tried on more fleets than the rest. */
const FLEETS = 10_000;
const FEWER = 2000;

const rarely = fc.constantFrom(...Array<boolean>(9).fill(false), true);
const mostly = rarely.map((not) => !not);

const podText: fc.Arbitrary<PodText> = fc.record({
  traffic: fc.constantFrom('yes', 'yes', 'yes', 'yes', 'yes', 'yes', 'no', 'pause', 'missing'),
  ready: mostly,
  readyFor: fc.constantFrom(3600, 3600, 3600, 30, -5),
  retryCount: fc.nat(4),
  exempt: rarely,
  terminating: rarely,
  finished: rarely,
  owner: rarely.map((other) => (other ? 'other' : 'cart')),
  labels: rarely.map((shared): Record<string, string> => (shared ? { track: 'canary' } : {})),
});

const breakerText = (name: string): fc.Arbitrary<BreakerText> =>
  fc
    .record({
      minPodsAvailableCount: fc.nat(5),
      ratio: fc.option(fc.nat(100), { nil: undefined }),
      panicThreshold: fc.constantFrom(100, 100, 100, 80, 50),
      gracePeriod: fc.constantFrom(0, 0, 60),
      confirm: fc.constantFrom({ anomalous: 1, of: 1 }, { anomalous: 1, of: 1 }, { anomalous: 2, of: 2 }),
    })
    .map(({ ratio, ...rest }) => ({ name, ...rest, ...(ratio !== undefined && { minPodsAvailableRatio: ratio }) }));

const NAMES = ['a', 'b', 'c'];
const MOST_PODS = 10;
const podName = (index: number) => `cart-${index}`;

const fleet = fc
  .array(podText, { minLength: 1, maxLength: MOST_PODS })
  .map((texts) => texts.map((text, index) => aPod(podName(index), text)));
const breakers = fc.integer({ min: 1, max: 3 }).chain((count) => fc.tuple(...NAMES.slice(0, count).map(breakerText)));
const scores = fc
  .array(fc.option(fc.constantFrom(1, 1.5, 2, 7), { nil: undefined }), { minLength: MOST_PODS, maxLength: MOST_PODS })
  .map((list) =>
    Object.fromEntries(list.flatMap((score, index) => (score === undefined ? [] : [[podName(index), score]]))),
  );
const verdicts: fc.Arbitrary<Verdicts> = fc.record({ a: scores, b: scores, c: scores });
const history = fc
  .array(fc.constantFrom('', '0', '1'), { minLength: MOST_PODS, maxLength: MOST_PODS })
  .map((bits) => Object.fromEntries(bits.map((bit, index) => [`uid-${podName(index)}`, bit])));

interface Situation {
  work: WorkEvaluate;
  pods: Pod[];
  verdicts: Verdicts;
}

const others = [{ name: 'canary', selector: { track: 'canary' } }];
const situation: fc.Arbitrary<Situation> = fc
  .record({ pods: fleet, breakers, verdicts, history })
  .map(({ pods, breakers, verdicts, history }) => ({
    work: aWork({ pods, breakers, others, history: Object.fromEntries(NAMES.map((name) => [name, history])) }),
    pods,
    verdicts,
  }));

const owned = (pods: readonly Pod[]) => pods.filter((pod) => pod.labels[LABEL.name] === 'cart' && !pod.finished);
const inTraffic = (pods: readonly Pod[]) =>
  owned(pods).filter((pod) => !pod.terminating && pod.ready && pod.labels[LABEL.traffic] === 'yes');

/** B1 in whole numbers: every percentage here is one. */
function floor(work: WorkEvaluate, name: string, pods: readonly Pod[]): number {
  const { minPodsAvailableCount, minPodsAvailableRatio = 0 } = work.spec.breakers.find((one) => one.name === name) ?? {
    minPodsAvailableCount: Infinity,
  };
  return Math.max(minPodsAvailableCount, Math.floor((owned(pods).length * minPodsAvailableRatio + 99) / 100));
}

const check = (property: (situation: Situation) => void, numRuns = FEWER) =>
  fc.assert(fc.property(situation, property), { numRuns });

const decided = ({ work, pods, verdicts }: Situation): BreakDecision => decide(work, evaluate(work, verdicts), pods);

test('the fleets of these properties do come to breaks, to floors and to panics', () => {
  const seen = new Map<string, number>();
  check((given) => {
    const { breaks, withheld, panics } = decided(given);
    const what = [
      ...(breaks.length > 1 ? ['breaks'] : []),
      ...new Set(withheld.map(({ reason }) => reason)),
      ...(Object.keys(panics).length > 0 ? ['panic'] : []),
    ];
    for (const one of what) seen.set(one, (seen.get(one) ?? 0) + 1);
  }, 1000);
  for (const wanted of ['breaks', 'FloorReached', 'SharedPods', 'panic'])
    expect(seen.get(wanted) ?? 0).toBeGreaterThan(50);
});

describe('over random fleets', () => {
  test('B1, B2, B3: every prefix and every part of the breaks holds the floor of each breaker in it', () => {
    fc.assert(
      fc.property(
        situation,
        fc.array(fc.boolean(), { minLength: MOST_PODS, maxLength: MOST_PODS }),
        (given, chosen) => {
          const { breaks } = decided(given);
          const parts = [breaks, breaks.filter((_, index) => chosen[index])];
          for (const part of parts) {
            part.forEach((one, index) => {
              const left = inTraffic(applied(given.pods, part.slice(0, index + 1))).length;
              expect(left).toBeGreaterThanOrEqual(floor(given.work, one.breaker, given.pods));
            });
          }
        },
      ),
      { numRuns: FLEETS },
    );
  });

  test('B2: a break takes exactly one pod that was in traffic, so a floor that holds is never crossed', () => {
    check((given) => {
      const { breaks } = decided(given);
      const before = inTraffic(given.pods).length;
      expect(inTraffic(applied(given.pods, breaks)).length).toBe(before - breaks.length);
      const floors = breaks.map(({ breaker }) => floor(given.work, breaker, given.pods));
      if (breaks.length > 0) expect(before - breaks.length).toBeGreaterThanOrEqual(Math.min(...floors));
    });
  });

  test('B2, B6: nothing is held back without need, and each is told with its floor', () => {
    check((given) => {
      const { breaks, withheld } = decided(given);
      const left = inTraffic(applied(given.pods, breaks)).length;
      for (const { reason, breaker } of withheld)
        if (reason === 'FloorReached') expect(left - 1).toBeLessThan(floor(given.work, breaker ?? '', given.pods));
    });
  });

  test('B4: of one breaker nobody stays for the floor who is worse than one it broke', () => {
    check((given) => {
      const { breaks, withheld } = decided(given);
      const scoreOf = (breaker: string, pod: string) => given.verdicts[breaker]?.[pod] ?? NaN;
      for (const held of withheld) {
        if (held.reason !== 'FloorReached' || held.breaker === undefined) continue;
        const heldScore = scoreOf(held.breaker, held.pod);
        for (const { pod, breaker, observation } of breaks) {
          if (breaker !== held.breaker) continue;
          expect(observation.score > heldScore || (observation.score === heldScore && pod.uid < held.uid)).toBe(true);
        }
      }
    });
  });

  test('B4: the order of pods, verdicts, breakers and history never matters', () => {
    fc.assert(
      fc.property(situation, fc.nat(1000), (given, seed) => {
        const shuffled = <T>(list: readonly T[]): T[] =>
          list
            .map((item, index) => ({ item, key: Math.imul(index + 1, 2 * seed + 1) % 7919 }))
            .sort((one, other) => one.key - other.key)
            .map(({ item }) => item);
        const shuffledMap = <T>(map: Readonly<Record<string, T>>) => Object.fromEntries(shuffled(Object.entries(map)));
        const { work } = given;
        const other: Situation = {
          work: {
            ...work,
            spec: { ...work.spec, breakers: shuffled(work.spec.breakers) },
            fleet: shuffled(work.fleet),
            due: shuffled(work.due),
            history: shuffledMap(work.history),
          },
          pods: shuffled(given.pods),
          verdicts: shuffledMap(given.verdicts),
        };
        const [one, two] = [decided(given), decided(other)];
        const inOrder = (breaks: Break[]) =>
          breaks.map(({ pod, breaker, retryCount }) => [pod.uid, breaker, retryCount]);
        expect(inOrder(two.breaks)).toEqual(inOrder(one.breaks));
        const lines = ({ withheld }: BreakDecision) =>
          withheld.map(({ uid, breaker, reason }) => `${uid} ${breaker} ${reason}`).sort();
        expect(lines(two)).toEqual(lines(one));
        expect(two.budgets).toEqual(one.budgets);
      }),
      { numRuns: FEWER },
    );
  });

  test('V1, V3, V4, F3, F5, P: whoever is broken is anomalous, confirmed, ready, past its grace, nobody else’s, and there is no panic', () => {
    check((given) => {
      const { work, pods, verdicts } = given;
      for (const { pod, breaker } of decided(given).breaks) {
        const spec = work.spec.breakers.find(({ name }) => name === breaker);
        if (spec === undefined) throw new Error('a breaker that is not there');
        expect(verdicts[breaker]?.[pod.name]).toBeDefined();
        expect([1, ...(work.history[breaker]?.[pod.uid] === '1' ? [1] : [])].length).toBeGreaterThanOrEqual(
          spec.confirm?.anomalous ?? 1,
        );
        expect(inTraffic(pods)).toContain(pod);
        expect(pod.annotations['kubervisor/exempt']).toBeUndefined();
        expect(pod.labels['track']).toBeUndefined();
        expect(NOW - (pod.readySince ?? NaN)).toBeGreaterThanOrEqual(1000 * (spec.gracePeriod ?? NaN));

        const out = owned(pods).filter((one) => !one.terminating && one.labels[LABEL.traffic] === 'no').length;
        const judged = inTraffic(pods).filter(
          (one) => NOW - (one.readySince ?? NaN) >= 1000 * (spec.gracePeriod ?? NaN),
        );
        const bad = judged.filter(({ name }) => verdicts[breaker]?.[name] !== undefined).length;
        expect(100 * (bad + out)).toBeLessThanOrEqual(spec.panicThreshold * (judged.length + out));
      }
    });
  });

  test('B6: every anomalous verdict ends in a break of the pod or in one reason of the breaker', () => {
    check((given) => {
      const evaluations = evaluate(given.work, given.verdicts);
      const { breaks, withheld } = decide(given.work, evaluations, given.pods);
      const all = [...evaluations.flatMap((evaluation) => evaluation.withheld), ...withheld];
      const broken = new Set(breaks.map(({ pod }) => pod.uid));
      for (const { breaker, judgement } of evaluations) {
        for (const { uid, outcome } of judgement.verdicts.values()) {
          const held = all.filter((one) => one.uid === uid && one.breaker === breaker.name);
          if (outcome !== 'anomalous') expect(held).toEqual([]);
          else if (held.length !== 1) expect([held.length, broken.has(uid)]).toEqual([0, true]);
        }
      }
    });
  });

  test('W4: the same message again, after its breaks, breaks nobody more', () => {
    check((given) => {
      const evaluations = evaluate(given.work, given.verdicts);
      const { breaks } = decide(given.work, evaluations, given.pods);
      expect(decide(given.work, evaluations, applied(given.pods, breaks)).breaks).toEqual([]);
    });
  });

  test('W4, B2: whatever becomes of the patches, also of those without an answer, each further decision holds the floor', () => {
    type Fate = 'patched' | 'refused' | 'unready' | 'gone' | 'landed' | 'late' | 'lost';
    const fate = fc.constantFrom<Fate>('patched', 'refused', 'unready', 'gone', 'landed', 'late', 'lost');
    fc.assert(
      fc.property(situation, fc.array(fate, { minLength: 40, maxLength: 40 }), (given, fates) => {
        const { work, verdicts } = given;
        const evaluations = evaluate(work, verdicts);
        const settled: { uid: string; left: boolean }[] = [];
        /** Patches that were sent and may still take effect. */
        const pending: Break[] = [];
        let pods = given.pods;
        for (let turn = 0; turn < MOST_PODS; turn++) {
          const { breaks } = decide(work, evaluations, pods, { settled });
          if (breaks.length === 0) break;
          breaks.forEach((one, index) => {
            const worst = inTraffic(applied(pods, [...pending, ...breaks.slice(0, index + 1)])).length;
            expect(worst).toBeGreaterThanOrEqual(floor(work, one.breaker, pods));
            expect(settled.some(({ uid }) => uid === one.pod.uid)).toBe(false);
          });
          for (const one of breaks) {
            const what = fates.shift() ?? 'refused';
            settled.push({ uid: one.pod.uid, left: ['patched', 'landed', 'late', 'lost'].includes(what) });
            if (what === 'patched' || what === 'landed') pods = applied(pods, [one]);
            else if (what === 'late' || what === 'lost') pending.push(one);
            else if (what === 'gone') pods = pods.filter(({ uid }) => uid !== one.pod.uid);
            else if (what === 'unready') {
              pods = pods.map((pod) => (pod.uid === one.pod.uid ? { ...pod, ready: false } : pod));
            }
          }
        }
      }),
      { numRuns: FLEETS },
    );
  });

  test('A6: round after round a dry run says what enforcing would have done', () => {
    fc.assert(
      fc.property(situation, fc.array(verdicts, { minLength: 1, maxLength: 3 }), ({ work, pods }, rounds) => {
        const dry: WorkEvaluate = { ...work, spec: { ...work.spec, mode: 'dryRun' } };
        let real = pods;
        let simulated: SimulatedPod[] = [];
        rounds.forEach((verdicts, index) => {
          const now = NOW + 5000 * index;
          const listed = { ...work, fleet: aWork({ pods: real }).fleet };
          const enforcing = decide(listed, evaluate(listed, verdicts, now), real, { now });
          const believing = { ...dry, simulated };
          const told = decide(believing, evaluate(believing, verdicts, now), pods, { now, enforced: false });
          const inWords = ({ breaks }: BreakDecision) =>
            breaks.map(({ pod, breaker, retryCount }) => [pod.uid, breaker, retryCount]);
          expect(inWords(told)).toEqual(inWords(enforcing));
          expect(told.breaks.every(({ enforced }) => !enforced)).toBe(true);
          real = applied(real, enforcing.breaks, now);
          simulated = [
            ...simulated,
            ...told.breaks.map(({ pod, breaker, retryCount }) => ({
              uid: pod.uid,
              traffic: 'no' as const,
              breaker,
              breakAt: writeTime(now),
              retryCount,
            })),
          ];
        });
      }),
      { numRuns: FEWER },
    );
  });
});

test('B1: a large fleet is decided on in one go, to the pod', () => {
  const pods = Array.from({ length: 2000 }, (_, index) => aPod(podName(index)));
  const work = aWork({ pods, breakers: [{ name: 'a', minPodsAvailableRatio: 33.3 }] });
  const all = { a: Object.fromEntries(pods.map(({ name }, index) => [name, 1 + (index % 97)])) };
  const { breaks } = decide(work, evaluate(work, all), pods);
  expect(breaks).toHaveLength(2000 - 666);
  const [worst] = breaks;
  expect(worst && edited(worst.pod, EDITS.break(worst.pod, { ...worst, at: NOW })).labels[LABEL.traffic]).toBe('no');
});
