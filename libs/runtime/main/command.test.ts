import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { readWords, statusOf, UsageError } from './command.ts';

/** Runs the fixture to its end; `act` is called with each line as it comes. */
function run(words: string[], act?: (line: string, child: ChildProcessWithoutNullStreams) => void) {
  const file = join(import.meta.dirname, 'command.fixture.ts');
  const child = spawn(process.execPath, ['--conditions=source', file, ...words], {
    env: { PATH: process.env['PATH'] } as NodeJS.ProcessEnv,
  });
  let [stdout, stderr] = ['', ''];
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const line of chunk.toString().split('\n').slice(0, -1)) act?.(line, child);
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('a command', () => {
  test.each([
    ['that it does not know', ['--no-such'], "Unknown option '--no-such'"],
    ['that mean nothing', ['--fail', ''], '--fail "": must be a text'],
  ])('words %s: they are told with the help, and it ends with 2', async (_what, words, message) => {
    const { code, stderr } = await run(words);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('\n\nthe help\n');
  });

  test('what failed is a line, and it ends with 1', async () => {
    expect(await run(['--fail', 'no cluster'])).toEqual({ code: 1, stdout: '', stderr: 'no cluster\n' });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it its own way, with 130', async (signal) => {
    const end = await run(['--wait'], (line, child) => line === 'up' && child.kill(signal));
    expect(end).toEqual({ code: 130, stdout: 'up\nstopping\n', stderr: '' });
  });

  test('one Ctrl-C that comes twice, as through npm, is one; a later one ends it at once', async () => {
    let isLate = false;
    const end = await run(['--hang'], (line, child) => {
      // By two names, for two of one name may come as one.
      if (line === 'up') for (const signal of ['SIGINT', 'SIGTERM'] as const) child.kill(signal);
      if (line !== 'stopping') return;
      // Were it to end by the second, it would not be there for the third.
      void setTimeout(1500).then(() => {
        isLate = child.exitCode === null;
        child.kill('SIGTERM');
      });
    });
    expect({ isLate, code: end.code }).toEqual({ isLate: true, code: 128 + 15 });
  });
});

test('of a tool for those who work on it all is told of what failed', async () => {
  const lines: string[] = [];
  const { write } = process.stderr;
  process.stderr.write = (text) => lines.push(String(text)) > 0;
  try {
    const failing = () => Promise.reject(new Error('no cluster'));
    expect(await statusOf(failing, { help: 'the help', couldNot: 'measure' })).toBe(1);
    expect(lines.join('')).toMatch(/^could not measure: Error: no cluster\n\s+at /);
    expect(await statusOf(failing, { help: 'the help', signal: AbortSignal.abort() })).toBe(130);
    expect(await statusOf(async () => 7, { help: 'the help' })).toBe(7);
  } finally {
    process.stderr.write = write;
  }
  expect(() => readWords({ args: ['--no-such'], options: {} })).toThrow(UsageError);
});
