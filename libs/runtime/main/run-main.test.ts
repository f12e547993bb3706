import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

interface End {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the fixture to its end; `act` is called with each log message as it comes. */
function run(env: Record<string, string>, act?: (message: string, kill: (signal: NodeJS.Signals) => void) => void) {
  const child = spawn(process.execPath, ['--conditions=source', join(import.meta.dirname, 'run-main.fixture.ts')], {
    env: { PATH: process.env['PATH'], POD_NAME: 'fixture-1', REQUIRED: '1', ...env } as NodeJS.ProcessEnv,
  });
  let [stdout, stderr, seen] = ['', '', 0];
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    const lines = stdout.split('\n').slice(0, -1);
    for (const line of lines.slice(seen))
      act?.((JSON.parse(line) as { msg: string }).msg, (signal) => child.kill(signal));
    seen = lines.length;
  });
  return new Promise<End>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('runMain', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops gracefully and ends with 0', async (signal) => {
    const end = await run({}, (message, kill) => message === 'started' && kill(signal));
    expect(end.code).toBe(0);
    expect(end.stdout).toContain('"instance":"fixture-1"');
    expect(end.stdout).toContain('put away');
  });

  test('a second signal ends at once', async () => {
    const end = await run({ BEHAVIOUR: 'hangs' }, (message, kill) => {
      if (message === 'started') kill('SIGTERM');
      if (message === 'stopping') kill('SIGINT');
    });
    expect(end.code).toBe(130);
  });

  test('a stop that hangs ends after the limit', async () => {
    const end = await run({ BEHAVIOUR: 'hangs' }, (message, kill) => message === 'started' && kill('SIGTERM'));
    expect(end.code).toBe(1);
    expect(end.stdout).toContain('stop took too long');
  });

  test('a bad configuration lists every problem on stderr, and nothing starts', async () => {
    const end = await run({ REQUIRED: '', HTTP_PORT: 'x' });
    expect(end).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'fixture: the configuration has 2 problem(s):\n' +
        '  HTTP_PORT: "x", must be an integer from 0 to 65535\n' +
        '  REQUIRED: not set, must be an integer from 1 to 9\n',
    });
  });

  test('so does one that the start finds', async () => {
    const end = await run({ BEHAVIOUR: 'bad file' });
    expect(end.code).toBe(1);
    expect(end.stderr).toContain('  SOURCES: "x.yaml", must be readable\n');
  });

  test.each([
    ['start fails', 'start failed', 'start is broken'],
    ['rejects', 'unhandled rejection', 'left alone'],
    ['throws', 'uncaught exception', 'out of nowhere'],
  ])('%s: fatal in the log, ends with 1', async (behaviour, message, cause) => {
    const end = await run({ BEHAVIOUR: behaviour });
    expect(end.code).toBe(1);
    const last = JSON.parse(end.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(last).toMatchObject({ level: 'fatal', msg: message, err: { message: cause } });
  });
});
