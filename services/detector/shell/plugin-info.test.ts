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
