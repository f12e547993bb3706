/** Whom a detector is asked about, and what its answer counts for. */
import { describe, expect, test } from '@jest/globals';
import { isConfirmed } from './confirm.ts';
import { aPod, aWork, anAnswer, before, fleetPodOf, NOW, somePods, type PodText } from './fleet.fixture.ts';
import { clocksOf } from './grace.ts';
import { judgeable } from './judgeable.ts';
import { inquiries, nominate } from './nominate.ts';
import { panicOf, type Member } from './panic.ts';
import { readVerdicts } from './read-verdicts.ts';
import { NOTHING_DONE, reportEvaluations } from './report.ts';
import { retryCountAtBreak } from './retry-count.ts';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';

describe('judgeable', () => {
  const judged = (text: PodText, gracePeriod = 60) =>
    judgeable([fleetPodOf(aPod('cart-0', text))], { gracePeriod }, clocksOf(NOW)).length === 1;

  test('F3: an unready pod is not judged', () => {
    expect(judged({})).toBe(true);
    expect(judged({ ready: false })).toBe(false);
  });

  test.each(['no', 'pause', 'missing', 'perhaps'])('V2: a pod at traffic %s is not judged', (traffic) => {
    expect(judged({ traffic })).toBe(false);
  });

  test('V4, A7: an activatedAt in the future keeps a pod from judgement, but not for years', () => {
    const day = 86_400;
    expect(judged({ activeFor: -day })).toBe(false);
    expect(judged({ activeFor: -day - 1 })).toBe(true);
    // A machine whose clock stands in 1970 finds all times years ahead: that is no damage.
    const young = fleetPodOf(aPod('cart-0', { readyFor: 30, activeFor: 30 }));
    expect(judgeable([young], { gracePeriod: 60 }, clocksOf(NOW, 0))).toEqual([]);
  });

  test('V4: a pod is not judged until gracePeriod after Ready', () => {
    expect(judged({ readyFor: 59.999 })).toBe(false);
    expect(judged({ readyFor: 60 })).toBe(true);
  });

  test('V4: nor until gracePeriod after it came back', () => {
    expect(judged({ activeFor: 59.999 })).toBe(false);
    expect(judged({ activeFor: 60 })).toBe(true);
  });

  test('V4: a time in the future, of a clock that is off or of a damaged mark, is not past', () => {
    expect(judged({ readyFor: -5 }, 0)).toBe(false);
    expect(judged({ activeFor: -86_400 }, 0)).toBe(false);
  });

  test('an exempt pod is judged, so that people see what it is', () => {
    expect(judged({ exempt: true })).toBe(true);
  });
});

describe('inquiries', () => {
  const modes = (text: Parameters<typeof aWork>[0]) => {
    const work = aWork(text);
    return inquiries(work, resolveSpec(work.spec), clocksOf(NOW)).map(
      ({ breaker, enforced }) => `${breaker.name} ${enforced}`,
    );
  };

  test('only due breakers are asked for, and never a disabled one', () => {
    const breakers = [{ name: 'a' }, { name: 'b' }, { name: 'c', mode: 'disabled' as const }];
    expect(modes({ breakers, due: ['b', 'c', 'removed'] })).toEqual(['b true']);
  });

  test('A6: a breaker in dryRun, a spec in dryRun and a Service without our key enforce nothing', () => {
    expect(modes({ breakers: [{ name: 'a' }, { name: 'b', mode: 'dryRun' }] })).toEqual(['a true', 'b false']);
    expect(modes({ breakers: [{ name: 'a', mode: 'enforce' }], mode: 'dryRun' })).toEqual(['a false']);
    expect(modes({ breakers: [{ name: 'a' }], active: false })).toEqual(['a false']);
  });

  test('A6: what does not enforce judges the fleet as simulated, what enforces the real one', () => {
    const work = aWork({
      breakers: [{ name: 'a' }, { name: 'b', mode: 'dryRun', gracePeriod: 60 }],
      pods: [...somePods(3), aPod('out', { traffic: 'no' })],
      simulated: [
        { uid: 'uid-cart-0', traffic: 'no', breaker: 'b', breakAt: before(5), retryCount: 1 },
        { uid: 'uid-cart-1', traffic: 'yes', retryCount: 1, activatedAt: before(5) },
        // Overtaken: the pod is out for real.
        { uid: 'uid-out', traffic: 'yes', retryCount: 1, activatedAt: before(500) },
      ],
    });
    const sent = inquiries(work, resolveSpec(work.spec), clocksOf(NOW)).map((inquiry) =>
      inquiry.sent.map(({ name }) => name),
    );
    expect(sent).toEqual([['cart-0', 'cart-1', 'cart-2'], ['cart-2']]);
  });
});

describe('readVerdicts', () => {
  const sent = somePods(3).map(fleetPodOf);
  const fleet = [...sent, fleetPodOf(aPod('out', { traffic: 'no' })), fleetPodOf(aPod('young', { readyFor: 1 }))];
  const read = (...verdicts: Parameters<typeof anAnswer>[0] & object) => readVerdicts(sent, fleet, anAnswer(verdicts));
  const outcomes = (judgement: ReturnType<typeof read>) => sent.map(({ uid }) => judgement.verdicts.get(uid)?.outcome);

  test('V2: verdicts count by name, and where a uid is given only for that very pod', () => {
    const judgement = read(
      { pod: 'cart-0', outcome: 'anomalous' },
      { pod: 'cart-1', uid: 'uid-cart-1', outcome: 'anomalous' },
      { pod: 'cart-2', uid: 'uid-of-its-predecessor', outcome: 'anomalous' },
    );
    expect(outcomes(judgement)).toEqual(['anomalous', 'anomalous', 'inconclusive']);
    expect(judgement.ignored).toEqual({ otherUid: 1 });
  });

  test('V2: verdicts for pods that were not asked about are counted by why, and judge nobody', () => {
    const judgement = read(
      { pod: 'nobody', outcome: 'anomalous' },
      { pod: 'out', outcome: 'anomalous' },
      { pod: 'young', outcome: 'anomalous' },
    );
    expect(judgement.ignored).toEqual({ unknownPod: 1, notInTraffic: 1, notJudged: 1 });
    expect(judgement.counts).toEqual({ ok: 0, anomalous: 0, inconclusive: 3, error: 0 });
  });

  test('V1: a pod that the answer leaves out is inconclusive', () => {
    expect(outcomes(read({ pod: 'cart-1', outcome: 'ok' }))).toEqual(['inconclusive', 'ok', 'inconclusive']);
  });

  test('V5: a missing score is 1', () => {
    expect(read({ pod: 'cart-0', outcome: 'anomalous' }).verdicts.get('uid-cart-0')?.score).toBe(1);
  });

  test('V2: of two verdicts that agree the worse one counts, whichever came first', () => {
    const two = [
      { pod: 'cart-0', outcome: 'anomalous' as const, score: 2 },
      { pod: 'cart-0', outcome: 'anomalous' as const, score: 3 },
    ];
    for (const verdicts of [two, two.toReversed()]) {
      const judgement = read(...verdicts);
      expect(judgement.verdicts.get('uid-cart-0')?.score).toBe(3);
      expect(judgement.ignored).toEqual({ duplicateVerdict: 1 });
    }
  });

  test('V1: verdicts that contradict each other are inconclusive, also with a third', () => {
    const bad = { pod: 'cart-0', outcome: 'anomalous' as const, score: 9 };
    const good = { pod: 'cart-0', outcome: 'ok' as const };
    for (const verdicts of [
      [bad, good],
      [good, bad],
      [bad, good, bad],
      [bad, bad, good],
      [good, bad, bad],
    ])
      expect(outcomes(read(...verdicts))[0]).toBe('inconclusive');
  });

  test('V1: an answer with an error judges nobody, whatever stands beside the error', () => {
    const judgement = readVerdicts(sent, fleet, {
      ...anAnswer([{ pod: 'cart-0', outcome: 'anomalous' }]),
      error: { reason: 'Timeout', message: 'late' },
    });
    expect(judgement.verdicts.size).toBe(0);
    expect(judgement.counts).toEqual({ ok: 0, anomalous: 0, inconclusive: 0, error: 3 });
  });
});

describe('reportEvaluations', () => {
  test('passes on what the source warned of and what was dropped, of an answer as of an error', () => {
    const warnings = ['a store did not answer'];
    const ignored = { notANumber: 2 };
    const work = aWork({ pods: somePods(3) });
    for (const error of [undefined, { reason: 'Timeout', message: 'late' } as const]) {
      const [inquiry] = inquiries(work, resolveSpec(work.spec), clocksOf(NOW));
      if (inquiry === undefined) throw new Error('nobody is asked');
      const answer = { ...anAnswer(), ignored, warnings, ...(error !== undefined && { error }) };
      const [report] = reportEvaluations([nominate(inquiry, answer, undefined)], NOTHING_DONE).breakers;
      expect(report).toMatchObject({ warnings, ignored });
    }
  });
});

describe('isConfirmed', () => {
  test.each([
    ['', 1, 1, true],
    ['', 2, 3, false],
    ['10', 2, 3, true],
    ['00', 2, 3, false],
    ['1100', 2, 3, false],
    ['11', 3, 3, true],
    ['01', 3, 3, false],
    ['111', 2, 1, false],
  ])('V3: after %j, confirm %i of %i: %s', (history, anomalous, of, expected) => {
    expect(isConfirmed(history, { anomalous, of })).toBe(expected);
  });
});

describe('panicOf', () => {
  const members = (bad: number, good: number, more: Partial<Member>[] = []): Member[] => [
    ...Array.from({ length: bad }, (_, index) => ({ uid: `bad-${index}`, out: false })),
    ...Array.from({ length: good }, (_, index) => ({ uid: `good-${index}`, out: false })),
    ...more.map((one, index) => ({ uid: `more-${index}`, out: false, ...one })),
  ];
  const outcomeOf = (uid: string) =>
    uid.startsWith('bad')
      ? 'anomalous'
      : uid.startsWith('good')
        ? 'ok'
        : uid.startsWith('silent')
          ? 'inconclusive'
          : undefined;
  const panics = (all: Member[], threshold = 50) => panicOf(all, outcomeOf, threshold) !== undefined;

  test('P: exactly the threshold is no panic, one more is', () => {
    expect(panics(members(5, 5))).toBe(false);
    expect(panics(members(6, 5))).toBe(true);
    expect(panics(members(1, 2), 33.4)).toBe(false);
    expect(panics(members(1, 2), 33.3)).toBe(true);
  });

  test('P: 100 switches it off; 0 lets nobody be broken', () => {
    expect(panics(members(3, 0), 100)).toBe(false);
    expect(panics(members(1, 99), 0)).toBe(true);
    expect(panics(members(0, 3), 0)).toBe(false);
  });

  test('P: pods that are out count as bad and as judged, paused and unjudged ones on neither side', () => {
    expect(panics(members(2, 4, [{ out: true }, { out: true }]))).toBe(false);
    expect(panics(members(3, 4, [{ out: true }, { out: true }]))).toBe(true);
    expect(panics(members(2, 2, [{}, {}, {}]))).toBe(false);
    expect(panics(members(3, 2, [{}, {}, {}]))).toBe(true);
    expect(panics(members(3, 2, [{ uid: 'silent-1' }, { uid: 'silent-2' }]))).toBe(true);
  });

  test('P: a pod that is out and was found anomalous counts once', () => {
    const all = members(2, 2).map((member) => (member.uid === 'bad-0' ? { ...member, out: true } : member));
    expect(panics(all)).toBe(false);
  });

  test('P: the message says what the bad pods share and the good ones do not', () => {
    const all = members(9, 3).map((member, index) => ({
      ...member,
      revision: index < 8 ? '7d9' : '5c1',
      node: `node-${index % 4}`,
    }));
    expect(panicOf(all, outcomeOf, 50)).toBe('9 of 12 bad, more than 50 %; 8 of the 9 are of revision 7d9');
    const onOneNode = members(4, 3).map((member, index) => ({
      ...member,
      revision: '7d9',
      node: index < 4 ? 'n1' : 'n2',
    }));
    expect(panicOf(onOneNode, outcomeOf, 50)).toBe('4 of 7 bad, more than 50 %; 4 of the 4 are on node n1');
    const inOneZone = onOneNode.map(({ node, ...member }, index) => ({
      ...member,
      node: `m${index}`,
      zone: node === 'n1' ? 'z1' : 'z2',
    }));
    expect(panicOf(inOneZone, outcomeOf, 50)).toBe('4 of 7 bad, more than 50 %; 4 of the 4 are in zone z1');
  });
});

describe('retryCountAtBreak', () => {
  const activator = { retryDecayPeriod: 100, probation: 20 };
  const at = (retryCount: number, since: { back?: number; ready?: number }) =>
    retryCountAtBreak(
      { retryCount, ...(since.back !== undefined && { activatedAt: NOW - 1000 * since.back }) },
      since.ready === undefined ? undefined : NOW - 1000 * since.ready,
      activator,
      NOW,
    );

  test('A3: a first break counts 1, and each further one adds 1', () => {
    expect(at(0, { ready: 3600 })).toBe(1);
    expect(at(1, { back: 30 })).toBe(2);
  });

  test('A3: each retryDecayPeriod in traffic after the probation forgives one', () => {
    expect(at(5, { back: 119.999 })).toBe(6);
    expect(at(5, { back: 120 })).toBe(5);
    expect(at(5, { back: 320 })).toBe(3);
    expect(at(5, { back: 100_000 })).toBe(1);
  });

  test('A3: a pod that never came back counts from Ready, without a probation', () => {
    expect(at(2, { ready: 100 })).toBe(2);
    expect(at(2, { ready: 99.999 })).toBe(3);
  });

  test('A3: a clock that ran backwards forgives nothing and adds nothing', () => {
    expect(at(3, { back: -5000 })).toBe(4);
    expect(at(3, { ready: -5000 })).toBe(4);
    expect(at(3, {})).toBe(4);
  });
});
