import { describe, expect, test } from '@jest/globals';
import { createColors } from 'picocolors';
import { sceneOf } from '../story/scenes.fixture.ts';
import { advance, begin, castOf, STORY, type Act } from '../story/story.ts';
import { frame, lookOf, wrap, type ViewState } from './frame.ts';

const plain = createColors(false);
const colored = createColors(true);
const show = (state: Partial<ViewState>, { columns = 110, rows = 40, colors = plain } = {}) =>
  frame({ scene: sceneOf(), act: undefined, happenings: [], hints: [], ...state }, { columns, rows, colors });

const out = { traffic: 'no', inSlice: false, badPercent: 97, requestsPerSecond: 8.1, backIn: 3.2 } as const;
const act = STORY[1] as Act;
const scene = sceneOf({ seconds: 64.9, pods: { 2: out }, shoppers: { requestsPerSecond: 101.2, badPercent: 4 } });
const progress = advance(act, begin(act, 60), scene, castOf(scene, 0));

test('shows pods, floor, act and what happened', () => {
  const happenings = [
    { seconds: 60, tone: 'bad', text: 'x2k9c answers 500 from now on' },
    { seconds: 64.3, tone: 'bad', text: 'x2k9c is taken out: 97 % bad values' },
  ] as const;
  const lines = show({ scene, act: { act, place: 2, of: 5, progress }, happenings, hints: ['Ctrl-C ends it'] });
  expect(lines.map((line) => line.trimEnd()).join('\n')).toBe(`
  Kubervisor demo: 8 pods of the shop's "cart"                                                          1:04

   x2k9a        x2k9b        x2k9c        x2k9d        x2k9e        x2k9f        x2k9g        x2k9h
   in traffic   in traffic   OUT 4 s      in traffic   in traffic   in traffic   in traffic   in traffic
   12/s         12/s         8/s          12/s         12/s         12/s         12/s         12/s
   0% bad       0% bad       97% bad      0% bad       0% bad       0% bad       0% bad       0% bad

  ■■■■■│■■□  7 of 8 in traffic, floor 5
  shoppers: 101 requests/s, 4% bad answers

  Act 2 of 5: one pod starts to fail
  It answers 500, while its readiness probe still says "fine": Kubernetes alone would leave it in.
  ✓ its label says kubervisor/traffic=no  4.9 s
  ✓ it has left the EndpointSlice  4.9 s
  · shoppers get good answers

   1:00  x2k9c answers 500 from now on
   1:04  x2k9c is taken out: 97 % bad values

  Ctrl-C ends it`);
});

test('P: why nobody is touched stands on the screen for as long as it is so', () => {
  const degraded = { reason: 'FleetAnomalous', message: 'Breaker http-errors: 6 of 8 bad, more than 50 %.' };
  expect(show({ scene: sceneOf({ degraded }) })).toContainEqual(
    '  FleetAnomalous: Breaker http-errors: 6 of 8 bad, more than 50 %.',
  );
});

describe('a pod looks', () => {
  const look = (different: object) =>
    lookOf({ ...(sceneOf().pods[0] as ReturnType<typeof sceneOf>['pods'][0]), ...different });
  test.each([
    ['well', {}],
    ['failing', { badPercent: 40 }],
    ['out', { traffic: 'no', inSlice: false, badPercent: 40 }],
    ['aside', { traffic: 'pause', inSlice: false }],
    ['trying', { onProbation: true, badPercent: 40 }],
    ['waiting', { inSlice: false }],
  ])('%s', (expected, different) => expect(look(different)).toBe(expected));

  test('in its own colour', () => {
    const line = (different: object) =>
      show({ scene: sceneOf({ pods: { 0: different } }) }, { colors: colored })[3] ?? '';
    const first = (different: object) => /\u001b\[(4\d|10\d)m/.exec(line(different))?.[1];
    expect([first({}), first({ badPercent: 90 }), first(out), first({ onProbation: true })]).toEqual([
      '42',
      '41',
      '100',
      '43',
    ]);
  });
});

describe('a frame fits its terminal', () => {
  const happenings = Array.from({ length: 60 }, (_, index) => ({
    seconds: index,
    tone: 'note' as const,
    text: `happening ${index} with ${'many '.repeat(30)}words`,
  }));
  test.each([
    [110, 40],
    [80, 24],
    [40, 10],
    [30, 24],
    [20, 5],
  ])('of %i columns and %i rows', (columns, rows) => {
    const lines = show(
      { scene, act: { act, place: 2, of: 5, progress }, happenings, hints: ['x'.repeat(200)] },
      { columns, rows },
    );
    expect(lines.length).toBeLessThan(rows);
    for (const line of lines) expect(line.trimEnd().length).toBeLessThanOrEqual(columns);
  });
  test('of 80 columns: the shop stands in one row, and there is room for what happens', () => {
    const state = { scene, act: { act, place: 2, of: 5, progress }, happenings };
    const lines = show(state, { columns: 80, rows: 24 });
    expect(lines.slice(3, 7).map((line) => line.trimEnd())).toEqual([
      '   x2k9a    x2k9b    x2k9c    x2k9d    x2k9e    x2k9f    x2k9g    x2k9h',
      '   in       in       OUT 4 s  in       in       in       in       in',
      '   12/s     12/s     8/s      12/s     12/s     12/s     12/s     12/s',
      '   0% ✗     0% ✗     97% ✗    0% ✗     0% ✗     0% ✗     0% ✗     0% ✗',
    ]);
    expect(lines.join('\n')).toContain('happening 58 ');
  });
  test('the newest happenings are those that stay', () => {
    const lines = show({ happenings }).join('\n');
    expect(lines).toContain('happening 59 ');
    expect(lines).not.toContain('happening 5 ');
  });
});

test('text is wrapped at blanks, and a word that is too long is cut', () => {
  expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
  expect(wrap('abcdefghij k', 5)).toEqual(['abcd…', 'k']);
});
