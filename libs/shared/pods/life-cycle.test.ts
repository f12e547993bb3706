import { describe, expect, test } from '@jest/globals';
import { resolveSpec } from '../crd/resolve.ts';
import * as crd from '../crd/kubervisor-service.ts';
import { stateOf } from '../policy/return.ts';
import { EDITS, edited, guardedPatch, marksOf, readPod } from './codec.ts';
import { ANNOTATION, LABEL } from './keys.ts';
import { LIFE_CYCLE, type Place } from './life-cycle.ts';
import type { Pod } from './pod.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const ago = (seconds: number) => new Date(NOW - 1000 * seconds).toISOString();
const spec = resolveSpec(
  crd.spec.parse({
    service: 'cart',
    breakers: [{ name: 'slow', threshold: { prometheusService: 'p', promQL: 'x', podNamekey: 'pod', max: 1 } }],
  }),
);

const pod = (labels: Record<string, string>, annotations: Record<string, string> = {}): Pod =>
  readPod({ metadata: { name: 'a', uid: 'a', labels: { app: 'cart', ...labels }, annotations } });
const broken = { [ANNOTATION.breakAt]: ago(60), [ANNOTATION.retryCount]: '2', [ANNOTATION.reason]: 'slow (score=2)' };
const SAMPLES: Record<Exclude<Place, 'gone'>, Pod> = {
  unmanaged: pod({}),
  closed: pod({ [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' }),
  open: pod({ [LABEL.traffic]: 'no', [LABEL.name]: 'cart', [LABEL.strategy]: 'slow' }, broken),
  'half-open': pod(
    { [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' },
    { [ANNOTATION.activatedAt]: ago(1), [ANNOTATION.retryCount]: '2' },
  ),
  paused: pod({ [LABEL.traffic]: 'pause', [LABEL.name]: 'cart', [LABEL.strategy]: 'slow' }, broken),
};
const placeOf = (one: Pod, now: number): Place =>
  one.labels[LABEL.name] === undefined ? 'unmanaged' : stateOf(marksOf(one), spec, now);

const edit = (name: keyof typeof EDITS, one: Pod) => {
  switch (name) {
    case 'break':
      return EDITS.break(one, { breaker: 'slow', at: NOW, retryCount: 1, observation: { reason: 'slow', score: 2 } });
    case 'activate':
    case 'stampBreakAt':
      return EDITS[name](one, { at: NOW });
    case 'adopt':
      return EDITS.adopt(one, { name: 'cart' });
    default:
      return EDITS[name](one);
  }
};

test.each(Object.entries(SAMPLES))('the sample %s is what its name says', (place, one) => {
  expect(placeOf(one, NOW)).toBe(place);
});

describe('every edit does what the table says', () => {
  const rows = LIFE_CYCLE.flatMap((row) => row.from.map((from) => ({ ...row, from })));
  const edits = rows.filter((row) => row.edit !== undefined);
  test.each(edits)('$edit by $by: $from → $to', ({ edit: name, from, to }) => {
    if (name === undefined || from === 'gone') throw new Error('an edit needs a pod');
    const after = edited(SAMPLES[from], edit(name, SAMPLES[from]));
    expect(placeOf(after, NOW)).toBe(to);
    // W4: a repeat of it changes nothing.
    expect(guardedPatch(after, edit(name, after))).toEqual([]);
  });

  test('and no edit is missing in it', () => {
    expect([...new Set(edits.map((row) => row.edit))].sort()).toEqual(Object.keys(EDITS).sort());
  });

  test('A7: time alone closes what is half-open', () => {
    const [row] = rows.filter(({ by }) => by === 'time');
    expect(row).toMatchObject({ from: 'half-open', to: 'closed' });
    expect(placeOf(SAMPLES['half-open'], NOW + 1000 * spec.defaultActivator.probation)).toBe('closed');
  });

  test('only a breaker takes pods out, and only a person ends a pause (but for F2)', () => {
    const takesOut = rows.filter(
      ({ from, to }) => from !== 'open' && from !== 'paused' && (to === 'open' || to === 'paused'),
    );
    expect(new Set(takesOut.map(({ by }) => by))).toEqual(new Set(['breaker']));
    expect(rows.filter(({ from }) => from === 'paused').map(({ by, edit }) => `${by} ${edit}`)).toEqual([
      'person activate',
      'controller release',
      'person release',
    ]);
  });
});
