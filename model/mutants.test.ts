/**
 * The model has to miss a rule that is taken out, or that it finds nothing would show nothing. The most important ones, from seeds not far
 * from one that shows each, to save time; `npm run model -- --mutants` takes out all of them.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

/** As `npm run model` does it: mutants are made as their files are loaded, which Jest does in its own way. */
async function found(mutant: string, seed: number): Promise<string> {
  const main = new URL('main.ts', import.meta.url).pathname;
  const options = ['--jobs', '1', '--schedules', '300', '--seed', String(seed), '--mutants', mutant];
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=source', main, ...options]);
  return stdout;
}

test.each([
  ['W3: the 3 s of a claim', 'endless-claim', 110],
  ['W1: the 5 s after a claim without a fact', 'claim-not-waited-out', 1],
  ['W4: guards of patches', 'unguarded', 1],
  ['B3: breaks decided before count', 'breaks-not-counted', 1],
])(
  'without %s it finds what goes wrong',
  async (_, mutant, seed) => {
    expect(await found(mutant, seed)).toContain(`${mutant}: found after`);
  },
  90_000,
);
