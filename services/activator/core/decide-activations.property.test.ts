/** What holds of every decision, over random fleets and over clocks that also run backwards. */
import { describe, expect, test } from '@jest/globals';
import type { ActivatorSpec } from '@kubervisor/shared/crd/kubervisor-service';
import { EDITS, edited, marksOf } from '@kubervisor/shared/pods/codec';
import { countsOf, isPaused } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { floorOf } from '@kubervisor/shared/policy/percent';
import { activatorOf } from '@kubervisor/shared/policy/return';
import fc from 'fast-check';
import type { ActivationDecision } from './decide-activations.ts';
import { aPod, aSpec, decide, healthy, inWords, NOW, type PodText } from './fleet.fixture.ts';

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const rarely = fc.constantFrom(...Array<boolean>(7).fill(false), true);

const podText: fc.Arbitrary<PodText> = fc
  .record({
    traffic: fc.constantFrom('no', 'no', 'no', 'yes', 'pause', 'perhaps'),
    strategy: fc.constantFrom('slow', 'errors', 'removed'),
    brokenFor: maybe(fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: -120, max: 2000 }))),
    breakAt: fc.option(fc.constantFrom('MCCIV', '2099-01-01T00:00:00Z', '1970-01-01T00:00:00Z', ''), {
      nil: undefined,
      freq: 1,
    }),
    retryCount: maybe(fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constantFrom(5, 5, 9, 'MCCIV', '-1', '1e9'))),
    activatedAt: maybe(fc.integer({ min: -100, max: 100 }).map((at) => new Date(NOW + 1000 * at).toISOString())),
    score: maybe(fc.double({ min: 1, max: 9, noNaN: true })),
    exempt: rarely,
    ready: fc.boolean(),
    neverReady: rarely,
    terminating: rarely,
    owned: rarely.map((not) => !not),
  })
  .map((text) => {
    const given = Object.entries(text).filter(([, value]) => value !== undefined);
    return Object.fromEntries(given) as PodText;
  });

const activator: fc.Arbitrary<Partial<ActivatorSpec>> = fc
  .record({
    mode: fc.constantFrom('periodic' as const, 'retryAndKill' as const, 'retryAndPause' as const),
    period: fc.constantFrom(1, 10, 400),
    maxRetryCount: fc.integer({ min: 0, max: 4 }),
    maxPauseCount: fc.integer({ min: 0, max: 3 }),
    maxPeriod: fc.constantFrom(5, 60, 300),
    jitter: fc.constantFrom(0, 0.1, 1),
    pauseOverflow: fc.constantFrom('kill' as const, 'hold' as const),
    maxConcurrentActivations: maybe(fc.constantFrom(1, 2, '10%')),
  })
  .map(({ maxConcurrentActivations, ...rest }) => ({
    ...rest,
    ...(maxConcurrentActivations !== undefined && { maxConcurrentActivations }),
  }));

const situation = fc
  .record({
    texts: fc.array(podText, { maxLength: 8 }),
    others: fc.integer({ min: 0, max: 10 }),
    slow: activator,
    errors: activator,
    floors: fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })),
    ratio: maybe(fc.integer({ min: 0, max: 100 })),
  })
  .map(({ texts, others, slow, errors, floors, ratio }) => ({
    pods: [...texts.map((text, index) => aPod(`p${index}`, text)), ...healthy(others)],
    resolved: aSpec(
      {},
      {
        breakers: [
          { name: 'slow', minPodsAvailableCount: floors[0], activator: slow },
          {
            name: 'errors',
            minPodsAvailableCount: floors[1],
            activator: errors,
            ...(ratio !== undefined && { minPodsAvailableRatio: ratio }),
          },
        ],
        defaultActivator: errors,
      },
    ),
  }));

/** The fleet after a decision was applied. A killed pod is ending. */
function applied(pods: readonly Pod[], { activate, pause, kill, stamp }: ActivationDecision, now: number): Pod[] {
  const next = new Map(pods.map((pod) => [pod.uid, pod]));
  for (const { pod } of activate) next.set(pod.uid, edited(pod, EDITS.activate(pod, { at: now })));
  for (const { pod } of stamp) next.set(pod.uid, edited(pod, EDITS.stampBreakAt(pod, { at: now })));
  for (const { pod } of pause) next.set(pod.uid, edited(pod, EDITS.pause(pod)));
  for (const { pod } of kill) next.set(pod.uid, { ...pod, terminating: true, ready: false });
  return [...next.values()];
}
const actsOn = ({ activate, pause, kill }: ActivationDecision) =>
  [...activate, ...pause, ...kill].map(({ pod }) => pod);

describe('every decision', () => {
  test('has exactly one word for each pod that is out, and none for the others', () => {
    fc.assert(
      fc.property(situation, ({ pods, resolved }) => {
        const { activate, pause, kill, stamp, withheld } = decide(pods, resolved);
        const named = [...activate, ...pause, ...kill, ...stamp, ...withheld].map(({ pod }) => pod.name);
        const out = pods.filter((pod) => !pod.terminating && ['no', 'pause'].includes(marksOf(pod).traffic ?? ''));
        expect(named.sort()).toEqual(out.map(({ name }) => name).sort());
      }),
    );
  });

  test('A5: kills nobody under the floor, no exempt pod, none without an owner, and one at a time', () => {
    let kills = 0;
    fc.assert(
      fc.property(situation, ({ pods, resolved }) => {
        const decision = decide(pods, resolved);
        const { available, total } = countsOf(pods);
        expect(decision.kill.length).toBeLessThanOrEqual(1);
        for (const { pod } of decision.kill) {
          kills++;
          const marks = marksOf(pod);
          const breakers = resolved.breakers.filter(({ name }) => name === marks.strategy);
          for (const one of breakers.length > 0 ? breakers : resolved.breakers)
            expect(available).toBeGreaterThanOrEqual(floorOf(total, one));
          expect(marks.exempt).toBe(false);
          expect(pod.owner).toBeDefined();
          expect(pods.some((other) => other.terminating && marksOf(other).traffic === 'no')).toBe(false);
        }
      }),
      // Few situations allow a kill: about 19 in a thousand.
      { numRuns: 4000 },
    );
    expect(kills).toBeGreaterThan(10);
  });

  test('A4: never takes the paused pods of a Service beyond maxPauseCount', () => {
    let pauses = 0;
    fc.assert(
      fc.property(situation, ({ pods, resolved }) => {
        const decision = decide(pods, resolved);
        pauses += decision.pause.length;
        const limits = decision.pause.map(({ pod }) => activatorOf(marksOf(pod), resolved).activator.maxPauseCount);
        const paused = applied(pods, decision, NOW).filter((pod) => isPaused(pod) && !pod.terminating).length;
        if (limits.length > 0) expect(paused).toBeLessThanOrEqual(Math.max(...limits));
      }),
      { numRuns: 1000 },
    );
    expect(pauses).toBeGreaterThan(10);
  });

  test('B7: leaves no floor broken that its own breaker’s pods could restore', () => {
    fc.assert(
      fc.property(situation, ({ pods, resolved }) => {
        const after = applied(pods, decide(pods, resolved), NOW);
        const { available, repairTotal } = countsOf(after);
        for (const breaker of resolved.breakers) {
          if (available >= floorOf(repairTotal, breaker)) continue;
          const left = after.filter((pod) => {
            const { traffic, strategy, exempt } = marksOf(pod);
            return traffic === 'no' && strategy === breaker.name && pod.ready && !exempt && !pod.terminating;
          });
          expect(left).toEqual([]);
        }
      }),
    );
  });

  test('W4: once applied, does nothing more; but a kill that its returns made possible', () => {
    fc.assert(
      fc.property(situation, ({ pods, resolved }) => {
        const first = decide(pods, resolved);
        const second = decide(applied(pods, first, NOW), resolved);
        expect({ ...second, kill: [], withheld: [], nextLook: 0 }).toEqual({
          activate: [],
          pause: [],
          kill: [],
          stamp: [],
          withheld: [],
          nextLook: 0,
        });
        const { available, total } = countsOf(pods);
        if (resolved.breakers.every((breaker) => available >= floorOf(total, breaker))) expect(second.kill).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('B4: does not depend on the order of the pods', () => {
    const shuffled = situation.chain(({ pods, resolved }) =>
      fc.record({
        pods: fc.constant(pods),
        resolved: fc.constant(resolved),
        other: fc.shuffledSubarray(pods, { minLength: pods.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ pods, other, resolved }) => {
        expect(inWords(decide(other, resolved))).toEqual(inWords(decide(pods, resolved)));
      }),
    );
  });
});

test('A7: no dead ends: whatever the clock did, every pod that no person holds is acted on when time goes on', () => {
  const walk = fc.array(fc.integer({ min: -3600, max: 600 }), { maxLength: 12 });
  fc.assert(
    fc.property(situation, walk, ({ pods, resolved }, steps) => {
      let now = NOW;
      let fleet: Pod[] = pods;
      const acted = new Set<string>();
      const step = (seconds: number) => {
        now += 1000 * seconds;
        const decision = decide(fleet, resolved, { now });
        for (const { uid } of actsOn(decision)) acted.add(uid);
        // Killed pods never go, which is the worst that can happen to those that wait for their turn.
        fleet = applied(fleet, decision, now);
        return decision;
      };
      steps.forEach(step);
      // The longest wait and the longest patience with a kill are 800 s each, and each return may have to await another's probation.
      for (let forwards = 0; forwards < 60; forwards++) step(60);
      const held = new Set(
        step(60)
          .withheld.filter(({ reason }) => reason === 'PauseLimit')
          .map(({ pod }) => pod.uid),
      );
      const stranded = pods.filter(
        (pod) => marksOf(pod).traffic === 'no' && !pod.terminating && !acted.has(pod.uid) && !held.has(pod.uid),
      );
      expect(stranded.map(({ name }) => name)).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('the next look is never later than the next act, and never at once: no pod is forgotten, and no round chases another', () => {
  fc.assert(
    fc.property(situation, ({ pods, resolved }) => {
      const first = decide(pods, resolved);
      const fleet = applied(pods, first, NOW);
      const look = first.nextLook ?? NOW + 4_000_000;
      expect(look).toBeGreaterThan(NOW);
      const until = Math.min(look, NOW + 4_000_000);
      // What opens by itself before that look (a probation that ends, a kill's turn) may wait for it: at most 30 s.
      if (until - NOW <= 30_000) return;
      for (const now of [0.25, 0.5, 0.75].map((share) => NOW + share * (until - NOW)))
        expect(actsOn(decide(fleet, resolved, { now })).map(({ name }) => name)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
