/** V1, V2: whatever a detector answers or does not answer, nobody but a bad pod of the fleet is touched, and status says so at once. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { verdictRequest, type Verdict } from '@kubervisor/shared/detection/contract';
import { ANNOTATION } from '@kubervisor/shared/pods/keys';
import { makeFolder, removeFolder, startChild, type Child } from '@kubervisor/testing/servers/child';
import { parseAllDocuments } from 'yaml';
import { given as givenIn } from './fixtures/given.ts';
import { FAULTS, startPlugin, type Plugin } from './fixtures/plugin.ts';
import { ONE_ROUND, then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

let world: World;
let given: ReturnType<typeof givenIn>;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;

beforeAll(async () => {
  world = await startWorld({ counts: { breaker: 2, detector: 2 } });
  given = givenIn(world);
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

/** Nobody is left out at the end of a test for the next one to wonder about; nobody comes back within one either. */
const patient = { activator: { period: 600 }, panicThreshold: 100 } as const;

describe('V1: a plug-in that fails', () => {
  const fleet = 'faulty';
  let pods: string[];

  beforeAll(async () => {
    pods = await given.fleet(fleet, { replicas: FAULTS.length + 3 });
    await given.supervision(fleet, patient);
  }, 60_000);

  const breaker = () => world.status(fleet)?.breakers?.[0];
  const nextPod = (): string => {
    const name = pods.find((pod) => then.traffic(pod) === 'yes');
    if (name === undefined) throw new Error('no pod is left in traffic');
    return name;
  };
  const holdsAndSays = async (reason: string): Promise<void> => {
    await then.statusSays(fleet, 'Degraded', 'DetectorFailing', ONE_ROUND);
    expect(breaker()).toMatchObject({ result: 'error', broken: 0, message: expect.stringContaining(reason) });
    expect(then.condition(fleet, 'Degraded')?.message).toContain(reason);
    await world.until('the next evaluation failed as well', () => (breaker()?.consecutiveErrors ?? 0) >= 2);
  };
  const recovers = async (bad: string): Promise<void> => {
    await then.leavesTraffic(fleet, bad);
    await then.statusSays(fleet, 'Degraded', 'Healthy', ONE_ROUND);
    expect(breaker()).toMatchObject({ consecutiveErrors: 0 });
  };

  test.each(FAULTS)(
    'V1: it answers $what: nobody is touched, status says $reason within one round, and the next sound answer counts',
    async ({ reason, respond }) => {
      const bad = nextPod();
      const out = then.out(fleet);
      world.plugin.fail([bad], respond);
      await holdsAndSays(reason);
      expect(then.out(fleet)).toEqual(out);
      expect(new Set(world.plugin.asked)).toEqual(new Set(['/bad-pods']));
      world.plugin.answer([bad]);
      await recovers(bad);
    },
  );

  test('V1, W7: every detector is killed, or frozen: the same', async () => {
    const bad = nextPod();
    const out = then.out(fleet);
    await Promise.all(world.of('detector').map((process) => process.kill()));
    world.plugin.answer([bad]);
    await holdsAndSays('Unreachable');
    expect(then.out(fleet)).toEqual(out);
    await Promise.all(world.of('detector').map((process) => process.restart()));
    await recovers(bad);

    const next = nextPod();
    for (const process of world.of('detector')) process.freeze();
    world.plugin.answer([next]);
    await holdsAndSays('Timeout');
    expect(then.traffic(next)).toBe('yes');
    for (const process of world.of('detector')) process.thaw();
    await recovers(next);
    world.plugin.answer([]);
  });

  test('V1: of two breakers one cannot be answered: the other goes on', async () => {
    const [failing, sound] = [await startPlugin(world.namespace), await startPlugin(world.namespace)];
    try {
      const [bad = ''] = await given.fleet('two-plug-ins', { replicas: 3 });
      failing.fail([], () => (_request, response) => void response.writeHead(503).end());
      await given.supervision('two-plug-ins', patient, {
        breakers: [
          { name: 'failing', evaluationPeriod: 1, gracePeriod: 0, customService: failing.address, ...patient },
          { name: 'sound', evaluationPeriod: 1, gracePeriod: 0, customService: sound.address, ...patient },
        ],
      });
      await then.statusSays('two-plug-ins', 'Degraded', 'DetectorFailing');
      sound.answer([bad]);
      await then.leavesTraffic('two-plug-ins', bad);
      expect(world.pod(bad)?.labels['kubervisor/strategy']).toBe('sound');
      expect(then.condition('two-plug-ins', 'Degraded')?.message).toMatch(/^Breaker failing: BadStatus/);
    } finally {
      await when.resourceIsDeleted('two-plug-ins');
      await Promise.all([failing.close(), sound.close()]);
    }
  });
});

describe('V2: a plug-in that names others', () => {
  const fleet = 'named';
  let plugin: Plugin;

  beforeAll(async () => {
    plugin = await startPlugin(world.namespace);
  });
  afterAll(() => plugin.close());

  test('V2, B2, F3: of another namespace, of another fleet, unknown, out already, unready: one place is left, and the bad pod gets it at once', async () => {
    const [out = '', unready = '', bad = '', ...well] = await given.fleet(fleet, { replicas: 6 });
    const strangers = await given.fleet('strangers', { replicas: 1 });
    const elsewhere = await given.podElsewhere();
    await given.supervision(fleet, { ...patient, customService: plugin.address, minPodsAvailableCount: 3 });
    plugin.answer([out]);
    await then.leavesTraffic(fleet, out);
    await when.podBecomesReady(unready, false);
    await world.until('four are available', () => world.status(fleet)?.available === 4);
    const marksBefore = JSON.stringify(strangers.map((name) => world.pod(name)?.labels));

    plugin.answer([
      // The names are those of pods that are well; the namespace is not theirs.
      ...well.map((name) => ({ name, namespace: elsewhere.namespace })),
      elsewhere,
      ...strangers,
      ...Array.from({ length: 200 }, (_, index) => `nobody-${index}`),
      // As if of an earlier pod of the name.
      ...well.map((name) => ({ name, uid: '00000000-0000-0000-0000-000000000000' })),
      out,
      unready,
      bad,
    ]);
    await then.leavesTraffic(fleet, bad);
    await world.until('status counts the others', () =>
      /ignored: .*otherNamespace/.test(world.status(fleet)?.breakers?.[0]?.message ?? ''),
    );
    const message = world.status(fleet)?.breakers?.[0]?.message;
    expect(message).toContain(`${well.length + 1} otherNamespace`);
    // The others by one name: of a pod that was not sent to it a plug-in can know nothing.
    expect(message).toMatch(/20\d (notAsked|unknownPod)/);
    expect(message).toContain(`${well.length} otherUid`);
    await world.until('two rounds more', roundsSince(2));
    expect(then.out(fleet).toSorted()).toEqual([out, bad].toSorted());
    for (const name of [...well, unready]) expect(then.traffic(name)).toBe('yes');
    expect(JSON.stringify(strangers.map((name) => world.pod(name)?.labels))).toBe(marksBefore);
    expect(await elsewhere.resourceVersion()).toBe(elsewhere.before);
    expect(then.condition(fleet, 'Degraded')?.reason).toBe('Healthy');
    then.floorHeld(fleet, 3);
  });

  function roundsSince(count: number): () => boolean {
    const before = world.rounds.length;
    return () =>
      world.rounds.slice(before).filter(({ kind, fact }) => kind === 'evaluate' && fact.resource.name === fleet)
        .length >= count;
  }
});

describe('a plug-in by contract v1', () => {
  const fleet = 'judged';
  let verdicts: Verdict[] = [];
  const asked: unknown[] = [];
  const info = {
    name: 'judge',
    version: '1',
    parameters: { type: 'object', properties: { limit: { type: 'number' } }, required: ['limit'] },
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.url === '/v1/info') return void response.end(JSON.stringify(info));
      asked.push(verdictRequest.parse(JSON.parse(body)).parameters);
      response.end(JSON.stringify({ verdicts }));
    });
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test('V2, V5: the pod that it finds bad leaves traffic for its reason; a name that is now another pod stays', async () => {
    const [bad = '', other = ''] = await given.fleet(fleet, { replicas: 3 });
    await judgedBy(fleet, { limit: 1 });
    expect(asked).toContainEqual({ limit: 1 });
    verdicts = [
      { pod: bad, outcome: 'anomalous', score: 2.4, reason: 'p99 2.4 s,\nlimit 1 s', observed: 2.4, limit: 1 },
      { pod: other, uid: '00000000-0000-0000-0000-000000000000', outcome: 'anomalous', score: 9 },
    ];
    await then.leavesTraffic(fleet, bad);
    expect(world.pod(bad)?.annotations[ANNOTATION.reason]).toContain('p99 2.4 s, limit 1 s');
    await world.until('status counts the other', () =>
      /1 otherUid/.test(world.status(fleet)?.breakers?.[0]?.message ?? ''),
    );
    expect(then.out(fleet)).toEqual([bad]);
  });

  test('V1: parameters that do not fit its schema are in status, and it is never asked for a verdict with them', async () => {
    const wrong = 'wrong-parameters';
    const pods = await given.fleet(wrong, { replicas: 2 });
    verdicts = pods.slice(1).map((pod) => ({ pod, outcome: 'anomalous' }));
    await judgedBy(wrong, { limit: '1' });
    await then.statusSays(wrong, 'Degraded', 'DetectorFailing', ONE_ROUND);
    expect(then.condition(wrong, 'Degraded')?.message).toBe(
      'Breaker quality: InvalidParameters: parameters.limit must be of type number.',
    );
    expect(asked).not.toContainEqual({ limit: '1' });
    expect(then.out(wrong)).toEqual([]);
  });

  const judgedBy = (name: string, parameters: Record<string, unknown>) => {
    const detector = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      parameters,
      timeoutSeconds: 5,
    };
    return given.supervision(name, patient, {
      breakers: [{ name: 'quality', evaluationPeriod: 1, gracePeriod: 0, detector, ...patient }],
    });
  };
});

describe('the plug-in of docs/detectors/write-your-own.md', () => {
  const folder = join(import.meta.dirname, '../examples/detector-typescript');
  const manifests = parseAllDocuments(readFileSync(join(folder, 'plugin.yaml'), 'utf8')).map(
    (document) =>
      document.toJS() as { kind: string; spec: { breakers: [KubervisorServiceSpecInput['breakers'][number]] } },
  );
  const manifestOf = (kind: string) => manifests.find((one) => one.kind === kind);
  const cwd = makeFolder('plugin');
  let child: Child;

  beforeAll(async () => {
    child = await startChild(
      {
        command: process.execPath,
        args: ['--conditions=source', join(folder, 'detector.ts')],
        ready: [/"url":"(http:[^"]+)"/],
        env: { PATH: process.env['PATH'], HTTP_HOST: '127.0.0.1', HTTP_PORT: '0' } as NodeJS.ProcessEnv,
      },
      cwd,
    );
  });
  afterAll(async () => {
    await child?.end();
    removeFolder(cwd);
  });

  test('Kubernetes takes its Deployment and its Service as they stand', async () => {
    await given.object('/apis/apps/v1/deployments', manifestOf('Deployment') ?? {});
    await given.object('/api/v1/services', manifestOf('Service') ?? {});
  });

  test('a fleet is judged by it: of pods that are all too old so many leave as the floor allows, with its reason', async () => {
    const fleet = 'aged';
    await given.fleet(fleet, { replicas: 5 });
    const [stanza] = manifestOf(KIND)?.spec.breakers ?? [];
    if (stanza === undefined) throw new Error('plugin.yaml has no breaker');
    // Where it runs here, so that nobody need wait for a day; none comes back or is replaced meanwhile.
    const detector = { url: child.matches[0]?.[1] ?? '', parameters: { maxHours: 1e-6 }, timeoutSeconds: 5 };
    await given.supervision(fleet, patient, {
      breakers: [{ ...stanza, detector, evaluationPeriod: 1, gracePeriod: 0, activator: patient.activator }],
    });
    await world.until('one is out', () => then.out(fleet).length > 0);
    const [out = ''] = then.out(fleet);
    expect(world.pod(out)?.annotations[ANNOTATION.reason]).toMatch(/Ready for \d+\.\d h, limit 0\.000001 h/);
    await world.until('the floor holds the others', () => world.status(fleet)?.breakers?.[0]?.withheld === 4);
    expect(then.out(fleet)).toEqual([out]);
  });
});
