/**
 * From series to one figure a pod, for the kinds that judge one. A pod has a figure, or a reason why it has none: nothing that is
 * not known is ever taken for something (V1).
 */
import type { JudgedPod, Verdict } from '@kubervisor/shared/detection/contract';
import { count, type Ignored } from './answer.ts';
import { isFigure, settle } from './figures.ts';
import type { Sample } from './prometheus-answer.ts';

export type Reading = { value: number } | { missing: string };
/** What is found of a pod that has a figure. */
export type Finding = Omit<Verdict, 'pod' | 'uid'>;

/**
 * A reading for each pod of the fleet. Two series of a pod say that the query does not give one figure a pod: which of them is
 * meant nobody knows. Ignored: `noPodLabel`, `notAsked`, `duplicateSeries`, and what `read` counts.
 */
export function readPods<S extends { labels: Sample['labels'] }>(
  { podNamekey }: { podNamekey: string },
  series: readonly S[],
  fleet: readonly JudgedPod[],
  ignored: Ignored,
  read: (one: S) => Reading,
): Map<string, Reading> {
  const found = new Map<string, S[]>(fleet.map(({ name }) => [name, []]));
  for (const one of series) {
    const pod = one.labels[podNamekey];
    const others = pod === undefined ? undefined : found.get(pod);
    if (!pod) count(ignored, 'noPodLabel');
    else if (others === undefined) count(ignored, 'notAsked');
    else others.push(one);
  }
  const readings = new Map<string, Reading>();
  for (const [pod, [first, ...others]] of found) {
    if (first === undefined) readings.set(pod, { missing: 'the query has no value for the pod' });
    else if (others.length === 0) readings.set(pod, read(first));
    else {
      for (let dropped = 0; dropped <= others.length; dropped++) count(ignored, 'duplicateSeries');
      readings.set(pod, { missing: `the query gives ${others.length + 1} series for the pod, and one is needed` });
    }
  }
  return readings;
}

/** Reads samples of an instant query. Ignored: `notANumber` (NaN, infinite, too large to calculate with). */
export const readSample =
  (ignored: Ignored) =>
  ({ value }: Sample): Reading => {
    if (isFigure(value)) return { value: settle(value) };
    count(ignored, 'notANumber');
    return { missing: 'the value of the pod is not a number' };
  };

export function verdictsOf(
  fleet: readonly JudgedPod[],
  readings: ReadonlyMap<string, Reading>,
  judge: (value: number) => Finding,
): Verdict[] {
  return fleet.map(({ name, uid }): Verdict => {
    const reading = readings.get(name);
    const finding: Finding =
      reading !== undefined && 'value' in reading
        ? judge(reading.value)
        : { outcome: 'inconclusive', ...(reading !== undefined && { reason: reading.missing }) };
    return { pod: name, uid, ...finding };
  });
}
