import { expect, test } from '@jest/globals';
import { createHttpServer } from '@kubervisor/runtime/http/server';
import { createMetrics } from '@kubervisor/runtime/metrics';
import { ReadFailed, type Bus } from '@kubervisor/runtime/nats/bus';
import { encodeEvent } from '@kubervisor/shared/events/envelope';
import { FACTS, type FactType } from '@kubervisor/shared/events/facts';
import { history, type History } from '@kubervisor/shared/events/history';
import { pino } from 'pino';
import { serveHistory } from './history.ts';

const told = (type: FactType, name: string, pod: string) => ({
  subject: `kubervisor.fact.${type}.shop.${name.replaceAll('.', '_')}`,
  text: JSON.stringify(
    encodeEvent(
      FACTS[type],
      `shop/${name}`,
      {
        resource: { namespace: 'shop', name, uid: 'u', generation: 1 },
        pod,
        uid: `uid of ${pod}`,
        enforced: true,
        actor: 'breaker',
        reason: 'Anomalous',
        message: 'slow',
        at: '2026-03-01T12:00:00.000Z',
      },
      { id: pod, source: '/kubervisor/test', time: 0 },
    ),
  ),
});

function serverOn(lastFacts: Bus['lastFacts'], status: ReturnType<Bus['status']> = { ready: true }) {
  const server = createHttpServer({
    log: pino({ level: 'silent' }),
    metrics: createMetrics('controller'),
    readiness: () => ({ ready: true, checks: {} }),
  });
  serveHistory(server, { lastFacts, status: () => status });
  return async (query: string) => {
    const answer = await server.inject(`/history?${query}`);
    return { status: answer.statusCode, headers: answer.headers, body: answer.json<unknown>() };
  };
}

test('the facts of one resource, as the schema says; what is of another that shares its subject, or not readable, is left out', async () => {
  const asked: unknown[] = [];
  const ask = serverOn(async (resource, limit) => {
    asked.push([resource, limit]);
    return {
      messages: [
        told('pod-broken', 'cart.v2', 'a'),
        told('pod-broken', 'cart_v2', 'of another'),
        { subject: 'kubervisor.fact.pod-broken.shop.cart_v2', text: '{' },
        { subject: 'kubervisor.fact.pod-danced.shop.cart_v2', text: told('pod-broken', 'cart.v2', 'b').text },
        told('pod-activated', 'cart.v2', 'a'),
      ],
      more: true,
    };
  });
  const { status, body } = await ask('namespace=shop&name=cart.v2&limit=7');
  expect(status).toBe(200);
  expect(asked).toEqual([[{ namespace: 'shop', name: 'cart.v2' }, 7]]);
  expect(history.parse(body)).toEqual(body);
  const { facts, more, unreadable } = body as History;
  expect(facts.map(({ type, pod }) => `${type} ${pod}`)).toEqual(['pod-broken a', 'pod-activated a']);
  expect([more, unreadable]).toEqual([true, 2]);
});

test.each([
  ['name=cart', /namespace/],
  ['namespace=shop', /name/],
  ['namespace=*&name=cart', /namespace/],
  ['namespace=shop&name=%3E', /name: must be the name/],
  ['namespace=shop&name=cart&limit=0', /from 1 to 500/],
  ['namespace=shop&name=cart&limit=501', /from 1 to 500/],
  ['namespace=shop&name=cart&limit=all', /from 1 to 500/],
  ['namespace=shop&namespace=other&name=cart', /namespace/],
])(
  'a question that names no one resource, or too much, is refused before NATS is asked: %s',
  async (query, message) => {
    const ask = serverOn(() => Promise.reject(new Error('asked')));
    expect(await ask(query)).toMatchObject({
      status: 400,
      body: { error: { code: 'InvalidRequest', message: expect.stringMatching(message) } },
    });
  },
);

test('NATS is away: 503, and what is wrong with it', async () => {
  const ask = serverOn(() => Promise.reject(new ReadFailed('timeout')), { ready: false, problem: 'it is away' });
  expect(await ask('namespace=shop&name=cart')).toMatchObject({
    status: 503,
    body: { error: { code: 'Unavailable', message: expect.stringContaining('it is away') } },
  });
});

test('few are read at once: the leader has other work', async () => {
  const release = Promise.withResolvers<void>();
  const ask = serverOn(async () => {
    await release.promise;
    return { messages: [], more: false };
  });
  const first = Array.from({ length: 4 }, () => ask('namespace=shop&name=cart'));
  expect(await ask('namespace=shop&name=cart')).toMatchObject({ status: 503, body: { error: { code: 'Busy' } } });
  release.resolve();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(await ask('namespace=shop&name=cart')).toMatchObject({ status: 200 });
});
