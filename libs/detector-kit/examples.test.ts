/** The examples of plug-ins, as processes: they keep the contract, agree with each other, and end when they are told to. */
import { spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Verdict } from '@kubervisor/shared/detection/contract';
import { makeFolder, removeFolder, startChild, type Child } from '@kubervisor/testing/servers/child';
import { ordinary } from './core/questions.ts';
import { check } from './shell/check.ts';

const examples = resolve(import.meta.dirname, '../../examples');
const hasPython = spawnSync('python3', ['--version']).status === 0;

const EXAMPLES = [
  {
    name: 'detector-typescript',
    command: process.execPath,
    args: ['--conditions=source', join(examples, 'detector-typescript/detector.ts')],
    ready: /"url":"(http:[^"]+)"/,
  },
  {
    name: 'detector-python',
    command: 'python3',
    args: [join(examples, 'detector-python/detector.py')],
    ready: /listening on (http:\S+)/,
  },
].filter(({ name }) => hasPython || name !== 'detector-python');

if (!hasPython) test.skip('detector-python: skipped, there is no python3 on PATH', () => undefined);

describe.each(EXAMPLES)('$name', ({ command, args, ready }) => {
  let folder: string;
  let child: Child | undefined;
  let url: string;
  const stopped = Promise.withResolvers<void>();
  beforeAll(async () => {
    folder = makeFolder('plugin');
    const env = { PATH: process.env['PATH'], HTTP_HOST: '127.0.0.1', HTTP_PORT: '0' } as NodeJS.ProcessEnv;
    const onLine = (line: string) => void (line.includes('stopped') && stopped.resolve());
    child = await startChild({ command, args, ready: [ready], env, onLine }, folder);
    url = child.matches[0]?.[1] ?? '';
  });
  afterAll(async () => {
    await child?.end('SIGKILL');
    removeFolder(folder);
  });

  test('keeps the contract to the letter', async () => {
    const { findings } = await check(url);
    expect(findings.filter(({ result }) => result !== 'held')).toEqual([]);
  });

  test('judges by age', async () => {
    const { pods, ...request } = ordinary({ parameters: { maxHours: 1 }, timeoutMilliseconds: 5000 });
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
    const [first, second, third] = pods.map(({ name, uid }) => ({ name, uid }));
    const answer = await fetch(`${url}/v1/verdicts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({
        ...request,
        pods: [{ ...first, readySince: hoursAgo(2.5) }, { ...second, readySince: hoursAgo(0.5) }, third],
      }),
    });
    const { verdicts } = (await answer.json()) as { verdicts: Verdict[] };
    expect(verdicts).toMatchObject([
      { pod: first?.name, uid: first?.uid, outcome: 'anomalous', reason: 'Ready for 2.5 h, limit 1 h', limit: 1 },
      { pod: second?.name, outcome: 'ok' },
      { pod: third?.name, outcome: 'inconclusive' },
    ]);
    expect(verdicts[0]?.score).toBeCloseTo(2.5, 1);
  });

  test('ends in order when Kubernetes asks it to', async () => {
    if (child === undefined) throw new Error('it was not started');
    process.kill(child.pid, 'SIGTERM');
    await stopped.promise;
    await child.exited;
  });
});

test('the tests of detector-typescript pass', async () => {
  const child = spawn(process.execPath, ['--conditions=source', '--test', 'detector.spec.ts'], {
    cwd: join(examples, 'detector-typescript'),
    env: { PATH: process.env['PATH'] } as NodeJS.ProcessEnv,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((done) => child.on('close', done));
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/pass 3/) });
});
