/** What a suite needs, and what it says where that is not at hand. */
import { describe } from '@jest/globals';

/**
 * `describe`, or `describe.skip` where something is missing. Jest shows nothing of a file that it skips whole, so the reasons go to
 * stderr; not into the title, for by that the suite's snapshots are known.
 */
export function describeUnless(missing: readonly string[], what: string): typeof describe.skip {
  if (missing.length === 0) return describe;
  process.stderr.write(`skipped: ${what}: ${missing.join('; ')}\n`);
  return describe.skip;
}
