import { describe, expect, test } from '@jest/globals';
import { failure, success } from '../core/answer.ts';
import type { Request } from './outbound.ts';
import { createPrometheusClient, type PrometheusClient, type Range, type Source } from './prometheus.ts';

/** A source whose Prometheus answers an empty vector when told to. */
function sourceOf(name: string, url: string, headers: Record<string, string> = {}) {
  const requests: Request[] = [];
  const pending: (() => void)[] = [];
  const source: Source = {
    name,
    destination: { url: new URL(url), via: 'outside' },
    outbound: {
      send: (_via, request) =>
        new Promise((resolve) => {
          requests.push(request);
          const text = '{"status":"success","data":{"resultType":"vector","result":[]}}';
          pending.push(() => resolve(success({ status: 200, text })));
        }),
      close: () => undefined,
    },
    credentials: async () => success(headers),
  };
  return { source, requests, answer: () => pending.splice(0).forEach((one) => one()) };
}
const silent = { shared: () => undefined, asked: () => undefined, turned: () => undefined };
const client = () => asking(createPrometheusClient(silent));
/** What becomes of the answers is another's business. */
const asking = (prometheus: PrometheusClient) => ({
  query: (source: Source, promQL: string, signal: AbortSignal) =>
    prometheus.query({ source, namespace: 'shop', promQL, signal }, async (answer) => success(answer)),
  queryRange: (source: Source, promQL: string, range: Range, signal: AbortSignal) =>
    prometheus.query({ source, namespace: 'shop', promQL, range, signal }, async (answer) => success(answer)),
});
const signal = () => new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('queries to Prometheus', () => {
  test('of two sources at one address with headers of their own never share an answer', async () => {
    const shop = sourceOf('shop', 'http://thanos', { 'x-tenant': 'shop' });
    const pay = sourceOf('pay', 'http://thanos', { 'x-tenant': 'pay' });
    const prometheus = client();
    const both = [shop, pay].map(({ source }) => prometheus.query(source, 'up', signal()));
    await turn();
    expect([shop, pay].map(({ requests }) => requests.map((one) => one.headers?.['x-tenant']))).toEqual([
      ['shop'],
      ['pay'],
    ]);
    shop.answer();
    pay.answer();
    await Promise.all(both);
  });

  test('of one source share it', async () => {
    const { source, requests, answer } = sourceOf('shop', 'http://thanos/');
    const prometheus = client();
    const both = [1, 2].map(() => prometheus.query(source, 'up', signal()));
    await turn();
    expect(requests).toHaveLength(1);
    answer();
    expect((await Promise.all(both)).map(({ ok }) => ok)).toEqual([true, true]);
  });

  test('keep the path of the source and bring the query in the body', async () => {
    const { source, requests, answer } = sourceOf('central', 'http://thanos/prefix/');
    const asked = client().query(source, 'a + b', signal());
    await turn();
    expect(requests[0]).toMatchObject({ method: 'POST', body: 'query=a+%2B+b', peer: 'Prometheus' });
    expect(requests[0]?.url.href).toBe('http://thanos/prefix/api/v1/query');
    answer();
    await asked;
  });

  test('over a range end now and begin so many steps before', async () => {
    const { source, requests, answer } = sourceOf('central', 'http://thanos/prefix/');
    const prometheus = asking(createPrometheusClient(silent, () => 1_700_000_000_123));
    const asked = prometheus.queryRange(source, 'a + b', { steps: 15, stepSeconds: 0.5 }, signal());
    await turn();
    expect(requests[0]?.url.href).toBe('http://thanos/prefix/api/v1/query_range');
    expect(Object.fromEntries(new URLSearchParams(requests[0]?.body))).toEqual({
      query: 'a + b',
      start: '1699999992.623',
      end: '1700000000.123',
      step: '0.500',
    });
    answer();
    await asked;
  });

  test('over one range share an answer though the clock goes on; those over another, and instant ones, have their own', async () => {
    const { source, requests, answer } = sourceOf('central', 'http://thanos');
    let now = 0;
    const prometheus = asking(createPrometheusClient(silent, () => (now += 1000)));
    const ask = (steps: number) => prometheus.queryRange(source, 'up', { steps, stepSeconds: 1 }, signal());
    const all = [ask(15), ask(15), ask(30), prometheus.query(source, 'up', signal())];
    await turn();
    expect(requests.map(({ url }) => url.pathname)).toEqual([
      '/api/v1/query_range',
      '/api/v1/query_range',
      '/api/v1/query',
    ]);
    answer();
    await Promise.all(all);
  });

  test('V1: a source whose files cannot be used is not asked', async () => {
    const { source, requests } = sourceOf('central', 'http://thanos');
    source.credentials = async () => failure('Unreachable', 'the source central was not asked: caFile cannot be read');
    expect(await client().query(source, 'up', signal())).toMatchObject({ fault: { reason: 'Unreachable' } });
    expect(requests).toHaveLength(0);
  });

  test('V1: the deadline of the asker ends the wait', async () => {
    const { source } = sourceOf('central', 'http://thanos');
    expect(await client().query(source, 'up', AbortSignal.timeout(20))).toMatchObject({ fault: { reason: 'Timeout' } });
  });
});
