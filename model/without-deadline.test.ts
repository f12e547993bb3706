/** W3 without the 3 s: the model has to find what goes wrong, or it would show nothing. */
import { expect, jest, test } from '@jest/globals';
import * as policy from '@kubervisor/shared/policy/claim';
import { firstOverlap } from './mutation.fixture.ts';

test('W3: with the holder of a claim no longer held to its 3 s, the model finds an overlap', async () => {
  jest.unstable_mockModule('@kubervisor/shared/policy/claim', () => ({ ...policy, CLAIM_LIFE: 1e9 }));
  const { runSchedule } = await import('./schedule.ts');
  expect(await firstOverlap(runSchedule, 300)).toMatch(/wrote .* after .*, on a later claim, had listed/);
}, 180_000);
