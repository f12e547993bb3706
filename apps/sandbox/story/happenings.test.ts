import { expect, test } from '@jest/globals';
import { happenings } from './happenings.ts';
import { sceneOf } from './scenes.fixture.ts';

const told = (...[before, after]: [Parameters<typeof sceneOf>[0], Parameters<typeof sceneOf>[0]]) =>
  happenings(sceneOf(before), sceneOf(after)).map(({ tone, text }) => `${tone}: ${text}`);
const out = { traffic: 'no', inSlice: false, reason: '93 % bad values of code, tolerated 20 %' } as const;

test('nothing is told where nothing changed', () => {
  expect(told({ seconds: 1 }, { seconds: 2, shoppers: { requestsPerSecond: 3, badPercent: 4 } })).toEqual([]);
});

test('a break is told with its reason, and what became of the traffic', () => {
  expect(told({}, { pods: { 2: out } })).toEqual([
    'bad: x2k9c is taken out: 93 % bad values of code, tolerated 20 %',
    'note: x2k9c has left the EndpointSlice',
  ]);
  expect(told({ pods: { 2: out } }, {})).toEqual([
    'good: x2k9c gets another try',
    'good: x2k9c is in the EndpointSlice',
  ]);
});

test('faults of a few are told by name, of many in one line', () => {
  expect(told({}, { pods: { 0: { fault: 500 } } })).toEqual(['bad: x2k9a answers 500 from now on']);
  const many = Object.fromEntries([0, 1, 2, 3].map((place) => [place, { fault: 503 }]));
  expect(told({}, { pods: many })).toEqual(['bad: 4 pods answer 503 from now on']);
  expect(told({ pods: many }, {})).toEqual(['good: 4 pods are healed']);
});

test('P: that nobody is touched is told once, its changing figures as they change', () => {
  const degraded = (message: string) => ({ degraded: { reason: 'FleetAnomalous', message } });
  expect(told({}, degraded('5 of 8 bad'))).toEqual(['note: nobody is touched: FleetAnomalous: 5 of 8 bad']);
  expect(told(degraded('5 of 8 bad'), degraded('6 of 8 bad'))).toEqual(['note: 6 of 8 bad']);
  expect(told(degraded('6 of 8 bad'), degraded('6 of 8 bad'))).toEqual([]);
  expect(told(degraded('6 of 8 bad'), {})).toEqual(['good: FleetAnomalous is over']);
});

test('what is said of the fleet before its first evaluation is not told', () => {
  expect(told({ result: undefined }, { degraded: { reason: 'UnderFloor', message: 'x' } })).toEqual([]);
});

test('pods that come and go are told', () => {
  const before = sceneOf();
  const after = { ...before, pods: before.pods.slice(1) };
  expect(happenings(before, after).map(({ text }) => text)).toEqual(['x2k9a is gone']);
  expect(happenings(after, before).map(({ text }) => text)).toEqual(['x2k9a is new']);
});
