/** The demo and the sandbox as processes, as a person or a machine runs them; and that nothing of them is left, however they end. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { bundleServices, staleServices } from './services.ts';

jest.setTimeout(240_000);

const ROOT = resolve(import.meta.dirname, '../..');
let folder: string;
let started: ChildProcess[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kubervisor-test-'));
  started = [];
  await bundleServices(staleServices(), AbortSignal.timeout(120_000));
});
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  /** Resolves when stdout matches. */
  prints: (pattern: RegExp) => Promise<void>;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

const run = (...args: string[]): Run =>
  start(join(ROOT, 'node_modules/.bin/node'), ['--conditions=source', 'apps/sandbox/main.ts', ...args]);

/** Of a process group of its own, as a terminal starts it. */
function start(command: string, args: string[]): Run {
  const child = spawn(command, args, {
    cwd: ROOT,
    detached: true,
    // npm keeps compiled code of its own in the temporary folder.
    env: { ...process.env, TMPDIR: folder, NODE_OPTIONS: '', NODE_DISABLE_COMPILE_CACHE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let [stdout, stderr] = ['', ''];
  const heard: (() => void)[] = [];
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    heard.forEach((hear) => hear());
  });
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | string>((done) =>
    child.once('close', (code, signal) => done(code ?? signal ?? '')),
  );
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    prints: (pattern) =>
      new Promise((seen, failed) => {
        const hear = () => pattern.test(stdout) && seen();
        heard.push(hear);
        hear();
        void ended.then((how) => failed(new Error(`ended (${how}) before it printed ${pattern}:\n${stdout}${stderr}`)));
      }),
  };
}

/** Processes that name the folder in their arguments, or stand in it. */
function processesLeft(): string[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => {
    const pid = line.trim().split(' ', 1)[0] ?? '';
    let cwd = '';
    try {
      cwd = readlinkSync(`/proc/${pid}/cwd`);
    } catch {
      // Gone meanwhile, or not Linux.
    }
    return line.includes(folder) || cwd.startsWith(folder);
  });
}

async function nothingIsLeft(): Promise<void> {
  // The guards' last steps come a moment after the end.
  for (let tries = 0; tries < 100 && processesLeft().length + readdirSync(folder).length > 0; tries += 1)
    await delay(100);
  expect(processesLeft()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
}

test('--once --json: the story holds within a minute, exit 0, and nothing is left', async () => {
  const demo = run('demo', '--once', '--json');
  const code = await demo.ended;
  const report = JSON.parse(demo.stdout()) as {
    held: boolean;
    seconds: number;
    acts: { title: string; held: boolean; failure?: string }[];
    figures: { requests: number; badAnswers: number; outAfterSeconds: number; reason: string };
  };
  expect(report.acts.filter(({ held }) => !held)).toEqual([]);
  expect(report).toMatchObject({ held: true, figures: { reason: expect.stringMatching(/\d of \d bad/) } });
  expect(report.seconds).toBeLessThan(60);
  expect(report.figures.requests).toBeGreaterThan(report.figures.badAnswers);
  expect(report.figures.outAfterSeconds).toBeGreaterThan(0);
  expect(code).toBe(0);
  await nothingIsLeft();
});

test('Ctrl-C in the middle of the story: exit 130, nothing is left', async () => {
  const demo = run('demo');
  await demo.prints(/answers 500 from now on/);
  expect(processesLeft().length).toBeGreaterThanOrEqual(8);
  process.kill(-(demo.child.pid ?? 0), 'SIGINT');
  expect(await demo.ended).toBe(130);
  expect(demo.stderr()).toBe('');
  expect(demo.stdout()).toContain('cut short');
  await nothingIsLeft();
});

test('SIGTERM while it starts: nothing is left', async () => {
  const demo = run('demo');
  await demo.prints(/NATS/);
  demo.child.kill('SIGTERM');
  expect(await demo.ended).toBe(130);
  await nothingIsLeft();
});

test('SIGKILL: its children end, and its files go', async () => {
  const demo = run('demo');
  await demo.prints(/Act 1/);
  demo.child.kill('SIGKILL');
  expect(await demo.ended).toBe('SIGKILL');
  await nothingIsLeft();
});

test('the sandbox serves kubectl by the kubeconfig it wrote, says how services are started, and leaves nothing', async () => {
  const kubeconfig = join(folder, 'my kubeconfig');
  const sandbox = run('cluster', '--kubeconfig', kubeconfig);
  await sandbox.prints(/Ctrl-C ends/);
  const server = /Kubernetes API\s+(\S+)/.exec(sandbox.stdout())?.[1] ?? '';
  expect((await fetch(`${server}/version`)).status).toBe(200);
  const prometheus = /Prometheus\s+(\S+)/.exec(sandbox.stdout())?.[1] ?? '';
  expect((await fetch(`${prometheus}/-/ready`)).status).toBe(200);
  for (const service of ['detector', 'controller', 'breaker', 'activator'])
    expect(sandbox.stdout()).toContain(`npm start -w services/${service}`);
  expect(sandbox.stdout()).toContain(`export KUBECONFIG='${kubeconfig}'`);
  expect(readdirSync(folder)).toContain('my kubeconfig');
  process.kill(-(sandbox.child.pid ?? 0), 'SIGINT');
  expect(await sandbox.ended).toBe(0);
  await nothingIsLeft();
});

test('a signal to npm alone, which does not hand it on: nothing is left', async () => {
  const npm = start('npm', ['run', 'sandbox']);
  await npm.prints(/Ctrl-C ends/);
  npm.child.kill('SIGTERM');
  await npm.ended;
  await nothingIsLeft();
});

test.each([
  [['demo', '--kepp'], /--kepp/],
  [['demo', '--keep', '--json'], /--keep/],
  [['cluster', '--once'], /belong to the demo/],
  [['dmeo'], /the commands are demo, cluster and containers/],
])('%j: says what is wrong and what there is, exit 2', async (args, problem) => {
  const bad = run(...args);
  expect(await bad.ended).toBe(2);
  expect(bad.stderr()).toMatch(problem);
  expect(bad.stderr()).toContain('Usage: npm run demo');
});
