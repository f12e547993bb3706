import { cpuUsage } from 'node:process';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { edited, EDITS, guardedPatch, marksOf, readPod, readReason, writeReason } from './codec.ts';
import type { RawPod } from './pod.ts';

const raw = (
  change: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    status?: RawPod['status'];
    metadata?: RawPod['metadata'];
  } = {},
): RawPod => ({
  metadata: {
    name: 'cart-1',
    namespace: 'shop',
    uid: 'u1',
    resourceVersion: '7',
    creationTimestamp: '2026-11-23T10:00:00Z',
    labels: { app: 'cart', 'kubervisor/traffic': 'yes', 'kubervisor/name': 'cart', ...change.labels },
    ...(change.annotations !== undefined && { annotations: change.annotations }),
    ...change.metadata,
  },
  status: change.status ?? {
    phase: 'Running',
    startTime: '2026-11-23T10:00:01Z',
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-11-23T10:00:09Z' }],
  },
});
const at = Date.parse('2026-11-23T12:00:00Z');

describe('reading a pod', () => {
  test('Dates (a list by the typed client) and strings (a watch) read the same', () => {
    const dated = raw({
      status: {
        phase: 'Running',
        startTime: new Date('2026-11-23T10:00:01Z'),
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: new Date('2026-11-23T10:00:09Z') }],
      },
    });
    expect(readPod(dated)).toEqual(readPod(raw()));
  });

  test('B7: a pod that was never ready is told from one that was and is not', () => {
    const unready = (changed: string) =>
      readPod(
        raw({
          status: {
            phase: 'Running',
            startTime: '2026-11-23T10:00:01Z',
            conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: changed }],
          },
        }),
      );
    expect(unready('2026-11-23T10:00:01Z').everReady).toBe(false);
    expect(unready('2026-11-23T10:05:00Z').everReady).toBe(true);
    expect(readPod(raw({ status: { phase: 'Pending' } })).everReady).toBe(false);
  });

  test('annotations of others cost no memory', () => {
    expect(
      readPod(
        raw({
          annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{…}', 'kubervisor/exempt': 'true' },
        }),
      ).annotations,
    ).toEqual({ 'kubervisor/exempt': 'true' });
  });

  test('an object with nothing in it is a pod without marks, not an exception', () => {
    expect(marksOf(readPod({}))).toEqual({ retryCount: 0, exempt: false });
  });
});

describe('A7: marks that were damaged by hand', () => {
  const marks = (annotations: Record<string, string>, labels: Record<string, string> = {}) =>
    marksOf(readPod(raw({ annotations, labels })));
  test.each(['MCCIV', '-1', '1.5', '1e3', '', ' 2', '99999999999'])('retryCount %p counts as 0', (count) => {
    expect(marks({ 'breaker/retryCount': count }).retryCount).toBe(0);
  });
  test.each(['yesterday', '', '1700000000', '2026-13-45T99:99:99Z', '2026-11-23'])('breakAt %p is missing', (time) => {
    expect(marks({ 'breaker/breakAt': time }).breakAt).toBeUndefined();
  });
  test('a time with an offset, or with fractions, is read', () => {
    expect(marks({ 'breaker/breakAt': '2026-11-23T13:00:00.500+01:00' }).breakAt).toBe(at + 500);
  });
  test.each(['9999-12-31T23:59:59-23:59', '0000-01-01T00:00:00Z', '1969-12-31T23:59:59Z'])(
    'breakAt and activatedAt %p are missing: no event and no status could carry them',
    (time) => {
      const read = marks({ 'breaker/breakAt': time, 'kubervisor/activatedAt': time });
      expect([read.breakAt, read.activatedAt]).toEqual([undefined, undefined]);
    },
  );
  test.each(['true', 'True', 'TRUE', 'yes', '1', 'until Monday'])('exempt %p protects the pod', (value) => {
    expect(marks({ 'kubervisor/exempt': value }).exempt).toBe(true);
  });
  test.each(['false', 'False', 'no', '0', 'off', '', ' '])('exempt %p does not', (value) => {
    expect(marks({ 'kubervisor/exempt': value }).exempt).toBe(false);
  });
  test('a value of 200 kB costs no more memory than the longest that we write', () => {
    const huge = readPod(raw({ annotations: { 'kubervisor/reason': 'x'.repeat(200_000) } }));
    expect(huge.annotations['kubervisor/reason']?.length).toBe(1024);
  });
  test.each(['true', 'Yes', 'NO', ''])('a traffic label of %p is none', (value) => {
    expect(marks({}, { 'kubervisor/traffic': value }).traffic).toBeUndefined();
  });
});

describe('the line that says why', () => {
  test.each([' (score=a'.repeat(5000), ` (${'score='.repeat(5000)}`, ` (${'score=1, '.repeat(5000)}`])(
    'is read at once, whoever wrote it and however it goes wrong (%#)',
    (line) => {
      const begun = cpuUsage();
      expect(readReason(line)).toEqual({ reason: line });
      expect(cpuUsage(begun).user / 1e6).toBeLessThan(1);
    },
  );

  test('reads back what it wrote', () => {
    const number = fc
      .double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })
      .map((value) => Number(value.toPrecision(6)));
    const reason = fc.string({ maxLength: 200 }).map((text) => text.replace(/\s+/g, ' ').trim());
    fc.assert(
      fc.property(
        reason,
        fc.option(number, { nil: undefined }),
        fc.option(number, { nil: undefined }),
        fc.option(number, { nil: undefined }),
        (text, score, observed, limit) => {
          fc.pre(
            readReason(text).score === undefined &&
              readReason(text).observed === undefined &&
              readReason(text).limit === undefined,
          );
          const read = readReason(writeReason({ reason: text, score, observed, limit }));
          expect(read).toEqual({
            reason: text,
            ...(observed !== undefined && { observed: observed + 0 }),
            ...(limit !== undefined && { limit: limit + 0 }),
            ...(score !== undefined && { score: score + 0 }),
          });
        },
      ),
    );
  });
  test('is one line, of bounded length', () => {
    const line = writeReason({ reason: `first\nsecond ${'x'.repeat(5000)}`, score: 2 });
    expect(line).not.toContain('\n');
    expect(line.length).toBeLessThan(600);
  });
  test('what a person wrote there is a reason without figures', () => {
    expect(readReason('we look into it (ask Ann)')).toEqual({ reason: 'we look into it (ask Ann)' });
  });
});

describe('W4: guarded patches', () => {
  test('test uid, owner and traffic label, and the missing annotations map before they add it', () => {
    const pod = readPod(raw());
    expect(
      guardedPatch(
        pod,
        EDITS.break(pod, { breaker: 'errors', at, retryCount: 1, observation: { reason: 'bad' } }),
      ).slice(0, 5),
    ).toEqual([
      { op: 'test', path: '/metadata/uid', value: 'u1' },
      { op: 'test', path: '/metadata/labels/kubervisor~1name', value: 'cart' },
      { op: 'test', path: '/metadata/labels/kubervisor~1traffic', value: 'yes' },
      { op: 'test', path: '/metadata/annotations', value: null },
      { op: 'add', path: '/metadata/annotations', value: {} },
    ]);
  });
  test('a label that is missing is tested for null', () => {
    const pod = readPod({ metadata: { name: 'a', uid: 'u', labels: { app: 'cart' } } });
    expect(guardedPatch(pod, EDITS.adopt(pod, { name: 'cart' }))).toContainEqual({
      op: 'test',
      path: '/metadata/labels/kubervisor~1name',
      value: null,
    });
  });
  test('F2: a release tests that the marks it saw nothing of are still missing', () => {
    const pod = readPod(raw({ annotations: { 'team/owner': 'ann' } }));
    const operations = guardedPatch(pod, EDITS.release(pod));
    const absent = (map: string, key: string) => ({ op: 'test', path: `/metadata/${map}/${key}`, value: null });
    // Out and in again since it was read: the same traffic and name, and an annotation that nobody would take away.
    expect(operations).toContainEqual(absent('annotations', 'kubervisor~1activatedAt'));
    expect(operations).toContainEqual(absent('annotations', 'breaker~1retryCount'));
    expect(operations).toContainEqual(absent('labels', 'kubervisor~1strategy'));
    expect(operations).toContainEqual({ op: 'remove', path: '/metadata/labels/kubervisor~1name' });
  });
  test('F2: and that there are no annotations at all, where it saw none', () => {
    const pod = readPod({ metadata: { name: 'a', uid: 'u', labels: { 'kubervisor/name': 'cart' } } });
    const operations = guardedPatch(pod, EDITS.release(pod));
    expect(operations).toContainEqual({ op: 'test', path: '/metadata/annotations', value: null });
    expect(operations.filter(({ path }) => path.startsWith('/metadata/annotations'))).toHaveLength(1);
  });
  test('an edit that changes nothing is no patch at all', () => {
    const pod = readPod(raw());
    expect(guardedPatch(pod, EDITS.adopt(pod, { name: 'cart' }))).toEqual([]);
    expect(guardedPatch(pod, EDITS.letIn(pod))).toEqual([]);
  });
  test('a break and a return leave the pod as it was, but for the count and the time of return', () => {
    const pod = readPod(raw({ annotations: {} }));
    const broken = edited(
      pod,
      EDITS.break(pod, { breaker: 'errors', at, retryCount: 1, observation: { reason: 'bad', score: 2 } }),
    );
    const back = edited(broken, EDITS.activate(broken, { at }));
    expect(back.labels).toEqual(pod.labels);
    expect(back.annotations).toEqual({
      'breaker/retryCount': '1',
      'kubervisor/activatedAt': '2026-11-23T12:00:00.000Z',
    });
  });
  test('F2: a deletion cost with our value on a pod that is in traffic is a person’s, and stays', () => {
    const cost = { 'controller.kubernetes.io/pod-deletion-cost': '-1000' };
    const inTraffic = readPod(raw({ annotations: cost }));
    expect(edited(inTraffic, EDITS.release(inTraffic)).annotations).toEqual(cost);
    for (const traffic of ['no', 'pause']) {
      const out = readPod(raw({ labels: { 'kubervisor/traffic': traffic }, annotations: cost }));
      expect(edited(out, EDITS.release(out)).annotations).toEqual({});
    }
    // Let in by hand, with what the break left.
    const byHand = readPod(raw({ annotations: { ...cost, 'breaker/breakAt': '2026-11-23T11:00:00Z' } }));
    expect(edited(byHand, EDITS.release(byHand)).annotations).toEqual({});
  });
  test('a deletion cost of a person is neither overwritten nor removed', () => {
    const pod = readPod(raw({ annotations: { 'controller.kubernetes.io/pod-deletion-cost': '100' } }));
    const broken = edited(
      pod,
      EDITS.break(pod, { breaker: 'errors', at, retryCount: 1, observation: { reason: 'bad' } }),
    );
    expect(broken.annotations['controller.kubernetes.io/pod-deletion-cost']).toBe('100');
    expect(
      edited(broken, EDITS.activate(broken, { at })).annotations['controller.kubernetes.io/pod-deletion-cost'],
    ).toBe('100');
  });
  test('F2: a release leaves a person’s exemption', () => {
    const pod = readPod(raw({ annotations: { 'kubervisor/exempt': 'true', 'kubervisor/reason': 'x' } }));
    expect(edited(pod, EDITS.release(pod)).annotations).toEqual({ 'kubervisor/exempt': 'true' });
  });
});
