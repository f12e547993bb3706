import { expect, test } from '@jest/globals';
import { Random } from '@kubervisor/testing/random';
import { churn, type Act, type Fleets } from './churn.ts';

const fleets = (services: number, pods: number): Fleets =>
  new Map(
    Array.from({ length: services }, (_, service) => [
      `soak-${service}`,
      Array.from({ length: pods }, (_, pod) => `soak-${service}-${pod}`),
    ]),
  );
function during(seconds: number, of: Fleets, seed: number): Act[] {
  const random = new Random(seed);
  return Array.from({ length: seconds }, () => churn(of, random)).flat();
}
const count = (acts: readonly Act[], kind: Act['kind']): number => acts.filter((act) => act.kind === kind).length;

test('the same seed makes the same acts, another makes others', () => {
  const of = fleets(20, 5);
  expect(during(60, of, 1)).toEqual(during(60, of, 1));
  expect(during(60, of, 1)).not.toEqual(during(60, of, 2));
});

test('half an hour over 5,000 pods has enough of each kind', () => {
  const acts = during(1800, fleets(200, 25), 1);
  expect(count(acts, 'spoil')).toBeGreaterThan(3000);
  expect(count(acts, 'deletePod')).toBeGreaterThan(1000);
  expect(count(acts, 'rollout')).toBeGreaterThan(15);
  expect(count(acts, 'recreate')).toBeGreaterThan(20);
});

test('a small run has something of what happens to pods too, and nothing happens to fleets without pods', () => {
  const acts = during(120, fleets(2, 3), 1);
  expect(count(acts, 'spoil')).toBeGreaterThan(5);
  expect(count(acts, 'deletePod')).toBeGreaterThan(5);
  expect(during(120, fleets(2, 0), 1)).toEqual([]);
});

test('an act names a pod of its fleet', () => {
  const of = fleets(20, 5);
  for (const act of during(600, of, 3)) if ('pod' in act) expect(of.get(act.fleet)).toContain(act.pod);
});
