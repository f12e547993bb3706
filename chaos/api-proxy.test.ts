/** What the rules rest on, the proxy itself must never break (W3, W4). */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer, request, type ClientRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { kubeconfigFor } from '@kubervisor/testing/kubernetes/kubeconfig';
import { cameToNothing, startApiProxy, type ApiProxy } from './api-proxy.ts';

let server: Server;
/** Requests that came to the API server. */
let arrived: string[];
let proxy: ApiProxy;
let told: { requested: string[]; answered: string[] };
let chance: number;

beforeEach(async () => {
  arrived = [];
  told = { requested: [], answered: [] };
  chance = 0;
  server = createServer((incoming, response) => {
    arrived.push(`${incoming.method} ${incoming.url}`);
    if (incoming.url?.includes('watch=true') === true) return void response.write('{"type":"ADDED"}\n');
    response.end('{"items":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  proxy = await startApiProxy(
    readFileSync(way.file, 'utf8'),
    {
      requested: ({ method, path }) => void told.requested.push(`${method} ${path}`),
      answered: ({ status }, body) => void told.answered.push(`${status} ${body}`),
    },
    () => chance,
  );
  way.remove();
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const address = (): string => /server: (\S+)/.exec(readFileSync(proxy.kubeconfig, 'utf8'))?.[1] ?? '';
/** Its answer, or how it failed. */
function ask(method: string, path: string): { sent: ClientRequest; answer: Promise<string> } {
  const sent = request(`${address()}${path}`, { method });
  const answer = new Promise<string>((resolve) => {
    sent.on('response', (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
      response.on('error', () => resolve('cut'));
    });
    sent.on('error', () => resolve('cut'));
  });
  sent.end();
  return { sent, answer };
}

test('passes requests on, and tells of them before the API server and of answers before the client has them', async () => {
  expect(await ask('GET', '/api/v1/pods?labelSelector=app%3Dcart').answer).toBe('200 {"items":[]}');
  expect(arrived).toEqual(['GET /api/v1/pods?labelSelector=app%3Dcart']);
  expect(told).toEqual({ requested: ['GET /api/v1/pods'], answered: ['200 {"items":[]}'] });
});

test.each([409, 429, 500] as const)('W4: what is refused with %d never reaches the API server', async (status) => {
  proxy.mischief = { refuse: { status, share: 1 } };
  expect(await ask('PATCH', '/pod').answer).toMatch(new RegExp(`^${status} .*"code":${status}`));
  expect(arrived).toEqual([]);
});

test('what the proxy refuses came to nothing, with 500 too; of what the API server broke down at nobody knows', () => {
  expect(cameToNothing({ passedOn: false, status: 500 })).toBe(true);
  expect(cameToNothing({ passedOn: true, status: 422 })).toBe(true);
  expect(cameToNothing({ passedOn: true, status: 500 })).toBe(false);
  expect(cameToNothing({ passedOn: true, status: 200 })).toBe(false);
  // Held back, or not answered yet.
  expect(cameToNothing({ passedOn: false })).toBe(false);
});

test.each(['cut', 500] as const)('an answer that is lost (%s) is of a request that was done', async (as) => {
  proxy.mischief = { loseAnswer: { as, share: 1 } };
  expect(await ask('PATCH', '/pod').answer).toMatch(as === 'cut' ? /^cut$/ : /^500/);
  expect(arrived).toEqual(['PATCH /pod']);
});

describe('W3: nothing takes effect 2 s after it was sent', () => {
  test('what is held back dies with the connection of its client', async () => {
    proxy.mischief = { slow: 500 };
    chance = 0.9;
    const { sent, answer } = ask('PATCH', '/pod');
    while (told.requested.length === 0) await delay(5);
    sent.destroy();
    await answer;
    await delay(700);
    expect(arrived).toEqual([]);
  });

  test('a write that is held back longer is not passed on, though its client waits', async () => {
    proxy.mischief = { slow: 2100 };
    chance = 0.999;
    expect(await ask('PATCH', '/pod').answer).toBe('cut');
    expect(arrived).toEqual([]);
  });

  test('the API server is told how much of the time is left', async () => {
    proxy.mischief = { slow: 1000 };
    chance = 0.999;
    await ask('PATCH', '/pod?timeout=2s').answer;
    const left = Number(/timeout=(\d+)ms/.exec(arrived[0] ?? '')?.[1]);
    expect(left).toBeGreaterThan(500);
    expect(left).toBeLessThanOrEqual(1001);
  });

  test('what a silent connection swallowed never arrives', async () => {
    proxy.silence('all');
    const { answer } = ask('PATCH', '/pod');
    while (told.requested.length === 0) await delay(5);
    proxy.pass();
    expect(await answer).toBe('cut');
    expect(arrived).toEqual([]);
    expect(await ask('PATCH', '/pod').answer).toBe('200 {"items":[]}');
  });
});

test('a silent watch stays open and says nothing, while other requests go through', async () => {
  const { answer } = ask('GET', '/api/v1/pods?watch=true');
  while (arrived.length === 0) await delay(5);
  await delay(50);
  proxy.silence('watches');
  server.closeAllConnections();
  expect(await Promise.race([answer, delay(200, 'still open')])).toBe('still open');
  expect(await ask('GET', '/pods').answer).toBe('200 {"items":[]}');
  proxy.pass();
  expect(await answer).toBe('cut');
});
