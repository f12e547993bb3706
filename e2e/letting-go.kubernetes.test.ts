/**
 * F1, F2, F4: whatever takes a pod's supervisor away lets the pod go, whether a controller sees it happen or finds it done, and
 * whether the workload is rolled out meanwhile or not. At the end nobody is at `no` or `pause` but by a resource that is there, and at
 * `no` by one that enforces.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 } });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

type Breaker = KubervisorServiceSpecInput['breakers'][number];
/** Its activator would bring nobody back while a test runs. */
const breaker = (change: Partial<Breaker> = {}): Breaker => ({
  name: 'plugin',
  evaluationPeriod: 2,
  gracePeriod: 0,
  customService: world.plugin.address,
  activator: { period: 600 },
  ...change,
});
/** The activator of those whose breaker is gone: soon. */
const spec: Partial<KubervisorServiceSpecInput> = { defaultActivator: { period: 1, jitter: 0 } };

const selectorOf = (fleet: string) => ({ app: fleet, 'kubervisor/traffic': 'yes' });
const createService = (fleet: string) =>
  given.object(PATHS.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: fleet },
    spec: { selector: selectorOf(fleet), ports: [{ name: 'http', port: 80 }] },
  });

/**
 * What must become of the pods. `released`: in traffic, without a mark of ours. `kept`: theirs still, the `no` in traffic (what does not
 * enforce holds nobody out), the `pause` shown. `held`: theirs still, out as they were.
 */
type Outcome = 'released' | 'kept' | 'held';

interface Row {
  what: string;
  change(fleet: string, controllers: 'up' | 'down'): Promise<void>;
  leadsTo: Outcome | Record<'up' | 'down', Outcome>;
  /** Whether the Service still leads to the pods of the fleet. */
  served: boolean;
}

const TABLE: Row[] = [
  {
    what: 'the resource is deleted',
    change: (fleet) => when.resourceIsDeleted(fleet),
    leadsTo: 'released',
    served: true,
  },
  {
    what: 'the Service is deleted',
    change: (fleet) => when.serviceIsDeleted(fleet),
    leadsTo: 'released',
    served: false,
  },
  {
    what: 'the Service is deleted and made anew',
    async change(fleet, controllers) {
      await when.serviceIsDeleted(fleet);
      if (controllers === 'up') await world.until('all are released', () => membersOf(fleet).every(isReleased));
      await createService(fleet);
    },
    // Whoever saw the Service go let its pods go, and has them as new ones; who did not see it finds nothing changed.
    leadsTo: { up: 'kept', down: 'held' },
    served: true,
  },
  {
    what: 'the selector changes to other pods',
    change: (fleet) => when.serviceIsPatched(fleet, { selector: { app: `${fleet}-others` } }),
    leadsTo: 'released',
    served: false,
  },
  {
    what: 'the selector loses our key',
    change: (fleet) => when.serviceIsPatched(fleet, { selector: { [LABEL.traffic]: null } }),
    leadsTo: 'kept',
    served: true,
  },
  {
    what: 'the mode is set to dryRun',
    change: (fleet) => when.resourceIsPatched(fleet, { mode: 'dryRun' }),
    leadsTo: 'kept',
    served: true,
  },
  {
    what: 'the mode is set to disabled',
    change: (fleet) => when.resourceIsPatched(fleet, { mode: 'disabled' }),
    leadsTo: 'kept',
    served: true,
  },
  {
    what: "the breaker's mode is set to dryRun",
    change: (fleet) => when.resourceIsPatched(fleet, { breakers: [breaker({ mode: 'dryRun' })] }),
    leadsTo: 'kept',
    served: true,
  },
  {
    what: "the breaker's mode is set to disabled",
    change: (fleet) => when.resourceIsPatched(fleet, { breakers: [breaker({ mode: 'disabled' })] }),
    leadsTo: 'kept',
    served: true,
  },
  {
    what: 'the breaker is removed',
    change: (fleet) => when.resourceIsPatched(fleet, { breakers: [breaker({ name: 'another' })] }),
    leadsTo: 'kept',
    served: true,
  },
];

const membersOf = (fleet: string): Pod[] =>
  world.pods().filter((pod) => pod.labels['app'] === fleet && !pod.terminating);
const hashesOf = (fleet: string): Set<string> => new Set(membersOf(fleet).map(({ revision }) => revision ?? ''));

const OURS = [ANNOTATION.breakAt, ANNOTATION.retryCount, ANNOTATION.activatedAt, ANNOTATION.reason];
const isReleased = ({ labels, annotations }: Pod): boolean =>
  labels[LABEL.traffic] === 'yes' &&
  labels[LABEL.name] === undefined &&
  labels[LABEL.strategy] === undefined &&
  OURS.every((key) => annotations[key] === undefined) &&
  annotations[ANNOTATION.deletionCost] !== '-1000';

/** Nobody is at `no` or `pause` but by a resource that is there, and at `no` by one that enforces (F2, F4). */
function stranded(): string[] {
  return world
    .pods()
    .filter(({ labels, terminating }) => !terminating && ['no', 'pause'].includes(labels[LABEL.traffic] ?? ''))
    .filter(({ labels }) => {
      const owner = world.resources().find(({ name }) => name === labels[LABEL.name]);
      const { mode } = (owner?.spec ?? {}) as { mode?: string };
      return owner === undefined || (labels[LABEL.traffic] === 'no' && mode !== undefined && mode !== 'enforce');
    })
    .map(({ name }) => name);
}

const controllersEnd = () => Promise.all(world.of('controller').map((process) => process.kill()));
const controllersBegin = () => Promise.all(world.of('controller').map((process) => process.restart()));

describe.each(['up', 'down'] as const)('with the controllers %s', (controllers) => {
  const fleetOf = ({ what }: Row, suffix = ''): string =>
    `${controllers}-${what.replaceAll(/[^a-z]+/gi, '-').toLowerCase()}`.slice(0, 40).replace(/-$/, '') + suffix;
  /** Of each row one fleet that stays as it is, and one that is rolled out meanwhile. */
  const fleets = TABLE.flatMap((row) => [
    { row, fleet: fleetOf(row), rolledOut: false },
    { row, fleet: fleetOf(row, '-2'), rolledOut: true },
  ]);
  /** The pods that are out, by fleet. */
  const out = new Map<string, { no: string; pause: string }>();
  const before = new Map<string, Set<string>>();

  test('Given fleets with a pod at no and one at pause each, when it happens to all of them', async () => {
    for (const { fleet } of fleets) await given.fleet(fleet, { replicas: 4 });
    await Promise.all(fleets.map(({ fleet }) => given.supervision(fleet, breaker(), spec)));
    for (const { fleet } of fleets) {
      const [no = '', pause = ''] = membersOf(fleet).map(({ name }) => name);
      out.set(fleet, { no, pause });
      // A person's own deletion cost, and, once the pod is out, a person's protection.
      await when.podIsPatched(pause, { annotations: { [ANNOTATION.deletionCost]: '7' } });
    }
    when.isBad(...[...out.values()].flatMap(({ no, pause }) => [no, pause]));
    await world.until('two of each are out', () => fleets.every(({ fleet }) => then.out(fleet).length === 2), 60_000);
    when.allIsWell();
    for (const { fleet } of fleets) {
      const { pause = '' } = out.get(fleet) ?? {};
      // As an activator sets a pod aside.
      await when.podIsPatched(pause, {
        labels: { [LABEL.traffic]: 'pause' },
        annotations: { [ANNOTATION.exempt]: 'true' },
      });
      before.set(fleet, hashesOf(fleet));
    }
    if (controllers === 'down') await controllersEnd();
    await Promise.all(
      fleets.map(async ({ row, fleet, rolledOut }) => {
        if (rolledOut) await when.workloadIsRolledOut(fleet);
        await row.change(fleet, controllers);
      }),
    );
    if (controllers === 'down') await controllersBegin();
  }, 240_000);

  test.each(fleets.filter(({ rolledOut }) => !rolledOut))(
    'F2, F4: when $row.what, nobody stays out without a supervisor',
    async ({ row, fleet }) => {
      const { no = '', pause = '' } = out.get(fleet) ?? {};
      const outcome = typeof row.leadsTo === 'string' ? row.leadsTo : row.leadsTo[controllers];
      const all = (): Pod[] => membersOf(fleet);
      const shown = () =>
        world
          .status(fleet)
          ?.pods?.some(({ name, state, heldBy }) => name === pause && state === 'paused' && heldBy === 'Paused') ===
        true;
      if (outcome === 'released') await world.until('all are released', () => all().every(isReleased));
      else {
        await world.until('it is in traffic, or held', () => then.traffic(no) === (outcome === 'held' ? 'no' : 'yes'));
        expect(all().map(({ labels }) => labels[LABEL.name])).toEqual(Array(4).fill(fleet));
        // Who was let go with its Service came back as a new one, out of nobody's hand.
        if (controllers === 'up' && typeof row.leadsTo !== 'string') expect(then.traffic(pause)).toBe('yes');
        else {
          expect(then.traffic(pause)).toBe('pause');
          await world.until('the paused one is shown', shown);
        }
      }
      // What a person wrote stays, whatever becomes of the pod.
      expect(world.pod(pause)?.annotations).toMatchObject({
        [ANNOTATION.exempt]: 'true',
        [ANNOTATION.deletionCost]: '7',
      });
      if (outcome !== 'held') expect(world.pod(no)?.annotations[ANNOTATION.deletionCost]).toBeUndefined();
      if (row.served && outcome !== 'held') await then.isInTraffic(fleet, no);
    },
  );

  test.each(fleets.filter(({ rolledOut }) => rolledOut))(
    'F1: when $row.what during a rollout, the pods of the new ReplicaSet get traffic',
    async ({ row, fleet }) => {
      const old = before.get(fleet) ?? new Set();
      await world.until(
        'the rollout is over, and all are in traffic',
        () => {
          const all = membersOf(fleet);
          const served = new Set(row.served ? world.endpoints(fleet) : all.map(({ name }) => name));
          return (
            all.length === 4 &&
            all.every(
              ({ name, revision = '', ready, labels }) =>
                ready && !old.has(revision) && labels[LABEL.traffic] === 'yes' && served.has(name),
            )
          );
        },
        60_000,
      );
    },
    70_000,
  );

  test('F2, F4: then nobody is stranded, and stays so', async () => {
    await world.until('nobody is stranded', () => stranded().length === 0);
    await world.always('nobody is stranded', () => stranded().length === 0, 3000);
    for (const { fleet } of fleets) {
      await when.resourceIsDeleted(fleet).catch(() => undefined);
      await world.kubernetes.api.request('DELETE', pathIn('/apis/apps/v1/deployments', world.namespace, fleet));
    }
    await world.until('the fleets are gone', () => world.pods().length === 0, 60_000);
  }, 90_000);
});

describe('whose pod it is', () => {
  const create = (name: string, service: string, activator: object = { period: 600 }) =>
    given.object(PATHS.kubervisorServices, {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name },
      spec: { ...spec, service, breakers: [breaker({ activator })] },
    });
  /** A fleet of four with a pod at `no` and one at `pause`. */
  async function aFleetWithPodsOut(fleet: string): Promise<{ no: string; pause: string }> {
    const [no = '', pause = ''] = await given.fleet(fleet, { replicas: 4 });
    await given.supervision(fleet, breaker(), spec);
    when.isBad(no, pause);
    await then.leavesTraffic(fleet, no, pause);
    when.allIsWell();
    await when.podIsPatched(pause, { labels: { [LABEL.traffic]: 'pause' } });
    return { no, pause };
  }
  const ownersOf = (fleet: string) => membersOf(fleet).map(({ labels }) => labels[LABEL.name]);
  const leader = () =>
    world
      .of('controller')
      .find(
        ({ log }) =>
          log.findLast(({ msg }) => ['started', 'leading', 'leading no more'].includes(String(msg)))?.['msg'] ===
          'leading',
      );

  test('F2: a resource that was made anew under its name before a controller looked has the pods, and its activator brings them back', async () => {
    const fleet = 'anew';
    const { no, pause } = await aFleetWithPodsOut(fleet);
    const { uid } = world.resources().find(({ name }) => name === fleet) ?? {};
    await controllersEnd();
    await when.resourceIsDeleted(fleet);
    await create(fleet, fleet, { period: 1, jitter: 0 });
    await controllersBegin();
    await then.isInTraffic(fleet, no);
    expect(world.pod(no)?.annotations[ANNOTATION.activatedAt]).toBeDefined();
    expect(ownersOf(fleet)).toEqual(Array(4).fill(fleet));
    expect(then.traffic(pause)).toBe('pause');
    await world.until('the new one shows who is paused', () => {
      const resource = world.resources().find(({ name }) => name === fleet);
      return resource?.uid !== uid && world.status(fleet)?.pods?.[0]?.heldBy === 'Paused';
    });
  }, 60_000);

  test('F2, F5: a resource that is renamed: the new one waits as Conflict, then has all pods, nobody out', async () => {
    const fleet = 'renamed';
    await aFleetWithPodsOut(fleet);
    await create('by-its-new-name', fleet);
    // Whoever of them is older by whole seconds has it.
    await world.until('one says Conflict', () =>
      [fleet, 'by-its-new-name'].some((name) => then.condition(name, 'Ready')?.reason === 'Conflict'),
    );
    await when.resourceIsDeleted(fleet);
    await then.statusSays('by-its-new-name', 'Ready', 'Reconciled');
    await world.until('it has them all, in traffic', () =>
      membersOf(fleet).every(
        ({ labels }) => labels[LABEL.name] === 'by-its-new-name' && labels[LABEL.traffic] === 'yes',
      ),
    );
  }, 60_000);

  test.each(['up', 'down'] as const)(
    'F2: with the controllers %s, a pod that another Service selects by now goes from the one resource to the other, in traffic',
    async (controllers) => {
      const [from, to] = [`from-${controllers}`, `to-${controllers}`];
      await aFleetWithPodsOut(from);
      await given.fleet(to, { replicas: 1 });
      await given.supervision(to, breaker(), spec);
      if (controllers === 'down') await controllersEnd();
      await when.serviceIsPatched(to, { selector: { app: from } });
      await when.serviceIsPatched(from, { selector: { app: 'nobody' } });
      if (controllers === 'down') await controllersBegin();
      await world.until('the other has them all, in traffic', () =>
        membersOf(from).every(({ labels }) => labels[LABEL.name] === to && labels[LABEL.traffic] === 'yes'),
      );
      await world.until('and nobody has its own', () => membersOf(to).every(isReleased));
    },
    60_000,
  );

  test('F2, Leader: the leader is killed between its two looks at the API: the other one releases', async () => {
    const fleet = 'two-looks';
    await aFleetWithPodsOut(fleet);
    await world.until('one leads', () => leader() !== undefined);
    const old = leader();
    await when.resourceIsDeleted(fleet);
    await old?.kill();
    expect(membersOf(fleet).filter(isReleased)).toEqual([]);
    await world.until('all are released', () => membersOf(fleet).every(isReleased));
    await old?.restart();
  }, 60_000);

  test('F2: the namespace goes: nobody stumbles over it', async () => {
    await aFleetWithPodsOut('ending');
    const from = world.processes.map(({ log }) => log.length);
    await world.kubernetes.api.request('DELETE', `/api/v1/namespaces/${world.namespace}`);
    await world.until('its pods are gone', () => world.pods().length === 0, 60_000);
    await world.until('its resources are gone', () => world.resources().length === 0, 60_000);
    for (const [index, { name, url, log }] of world.processes.entries()) {
      expect([name, (await fetch(`${url}/healthz`)).status]).toEqual([name, 200]);
      expect([name, log.slice(from[index]).filter(({ level }) => level === 'error' || level === 'fatal')]).toEqual([
        name,
        [],
      ]);
    }
  }, 120_000);
});
