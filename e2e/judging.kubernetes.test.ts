/** Who is judged, when a verdict counts, whom nobody may break, and what is mended: V3, V4, F3, F5, B7, the mark of a person, with the whole loop. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;

beforeAll(async () => {
  world = await startWorld({ counts: { breaker: 2 } });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

const evaluationsOf = (fleet: string) =>
  world.rounds.flatMap((round) =>
    round.kind === 'evaluate' && round.fact.resource.name === fleet && round.fact.outcome === 'completed'
      ? [round.fact]
      : [],
  );
const evaluations = async (fleet: string, count: number): Promise<void> => {
  const before = evaluationsOf(fleet).length;
  await world.until(`${count} evaluations of ${fleet}`, () => evaluationsOf(fleet).length >= before + count);
};
const messageOf = (fleet: string): string => world.status(fleet)?.breakers?.[0]?.message ?? '';

test('V3: confirm 3 of 4: a pod that is bad twice stays, one that is bad a third time leaves, and not before', async () => {
  const fleet = 'confirmed';
  const [bad = ''] = await given.fleet(fleet, { replicas: 4 });
  await given.supervision(fleet, { confirm: { anomalous: 3, of: 4 }, activator: { period: 600 } });
  await evaluations(fleet, 1);
  const isBadIn = () =>
    evaluationsOf(fleet).filter(({ outcomes }) =>
      outcomes.some(({ pod, outcome }) => pod === bad && outcome === 'anomalous'),
    ).length;
  when.isBad(bad);
  await world.until('it was bad twice', () => isBadIn() === 2);
  when.allIsWell();
  await evaluations(fleet, 5);
  expect(then.traffic(bad)).toBe('yes');
  expect(evaluationsOf(fleet).flatMap(({ withheld }) => withheld.map(({ reason }) => reason))).toEqual([
    'NotConfirmed',
    'NotConfirmed',
  ]);
  when.isBad(bad);
  await then.leavesTraffic(fleet, bad);
  await world.until('the fact of the break', () => evaluationsOf(fleet).some(({ breaks }) => breaks.length > 0));
  expect(isBadIn()).toBe(5);
  when.allIsWell();
});

test('V4: within gracePeriod of its coming back a pod is not judged, after it it is', async () => {
  const fleet = 'grace';
  const grace = 5000;
  const [bad = ''] = await given.fleet(fleet, { replicas: 3 });
  const sinceReady = () => Date.now() - (world.pod(bad)?.readySince ?? Infinity);
  await given.supervision(fleet, { gracePeriod: grace / 1000, activator: { period: 1, jitter: 0 } });
  when.isBad(bad);
  await then.leavesTraffic(fleet, bad);
  // Of the condition Ready only whole seconds are known.
  expect(sinceReady()).toBeGreaterThanOrEqual(grace);
  await then.isInTraffic(fleet, bad);
  await then.leavesTraffic(fleet, bad);
  const [cameBack, leftAgain] = world.changes
    .filter(
      ({ before, after }) =>
        after?.name === bad &&
        before !== undefined &&
        before.labels['kubervisor/traffic'] !== after.labels['kubervisor/traffic'],
    )
    .slice(1);
  expect((leftAgain?.at ?? 0) - (cameBack?.at ?? Infinity)).toBeGreaterThanOrEqual(grace - 500);
  expect(world.pod(bad)?.annotations['breaker/retryCount']).toBe('2');
  when.allIsWell();
}, 60_000);

test('F3: an unready pod is neither judged nor broken; ready again, it is', async () => {
  const fleet = 'unready';
  const [bad = '', ...well] = await given.fleet(fleet, { replicas: 3 });
  await given.supervision(fleet, { activator: { period: 600 } });
  await when.podBecomesReady(bad, false);
  await world.until('it is unready', () => world.pod(bad)?.ready === false && world.status(fleet)?.available === 2);
  await evaluations(fleet, 1);
  when.isBad(bad);
  await evaluations(fleet, 3);
  expect(then.traffic(bad)).toBe('yes');
  const { counts } = evaluationsOf(fleet).at(-1)?.breakers[0] ?? {};
  expect(counts).toEqual({ ok: well.length, anomalous: 0, inconclusive: 0, error: 0 });
  await when.podBecomesReady(bad, true);
  await then.leavesTraffic(fleet, bad);
  when.allIsWell();
});

test('a pod that a person set exempt is judged and never broken, until the mark is gone', async () => {
  const fleet = 'exempted';
  const [bad = ''] = await given.fleet(fleet, { replicas: 3 });
  await when.podIsPatched(bad, { annotations: { 'kubervisor/exempt': 'true' } });
  await given.supervision(fleet, { activator: { period: 600 } });
  when.isBad(bad);
  await world.until('status says so', () => messageOf(fleet).includes('1 withheld: Exempt'));
  expect(world.status(fleet)?.breakers?.[0]).toMatchObject({ anomalous: 1, broken: 0, withheld: 1 });
  await evaluations(fleet, 2);
  expect(then.traffic(bad)).toBe('yes');
  await when.podIsPatched(bad, { annotations: { 'kubervisor/exempt': null } });
  await then.leavesTraffic(fleet, bad);
  when.allIsWell();
});

test('F5: a pod that the Service of another resource selects too is not broken: SharedPods', async () => {
  const fleet = 'shared';
  const pods = await given.fleet(fleet, { replicas: 3 });
  await given.object('/api/v1/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'also-shared', namespace: world.namespace },
    spec: { selector: { app: fleet, 'kubervisor/traffic': 'yes' }, ports: [{ name: 'http', port: 80 }] },
  });
  await given.supervision(fleet, { activator: { period: 600 } });
  await given.supervision('also-shared', { activator: { period: 600 } });
  await evaluations(fleet, 1);
  when.isBad(pods[0] ?? '');
  await world.until('status says so', () =>
    [fleet, 'also-shared'].some((name) => messageOf(name).includes('1 withheld: SharedPods')),
  );
  await evaluations(fleet, 2);
  expect(then.out(fleet)).toEqual([]);
  // The other one lets go: what is left decides alone.
  await when.resourceIsDeleted('also-shared');
  await then.leavesTraffic(fleet, pods[0] ?? '');
  when.allIsWell();
});

test('W8, B7: a break that lands late, from the hands of a frozen process, crosses the floor: it is repaired at once, and counted', async () => {
  const fleet = 'late';
  const [late = ''] = await given.fleet(fleet, { replicas: 3 });
  await given.supervision(fleet, { minPodsAvailableCount: 3, activator: { period: 600 } });
  await then.isInTraffic(fleet, late);
  const repairs = async (): Promise<number> => {
    const texts = await Promise.all(world.of('activator').map((process) => process.metrics()));
    return [...texts.join('\n').matchAll(/^kubervisor_floor_repairs_total\S* (\d+)$/gm)]
      .map(([, count]) => Number(count))
      .reduce((sum, count) => sum + count, 0);
  };
  const before = await repairs();
  await when.podIsPatched(late, {
    labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'plugin' },
    annotations: { 'breaker/breakAt': new Date().toISOString(), 'breaker/retryCount': '1' },
  });
  await world.until('it left', () => then.traffic(late) === 'no');
  await then.isInTraffic(fleet, late);
  await world.until('the fact', () =>
    world.rounds.some(
      (round) =>
        round.kind === 'activate' &&
        round.fact.actions.some(({ pod, reason }) => pod === late && reason === 'FloorRestored'),
    ),
  );
  expect(await repairs()).toBeGreaterThan(before);
});
