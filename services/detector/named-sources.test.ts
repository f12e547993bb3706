/** Sources of an operator, over real TLS and HTTP: who they are, who we are, what changes while we run, and what one of them does to the others. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import { evaluationResponse, type EvaluationResponse } from '@kubervisor/shared/detection/service';
import { createAuthority, type Authority } from '@kubervisor/testing/servers/certificates';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';
import { createPeers } from './shell/peers.fixture.ts';

const SECRET = 's3cret';
let folder: string;
let service: DetectorService | undefined;
let lines: string[];
const peers = createPeers();
const { listenOn } = peers;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'));
  lines = [];
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  await peers.close();
  await rm(folder, { recursive: true });
});

const put = (name: string, content: string) => writeFile(join(folder, name), content);
const vector = JSON.stringify({
  status: 'success',
  data: { resultType: 'vector', result: [{ metric: { pod: 'cart-1' }, value: [0, '9'] }] },
});
const answerVector: RequestListener = (request, response) => {
  request.resume();
  response.end(vector);
};

async function start(...sources: object[]): Promise<DetectorService> {
  await put('sources.yaml', JSON.stringify({ sources }));
  service = await createDetectorService(
    readConfig(detectorConfig, { DETECTOR_SOURCES: join(folder, 'sources.yaml') }),
    {
      log: createLogger('detector', 'debug', 'detector-1', { write: (line) => void lines.push(line) }),
      metrics: createMetrics('detector'),
      names: { service: async () => ({ addresses: [], alias: false }), host: async () => [] },
    },
  );
  await service.server.listen({ host: '127.0.0.1', port: 0 });
  return service;
}

async function ask(
  source: string,
  promQL = 'up',
  timeoutMilliseconds = 5000,
  namespace = 'shop',
): Promise<EvaluationResponse> {
  const payload = {
    apiVersion: 'detector.kubervisor.io/v1',
    evaluationId: 'round-1',
    timeoutMilliseconds,
    service: { namespace, name: 'cart' },
    breaker: 'errors',
    pods: [{ name: 'cart-1', uid: 'u1' }],
    kind: 'threshold',
    detector: { prometheusService: source, promQL, podNamekey: 'pod', max: 5 },
  };
  const answer = await service?.server.inject({ method: 'POST', url: '/v1/verdicts', payload });
  const response = evaluationResponse.parse(answer?.json());
  expect(JSON.stringify(response)).not.toContain(SECRET);
  return response;
}
const judged = { verdicts: [{ pod: 'cart-1', outcome: 'anomalous' }] };
const unreachable = (message: string) => ({ verdicts: [], error: { reason: 'Unreachable', message } });
const readiness = async () =>
  (await service?.server.inject('/readyz'))?.json<{ ready: boolean; checks: Record<string, string> }>();
const stateOf = async (source: string) => {
  const text = (await service?.server.inject('/metrics'))?.body ?? '';
  const found = [...text.matchAll(/^kubervisor_detector_sources_count\{source="(.*)",state="(.*)"\} 1$/gm)];
  return found.filter(([, name]) => name === source).map(([, , state]) => state);
};

describe('TLS', () => {
  let authority: Authority;
  let asked: { client: string | undefined }[];
  let server: TlsServer;
  let url: string;

  async function serve(options: object = {}): Promise<void> {
    const { cert, key } = authority.issue('thanos', ['127.0.0.1']);
    server = createTlsServer({ cert, key, ca: authority.ca, ...options }, (request, response) => {
      asked.push({ client: (request.socket as TLSSocket).getPeerCertificate().subject?.CN as string | undefined });
      // So that each query makes a connection of its own, with what the files hold at that moment.
      response.setHeader('connection', 'close');
      answerVector(request, response);
    });
    url = `https://127.0.0.1:${await listenOn(server)}`;
  }
  const clientFiles = async (name: string, from = authority) => {
    const { cert, key } = from.issue(name);
    await Promise.all([put('client.crt', cert), put('client.key', key)]);
  };
  const withClient = { caFile: 'ca.crt', certFile: 'client.crt', keyFile: 'client.key' };

  beforeEach(async () => {
    asked = [];
    authority = createAuthority();
    await put('ca.crt', authority.ca);
  });

  test('a source is who its certificate says, by the authority of the file', async () => {
    await serve();
    await start({ name: 'central', url, caFile: 'ca.crt' });
    expect(await ask('central')).toMatchObject(judged);
  });

  test('one of another authority, or with another name, is not asked; nothing of its certificate is seen', async () => {
    const other = createAuthority(SECRET);
    const named = other.issue(SECRET, ['127.0.0.1']);
    await serve(named);
    await start({ name: 'stranger', url, caFile: 'ca.crt' }, { name: 'public', url });
    for (const name of ['stranger', 'public']) {
      expect((await ask(name)).error?.reason).toBe('Unreachable');
    }
    server.setSecureContext(authority.issue(SECRET, [`${SECRET}.example`]));
    expect((await ask('stranger')).error).toEqual({
      reason: 'Unreachable',
      message: 'no connection to Prometheus (ERR_TLS_CERT_ALTNAME_INVALID)',
    });
    expect(asked).toEqual([]);
    expect(lines.join('')).not.toContain(SECRET);
  });

  test('we are who our certificate says, by the files of the moment: they are exchanged without a restart', async () => {
    await serve({ requestCert: true, rejectUnauthorized: true });
    await clientFiles('first');
    await start({ name: 'central', url, ...withClient }, { name: 'anonymous', url, caFile: 'ca.crt' });
    expect(await ask('central')).toMatchObject(judged);
    await clientFiles('second');
    expect(await ask('central')).toMatchObject(judged);
    expect(asked).toEqual([{ client: 'first' }, { client: 'second' }]);
    expect((await ask('anonymous')).error?.reason).toBe('Unreachable');
    // Of an authority that the source does not know: refused, until it is exchanged again.
    await clientFiles('third', createAuthority());
    expect((await ask('central')).error?.reason).toBe('Unreachable');
    await clientFiles('fourth');
    expect(await ask('central')).toMatchObject(judged);
  });

  test('authority and certificate of the source are exchanged together: the next query trusts the new one alone', async () => {
    await serve();
    await start({ name: 'central', url, caFile: 'ca.crt' });
    expect(await ask('central')).toMatchObject(judged);
    const next = createAuthority();
    server.setSecureContext(next.issue('thanos', ['127.0.0.1']));
    expect((await ask('central')).error?.reason).toBe('Unreachable');
    // As the kubelet exchanges the files of a Secret: a link is renamed.
    await put('next.crt', next.ca);
    await symlink('next.crt', join(folder, 'link'));
    await rename(join(folder, 'link'), join(folder, 'ca.crt'));
    expect(await ask('central')).toMatchObject(judged);
  });

  test('a kept connection of the old identity is not used again', async () => {
    await serve({ requestCert: true, rejectUnauthorized: true });
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response) => {
      asked.push({ client: (request.socket as TLSSocket).getPeerCertificate().subject.CN as string });
      answerVector(request, response);
    });
    let connections = 0;
    server.on('secureConnection', () => (connections += 1));
    await clientFiles('first');
    await start({ name: 'central', url, ...withClient });
    for (const promQL of ['a', 'b']) expect(await ask('central', promQL)).toMatchObject(judged);
    expect(connections).toBe(1);
    await clientFiles('second');
    expect(await ask('central', 'c')).toMatchObject(judged);
    expect(asked.map(({ client }) => client)).toEqual(['first', 'first', 'second']);
  });

  test.each([
    ['certFile holds no certificate in PEM', 'client.crt', SECRET],
    ['keyFile holds no key in PEM without a passphrase', 'client.key', SECRET],
    ['caFile holds no certificate in PEM', 'ca.crt', SECRET],
  ])(
    '%s: that source alone is not asked, which readiness, metrics, log and status tell, until it is mended',
    async (problem, name, content) => {
      await serve();
      await clientFiles('us');
      await put('other.crt', authority.ca);
      const good = await readFile(join(folder, name), 'utf8');
      await put(name, content);
      await start({ name: 'central', url, ...withClient }, { name: 'other', url, caFile: 'other.crt' });
      expect(await ask('central')).toMatchObject(unreachable(`the source central was not asked: ${problem}`));
      expect(await ask('other')).toMatchObject(judged);
      expect(await readiness()).toEqual({ ready: true, checks: { http: 'ok', 'source central': problem } });
      expect([await stateOf('central'), await stateOf('other')]).toEqual([['unusable'], ['well']]);
      expect(lines.filter((line) => line.includes(problem) && line.includes('cannot be used'))).toHaveLength(1);
      await put(name, good);
      expect(await ask('central')).toMatchObject(judged);
      expect(await readiness()).toEqual({ ready: true, checks: { http: 'ok' } });
      expect(await stateOf('central')).toEqual(['well']);
      expect(lines.join('')).not.toContain(SECRET);
    },
  );
});

const EVERY_TIMER = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
] as const;

describe('who we say we are', () => {
  let asked: IncomingMessage['headers'][];
  let url: string;
  beforeEach(async () => {
    asked = [];
    url = `http://127.0.0.1:${await listenOn(
      createServer((request, response) => {
        asked.push(request.headers);
        answerVector(request, response);
      }),
    )}`;
  });
  const authorizations = () => asked.map(({ authorization }) => authorization);

  test('a bearer token is the one that its file holds at the moment; where that is missing the source is not asked, and the others are', async () => {
    await put('token', `${SECRET}-1\n`);
    await start({ name: 'central', url, bearerTokenFile: 'token' }, { name: 'open', url });
    expect(await ask('central')).toMatchObject(judged);
    await put('token', `${SECRET}-2`);
    expect(await ask('central')).toMatchObject(judged);
    await rm(join(folder, 'token'));
    const problem = 'bearerTokenFile cannot be read (ENOENT)';
    expect(await ask('central')).toMatchObject(unreachable(`the source central was not asked: ${problem}`));
    expect(await ask('open')).toMatchObject(judged);
    expect(authorizations()).toEqual([`Bearer ${SECRET}-1`, `Bearer ${SECRET}-2`, undefined]);
    expect((await readiness())?.checks).toMatchObject({ 'source central': problem });
    expect(lines.join('')).not.toContain(SECRET);
  });

  test('a file is looked at also while nobody asks, so that readiness tells of it', async () => {
    await put('token', SECRET);
    jest.useFakeTimers({ doNotFake: EVERY_TIMER.filter((one) => one !== 'setInterval') });
    try {
      await start({ name: 'central', url, bearerTokenFile: 'token' });
      await rm(join(folder, 'token'));
      jest.advanceTimersByTime(10_000);
      let checks: Record<string, string> = {};
      while (checks['source central'] === undefined) {
        await setTimeout(5);
        checks = (await readiness())?.checks ?? {};
      }
      expect(checks['source central']).toBe('bearerTokenFile cannot be read (ENOENT)');
      expect(asked).toEqual([]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('basic auth and headers, both of each query', async () => {
    await put('password', `${SECRET}\n`);
    await start({
      name: 'central',
      url,
      headers: { 'X-Scope-OrgID': 'shop' },
      basicAuth: { username: 'kubervisor', passwordFile: 'password' },
    });
    expect(await ask('central')).toMatchObject(judged);
    expect(asked[0]).toMatchObject({
      'x-scope-orgid': 'shop',
      authorization: `Basic ${Buffer.from(`kubervisor:${SECRET}`).toString('base64')}`,
    });
  });

  test('credentials stay with their source: a redirect takes them nowhere', async () => {
    await put('token', SECRET);
    const redirecting = await listenOn(
      createServer((_request, response) => response.writeHead(307, { location: `${url}/api/v1/query` }).end()),
    );
    await start({ name: 'central', url: `http://127.0.0.1:${redirecting}`, bearerTokenFile: 'token' });
    expect((await ask('central')).error?.reason).toBe('BadStatus');
    expect(asked).toEqual([]);
  });
});

describe('how much', () => {
  /** A source that answers when it is told to. */
  async function startPatient() {
    const waiting: { query: string; answer(): void }[] = [];
    let most = 0;
    let seen: (() => void) | undefined;
    const port = await listenOn(
      createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          const query = new URLSearchParams(body).get('query') ?? '';
          if (query === 'vector(1)') return void response.end(vector);
          waiting.push({ query, answer: () => response.end(vector) });
          most = Math.max(most, waiting.length);
          seen?.();
        });
      }),
    );
    const answer = () => waiting.splice(0).forEach((one) => one.answer());
    return {
      url: `http://127.0.0.1:${port}`,
      most: () => most,
      queries: () => waiting.map(({ query }) => query),
      async arrived(count: number) {
        while (waiting.length < count) await new Promise<void>((resolve) => (seen = resolve));
      },
      answer,
      /** Whatever comes, until all of them are. */
      async answerUntil<T>(all: readonly Promise<T>[]): Promise<T[]> {
        const answering = setInterval(answer, 5);
        return Promise.all(all).finally(() => clearInterval(answering));
      },
    };
  }
  const LONG = 25_000;
  const notAsked = {
    reason: 'Timeout',
    message:
      'Prometheus was not asked: until the time-out other queries held every place that the namespace may have there',
  };

  test('no more queries at once than a source takes, of a namespace half of them; the others wait for a place, at most until their deadline', async () => {
    const source = await startPatient();
    await start({ name: 'narrow', url: source.url, concurrency: 4 });
    const all = ['a', 'b', 'c'].map((promQL) => ask('narrow', promQL, LONG));
    await source.arrived(2);
    expect((await ask('narrow', 'd', 150)).error).toEqual(notAsked);
    expect(source.queries()).toEqual(['a', 'b']);
    all.push(ask('narrow', 'p', LONG, 'pay'), ask('narrow', 'q', LONG, 'ads'));
    await source.arrived(4);
    expect((await ask('narrow', 'r', 150, 'new')).error).toEqual(notAsked);
    source.answer();
    await source.arrived(1);
    expect(source.queries()).toEqual(['c']);
    source.answer();
    for (const answer of await Promise.all(all)) expect(answer).toMatchObject(judged);
    expect(source.most()).toBe(4);
  });

  test('D: one namespace’s queries that nobody answers leave places to the others, which are judged meanwhile', async () => {
    const source = await startPatient();
    await start({ name: 'central', url: source.url });
    const slow = Array.from({ length: 60 }, (_, n) => ask('central', `slow_${n}`, LONG, 'mallory'));
    await source.arrived(16);
    const honest = ask('central', 'up', LONG);
    await source.arrived(17);
    expect(source.queries()[16]).toBe('up');
    await source.answerUntil<unknown>([...slow, honest]);
    expect(await honest).toMatchObject(judged);
  });

  test('D: also where a source takes one query at a time the namespaces are served in turn', async () => {
    const source = await startPatient();
    await start({ name: 'single', url: source.url, concurrency: 1 });
    const all = [1, 2, 3, 4].map((n) => ask('single', `slow_${n}`, LONG, 'mallory'));
    await source.arrived(1);
    all.push(ask('single', 'up', LONG));
    const order: string[] = [];
    for (let n = 0; n < 5; n++) {
      await source.arrived(1);
      order.push(...source.queries());
      source.answer();
    }
    for (const answer of await Promise.all(all)) expect(answer).toMatchObject(judged);
    expect(order).toEqual(['slow_1', 'slow_2', 'up', 'slow_3', 'slow_4']);
  });

  test('D: a query that another namespace has in its queue, too, is asked when its own turn has come, and answers both where it is under way', async () => {
    const source = await startPatient();
    await start({ name: 'narrow', url: source.url, concurrency: 2 });
    const all = ['slow_1', 'slow_2', 'up'].map((promQL) => ask('narrow', promQL, LONG, 'mallory'));
    await source.arrived(1);
    all.push(ask('narrow', 'up', LONG));
    await source.arrived(2);
    expect(source.queries()).toEqual(['slow_1', 'up']);
    for (const answer of await source.answerUntil(all)) expect(answer).toMatchObject(judged);
  });

  test('D: so many of a namespace may wait for a source; those beyond them are told at once', async () => {
    const source = await startPatient();
    await start({ name: 'single', url: source.url, concurrency: 1 });
    const errors: (string | undefined)[] = [];
    const many = Array.from({ length: 150 }, async (_, n) => {
      const { error } = await ask('single', `slow_${n}`, LONG, 'mallory');
      errors.push(error?.message);
    });
    // One is under way, and a hundred wait.
    while (errors.length < 49) await setTimeout(5);
    const crowded = 'Prometheus was not asked: 100 queries of the namespace wait for a place there already';
    expect(errors).toEqual(Array(49).fill(crowded));
    const honest = ask('single', 'up', LONG);
    await source.answerUntil<unknown>([...many, honest]);
    expect(await honest).toMatchObject(judged);
  });

  test('identical queries under way are asked once; whose deadline ends first ends alone', async () => {
    let queries = 0;
    let answer: (() => void) | undefined;
    let seen: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => (seen = resolve));
    const port = await listenOn(
      createServer((request, response) => {
        queries += 1;
        answer = () => answerVector(request, response);
        seen?.();
      }),
    );
    await start({ name: 'central', url: `http://127.0.0.1:${port}` });
    const patient = ask('central', 'up', 20_000);
    await arrived;
    const [first, second] = await Promise.all([ask('central', 'up', 100), ask('central', 'up', 150, 'pay')]);
    expect([first.error?.reason, second.error?.reason]).toEqual(['Timeout', 'Timeout']);
    answer?.();
    expect(await patient).toMatchObject(judged);
    expect(queries).toBe(1);
  });

  test("a source's own time-out is shorter than that of a patient breaker", async () => {
    const port = await listenOn(createServer(() => undefined));
    await start({ name: 'central', url: `http://127.0.0.1:${port}`, timeoutSeconds: 0.2 });
    expect((await ask('central', 'up', 25_000)).error?.reason).toBe('Timeout');
  });
});

describe('a source that keeps failing', () => {
  test('W7: is given a rest, which status, readiness, metrics and log tell; the others are asked as before, and it comes back by itself', async () => {
    let queries: string[] = [];
    let down = true;
    const central = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        queries.push(new URLSearchParams(body).get('query') ?? '');
        if (down) response.writeHead(503).end(SECRET);
        else response.end(vector);
      });
    });
    const url = `http://127.0.0.1:${await listenOn(central)}`;
    const other = `http://127.0.0.1:${await listenOn(createServer(answerVector))}`;
    await start({ name: 'central', url }, { name: 'other', url: other });

    for (let n = 0; n < 5; n++) expect((await ask('central')).error?.reason).toBe('BadStatus');
    while ((await ask('central')).error?.reason !== 'SourceResting') await setTimeout(10);
    expect((await ask('central')).error).toEqual({
      reason: 'SourceResting',
      message:
        'the source failed 5 times in a row; every 5 s it is asked vector(1), until it answers (last: BadStatus, Prometheus answered 503)',
    });
    expect(await ask('other')).toMatchObject(judged);
    expect(await readiness()).toEqual({
      ready: true,
      checks: { http: 'ok', 'source central': 'resting: BadStatus, Prometheus answered 503' },
    });
    expect([await stateOf('central'), await stateOf('other')]).toEqual([['resting'], ['well']]);

    const before = queries.length;
    for (let n = 0; n < 20; n++) await ask('central', `query ${n}`);
    // While it rests at most the trivial question reaches it, should 5 s have passed.
    expect(queries.slice(before).filter((query) => query !== 'vector(1)')).toEqual([]);

    queries = [];
    down = false;
    let answer = await ask('central');
    while (answer.error?.reason === 'SourceResting') {
      await setTimeout(50);
      answer = await ask('central');
    }
    expect(answer).toMatchObject(judged);
    expect(queries).toEqual(['vector(1)', 'up']);
    expect(await readiness()).toEqual({ ready: true, checks: { http: 'ok' } });
    expect(await stateOf('central')).toEqual(['well']);
    const turns = lines.map((line) => JSON.parse(line) as { msg: string; source?: string });
    expect(turns.filter(({ source }) => source === 'central').map(({ msg }) => msg)).toEqual([
      'the source is given a rest',
      'the rest of the source is over',
    ]);
  });

  test('slow queries of one resource do not take a source from the others that is well', async () => {
    const port = await listenOn(
      createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          if (!body.includes('slow')) response.end(vector);
        });
      }),
    );
    await start({ name: 'central', url: `http://127.0.0.1:${port}` });
    for (let turn = 0; turn < 3; turn++) {
      const slow = Array.from({ length: 10 }, (_, n) => ask('central', `slow_${n}`, 100));
      for (const { error } of await Promise.all(slow)) expect(error?.reason).toBe('Timeout');
      expect(await ask('central')).toMatchObject(judged);
    }
    expect(lines.join('')).not.toContain('given a rest');
  });

  test('slow queries that hold every connection do not make it rest either: the trivial question has one of its own', async () => {
    const queries: string[] = [];
    const port = await listenOn(
      createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          const query = new URLSearchParams(body).get('query') ?? '';
          queries.push(query);
          if (!query.startsWith('slow')) response.end(vector);
        });
      }),
    );
    await start({ name: 'narrow', url: `http://127.0.0.1:${port}`, concurrency: 1 });
    for (let n = 0; n < 4; n++) expect((await ask('narrow', 'slow', 20)).error?.reason).toBe('Timeout');
    // When it has failed as the fifth in a row, the next one has its connection at once.
    const fifth = ask('narrow', 'slow', 500);
    const slow = ask('narrow', 'slow too', 20_000);
    expect((await fifth).error?.reason).toBe('Timeout');
    const isOver = () => queries.includes('vector(1)') || lines.join('').includes('given a rest');
    while (!isOver()) await setTimeout(5);
    expect(lines.join('')).not.toContain('given a rest');
    await service?.stop();
    expect((await slow).error?.reason).toBeDefined();
  });

  test('of those that resources name by address it is counted how many rest', async () => {
    await start();
    for (let n = 0; n < 6; n++) await ask('prometheus.nowhere');
    let answer = await ask('prometheus.nowhere');
    while (answer.error?.reason !== 'SourceResting') {
      await setTimeout(10);
      answer = await ask('prometheus.nowhere');
    }
    expect(await stateOf('')).toEqual(['resting']);
    expect((await readiness())?.checks).toEqual({ http: 'ok' });
  });
});
