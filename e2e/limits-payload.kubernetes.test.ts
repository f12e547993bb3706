/** A fleet that is too large for the messages of the NATS server: it is said, nobody of it is touched, and all others go on. */
import { afterAll, beforeAll, test } from '@jest/globals';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

/** Bytes. A pod is some 200 of them in an evaluation, so that the large fleet does not fit and the small one does. */
const MAX_PAYLOAD = 8 * 1024;
const LARGE = 60;
const SMALL = 4;

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
beforeAll(async () => {
  world = await startWorld({ nats: { config: `max_payload: ${MAX_PAYLOAD}` } });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

test('W1: FleetTooLarge is shown, the fleet stays as it is, another is judged all the same; smaller, it is judged again', async () => {
  const small = await given.fleet('small', { replicas: SMALL });
  await given.supervision('small', { activator: { period: 3, jitter: 0 } });
  const large = await given.fleet('large', { replicas: LARGE });
  await given.supervision('large');
  await then.statusSays('large', 'Ready', 'FleetTooLarge');
  await then.statusMatches('large', { available: LARGE, podCount: { nbPodsManaged: LARGE } });

  when.isBad(large[0] ?? '', small[0] ?? '');
  await then.leavesTraffic('small', small[0] ?? '');
  await then.nobodyLeaves('large', 3000);
  when.allIsWell();
  await then.isInTraffic('small', small[0] ?? '');
  await then.statusSays('small', 'Degraded', 'Healthy');
  for (const process of world.processes) await then.isReady(process);

  // Who is out comes back: an activation names nobody, so it fits.
  await when.podIsPatched(large[0] ?? '', {
    labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'plugin' },
    annotations: { 'breaker/breakAt': new Date().toISOString() },
  });
  await then.isInTraffic('large', large[0] ?? '');

  await when.isScaled('large', SMALL);
  await then.statusSays('large', 'Ready', 'Reconciled', 30_000);
  const [bad = ''] = world
    .pods()
    .filter(({ labels, terminating }) => labels['app'] === 'large' && !terminating)
    .map(({ name }) => name);
  when.isBad(bad);
  await then.leavesTraffic('large', bad);
}, 120_000);
