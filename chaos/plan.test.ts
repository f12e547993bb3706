import { expect, test } from '@jest/globals';
import { describeFault, planOf } from './plan.ts';

const STORM = 60_000;
const storms = (seed: number, count: number) => {
  const plan = planOf(seed);
  return Array.from({ length: count }, () => plan(STORM));
};

test('the same seed has the same storms, another has others', () => {
  expect(storms(7, 5)).toEqual(storms(7, 5));
  expect(storms(8, 5)).not.toEqual(storms(7, 5));
});

test('ten minutes see every kind of fault, whatever the seed', () => {
  const kinds = (seed: number, count: number) =>
    new Set(storms(seed, count).flatMap((storm) => storm.map(({ fault }) => fault.kind)));
  const all = kinds(1, 100);
  expect(all.size).toBeGreaterThan(30);
  for (let seed = 0; seed < 50; seed++) expect(kinds(seed, 6)).toEqual(all);
});

test('before the calm everything is undone but what people want', () => {
  for (const { at, lasts, stays, fault } of storms(3, 50).flat()) {
    expect(at + lasts).toBeLessThanOrEqual(STORM);
    if (stays)
      expect(describeFault(fault)).toMatch(/^(delete(Resource|Service)|change|removeBreaker|deactivate|exempt)/);
  }
});

test('a standstill of ours is longer than every lease', () => {
  for (const { at, lasts, fault } of storms(3, 50).flat())
    if (fault.kind === 'freeze' && at + lasts < STORM) expect(lasts).toBeGreaterThan(5500);
});
