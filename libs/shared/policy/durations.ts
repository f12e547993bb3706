/** Durations as PromQL writes them, and the waits of activators (A2, A3). All of them seconds unless the name says else. */

const UNIT_SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };
const RANGE = /\[\s*((?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+)\s*(?::[^\]]*)?\]/g;

/** `1h30m` → 5400. */
export function promDuration(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwy])/g))
    total += Number(amount) * (UNIT_SECONDS[unit ?? ''] ?? 0);
  return total;
}

/** The longest range (`[5m]`, `[1h:30s]`) a PromQL text looks back over; 0 where it has none. Strings in it are no ranges. */
export function longestRange(promQL: string): number {
  const bare = promQL.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`/g, '""');
  return Math.max(0, ...[...bare.matchAll(RANGE)].map(([, range]) => promDuration(range ?? '')));
}

/** A number in [0, 1) that is the same for the same text: FNV-1a, 32 bits, with a final mix as in MurmurHash3. */
export function seededFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
