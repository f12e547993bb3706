import type { JudgedPod, Verdict } from '@kubervisor/detector-kit';

/** Old pods are bad: what leaks is replaced while it still works, the oldest first, a few at a time, never below the floor. */
export function judge({ name, uid, readySince }: JudgedPod, maxHours: number, now: number): Verdict {
  if (readySince === undefined) return { pod: name, uid, outcome: 'inconclusive', reason: 'Ready since when?' };
  const hours = (now - Date.parse(readySince)) / 3_600_000;
  return {
    pod: name,
    uid,
    outcome: hours > maxHours ? 'anomalous' : 'ok',
    score: Math.max(0, hours / maxHours),
    reason: `Ready for ${hours.toFixed(1)} h, limit ${maxHours} h`,
    observed: hours,
    limit: maxHours,
  };
}
