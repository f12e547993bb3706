import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silent, startFixture, type Fixture } from '@kubervisor/testing/kubernetes/fixture';
import { electLeader } from './lease.ts';
import { pathIn } from './resources.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
}, 60_000);
afterAll(() => fixture?.end(), 60_000);

function candidate(identity: string, name: string, durationSeconds = 3) {
  let elected = () => {};
  const whenElected = new Promise<void>((resolve) => (elected = resolve));
  const election = electLeader(
    fixture.kubernetes,
    { namespace: fixture.namespace, name, identity, durationSeconds },
    { elected, lost() {} },
    silent,
  );
  return { election, whenElected };
}
const leaseOf = (name: string) =>
  fixture.kubernetes.api.find<{ spec: Record<string, unknown> }>(
    pathIn('/apis/coordination.k8s.io/v1/leases', fixture.namespace, name),
  );

test('Leader: one of two leads; when it stops it gives the lease back and the other leads at once', async () => {
  const a = candidate('pod-a', 'handover');
  await a.whenElected;
  const b = candidate('pod-b', 'handover');
  expect((await leaseOf('handover'))?.spec).toMatchObject({
    holderIdentity: 'pod-a',
    leaseDurationSeconds: 3,
    leaseTransitions: 0,
    renewTime: expect.stringMatching(/\.\d{6}Z$/),
  });
  expect(b.election.isLeader()).toBe(false);
  const start = performance.now();
  await a.election.stop();
  expect(a.election.isLeader()).toBe(false);
  await b.whenElected;
  expect(performance.now() - start).toBeLessThan(1500);
  expect((await leaseOf('handover'))?.spec).toMatchObject({ holderIdentity: 'pod-b', leaseTransitions: 1 });
  await b.election.stop();
});

test('Leader: a lease deleted by hand is made anew by its holder, and makes no second leader', async () => {
  // Long enough that a busy machine does not lose it by itself.
  const a = candidate('pod-a', 'deleted', 15);
  await a.whenElected;
  const b = candidate('pod-b', 'deleted', 15);
  await fixture.kubernetes.api.request(
    'DELETE',
    pathIn('/apis/coordination.k8s.io/v1/leases', fixture.namespace, 'deleted'),
  );
  while ((await leaseOf('deleted')) === undefined) {
    expect([a.election.isLeader(), b.election.isLeader()]).toEqual([true, false]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect((await leaseOf('deleted'))?.spec['holderIdentity']).toBe('pod-a');
  expect([a.election.isLeader(), b.election.isLeader()]).toEqual([true, false]);
  await Promise.all([a.election.stop(), b.election.stop()]);
});

test('Leader: after the death of one the other leads within the lease and one second', async () => {
  const dead = candidate('pod-dead', 'death');
  await dead.whenElected;
  const b = candidate('pod-b', 'death');
  // Its requests fail from here on: for the others that is a death.
  const start = performance.now();
  await fixture.kubernetes.api.request(
    'PATCH',
    pathIn('/apis/coordination.k8s.io/v1/leases', fixture.namespace, 'death'),
    {
      contentType: 'application/merge-patch+json',
      body: { spec: { holderIdentity: 'killed' } },
    },
  );
  await b.whenElected;
  const seconds = (performance.now() - start) / 1000;
  expect(seconds).toBeGreaterThan(2.9);
  expect(seconds).toBeLessThan(4.5);
  await Promise.all([dead.election.stop(), b.election.stop()]);
});
