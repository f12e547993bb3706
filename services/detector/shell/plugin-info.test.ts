import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Outbound } from './outbound.ts';
import { createPluginInfo } from './plugin-info.ts';
import { createSideThread, type SideThread } from './side-thread.ts';

let thread: SideThread;
beforeAll(() => void (thread = createSideThread()));
afterAll(() => thread.close());

const base = { via: 'service' as const, url: new URL('http://judge.shop.svc.cluster.local/') };

/** A plug-in whose schema and status are the test's, asked with a clock of the test's. */
function plugin() {
  const state = { status: 200, type: 'number', asked: 0, now: 0 };
  const outbound: Outbound = {
    async send() {
      state.asked += 1;
      const parameters = { properties: { limit: { type: state.type } } };
      return {
        ok: true,
        value: { status: state.status, text: JSON.stringify({ name: 'judge', version: '1', parameters }) },
      };
    },
    close: () => undefined,
  };
  const info = createPluginInfo(outbound, thread, () => state.now);
  const check = async (limit: unknown) => {
    const result = await info.check(base, { limit }, state.now + 30_000, 'shop');
    return result.ok ? result.value : result.fault.reason;
  };
  return { state, check };
}

test('a plug-in is asked once a minute what its parameters are, also by several at once', async () => {
  const { state, check } = plugin();
  expect(await Promise.all([check(1), check(1), check(2)])).toEqual([[], [], []]);
  state.now = 59_999;
  await check(3);
  expect(state.asked).toBe(1);
  state.now = 60_000;
  await check(1);
  expect(state.asked).toBe(2);
});

test('a mismatch is against a schema of the last 5 s: a plug-in that was mended is heard soon', async () => {
  const { state, check } = plugin();
  expect(await check('1')).toBe('InvalidParameters');
  state.type = 'string';
  state.now = 4999;
  expect(await check('1')).toBe('InvalidParameters');
  state.now = 5000;
  expect(await check('1')).toEqual([]);
});

test('one that could not say is asked again after 15 s', async () => {
  const { state, check } = plugin();
  state.status = 503;
  const warning = ['the parameters were not checked: /v1/info of the plug-in answered 503'];
  expect(await check('1')).toEqual(warning);
  state.status = 200;
  state.now = 14_999;
  expect(await check('1')).toEqual(warning);
  state.now = 15_000;
  expect(await check('1')).toBe('InvalidParameters');
});

test('D: what is kept is bounded in sum: of plug-ins that say much, and of ones that are asked with many parameters, the oldest is forgotten', async () => {
  let asked: string[] = [];
  const outbound: Outbound = {
    async send(_via, { url }) {
      asked.push(url.pathname);
      const parameters = { description: url.pathname.startsWith('/large') ? 'x'.repeat(250_000) : '' };
      return { ok: true, value: { status: 200, text: JSON.stringify({ name: 'judge', version: '1', parameters }) } };
    },
    close: () => undefined,
  };
  const info = createPluginInfo(outbound, thread, () => 0);
  const check = (path: string, parameters = {}) =>
    info.check({ ...base, url: new URL(path, base.url) }, parameters, 30_000, 'shop');

  await check('/first');
  for (let n = 0; n < 50; n++) await check(`/large-${n}`);
  await check('/first');
  await check('/large-49');
  expect(asked).toHaveLength(51);
  for (let n = 50; n < 70; n++) await check(`/large-${n}`);
  asked = [];
  await check('/large-69');
  await check('/first');
  await check('/large-0');
  expect(asked).toEqual(['/first/v1/info', '/large-0/v1/info']);

  await check('/many');
  for (let n = 0; n < 70; n++) await check('/many', { n, text: 'x'.repeat(250_000) });
  asked = [];
  await check('/large-69');
  expect(asked).toEqual(['/large-69/v1/info']);
});
