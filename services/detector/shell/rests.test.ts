import { expect, test } from '@jest/globals';
import { failure, success, type Result } from '../core/answer.ts';
import { FAILURES_IN_A_ROW, REST_MILLISECONDS } from '../core/rest.ts';
import { createRests } from './rests.ts';

const down = failure('Unreachable', 'no connection to Prometheus (ECONNREFUSED)');
const endless = () => new AbortController().signal;

/** Sources that are their own keys; the test answers the trivial question, and has the clock. */
function setUp() {
  const state = { now: 0 };
  const probes: ((result: Result<unknown>) => void)[] = [];
  const turned: string[] = [];
  const rests = createRests<string>(
    () => new Promise((resolve) => probes.push(resolve)),
    { turned: (source, fault) => turned.push(`${source} ${fault?.reason ?? 'back'}`) },
    () => state.now,
  );
  const fail = (source: string, times: number, result: Result<unknown> = down) => {
    for (let n = 0; n < times; n++) rests.heard(source, source, result);
  };
  const answer = async (result: Result<unknown>) => {
    probes.shift()?.(result);
    await new Promise(setImmediate);
  };
  const admitted = async (source: string, signal = endless()) => (await rests.admit(source, signal))?.reason ?? 'ask';
  return { state, probes, turned, rests, fail, answer, admitted };
}

test('a source is asked the trivial question once after so many failures, and meanwhile its queries as before', async () => {
  const { probes, fail, admitted } = setUp();
  fail('central', FAILURES_IN_A_ROW - 1);
  expect(probes).toHaveLength(0);
  fail('central', 4);
  expect(probes).toHaveLength(1);
  expect(await admitted('central')).toBe('ask');
});

test('it rests when it fails that too, says why in words that stay the same, and no other source rests with it', async () => {
  const { state, turned, rests, fail, answer, admitted } = setUp();
  fail('central', FAILURES_IN_A_ROW);
  fail('other', 1);
  await answer(down);
  expect(turned).toEqual(['central Unreachable']);
  const first = await rests.admit('central', endless());
  state.now = REST_MILLISECONDS - 1;
  expect(await rests.admit('central', endless())).toEqual(first);
  expect(first).toEqual({
    reason: 'SourceResting',
    message:
      'the source failed 5 times in a row; every 5 s it is asked vector(1), until it answers (last: Unreachable, no connection to Prometheus (ECONNREFUSED))',
  });
  expect(await admitted('other')).toBe('ask');
});

test('it is not blamed for a query that it refused, for slow ones while it answers the trivial one, or for an address that we refuse', async () => {
  const { probes, turned, fail, answer, admitted } = setUp();
  fail('central', 50, failure('QueryFailed', 'Prometheus refused the query: bad_data'));
  fail('central', 50, failure('AddressRefused', 'it is a loopback address'));
  expect(probes).toHaveLength(0);
  fail('central', 50, failure('Timeout', 'Prometheus did not answer in time'));
  await answer(success(undefined));
  expect([turned, await admitted('central')]).toEqual([[], 'ask']);
});

test('when its rest is over, all who come wait for one trivial question; with its answer all go on', async () => {
  const { state, probes, turned, fail, answer, admitted } = setUp();
  fail('central', FAILURES_IN_A_ROW);
  await answer(down);
  state.now = REST_MILLISECONDS;
  const three = [1, 2, 3].map(() => admitted('central'));
  expect(probes).toHaveLength(1);
  await answer(success(undefined));
  expect(await Promise.all(three)).toEqual(['ask', 'ask', 'ask']);
  expect(turned).toEqual(['central Unreachable', 'central back']);
});

test('it rests on when the trivial question fails again; who cannot wait for it that long is told so at the deadline', async () => {
  const { state, probes, turned, fail, answer, admitted } = setUp();
  fail('central', FAILURES_IN_A_ROW);
  await answer(down);
  state.now = REST_MILLISECONDS;
  const patient = admitted('central');
  const deadline = new AbortController();
  const impatient = admitted('central', deadline.signal);
  deadline.abort();
  expect(await impatient).toBe('SourceResting');
  await answer(down);
  expect(await patient).toBe('SourceResting');
  expect(probes).toHaveLength(0);
  expect(turned).toEqual(['central Unreachable']);
});

test('sources that nobody asks any more are not kept, nor shown as resting; of those that are asked, a bounded number', async () => {
  const { state, turned, fail, answer, admitted } = setUp();
  fail('gone', FAILURES_IN_A_ROW);
  await answer(down);
  state.now = 3_600_001;
  fail('another', 1);
  expect(turned).toEqual(['gone Unreachable', 'gone back']);
  fail('first', FAILURES_IN_A_ROW);
  await answer(down);
  for (let n = 0; n < 1000; n++) fail(`source-${n}`, 1);
  expect(turned.slice(2)).toEqual(['first Unreachable', 'first back']);
  expect(await admitted('first')).toBe('ask');
});
