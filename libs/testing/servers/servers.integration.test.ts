import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync, chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { makeFolder, startChild } from './child.ts';
import { findProgram } from './install.ts';
import { startNats } from './nats.ts';
import { startPrometheus } from './prometheus.ts';

/** Whether the process runs; one that has ended and was not collected yet does not. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
async function eventually(look: () => boolean): Promise<void> {
  for (let looks = 0; looks < 250; looks++) {
    if (look()) return;
    await sleep(20);
  }
  throw new Error('it did not become so');
}

describe('nats-server', () => {
  test('keeps its port over restarts, its files unless wiped, and leaves nothing', async () => {
    const nats = await startNats();
    const { pid, dir, port } = nats;
    expect(nats.url).toBe(`nats://127.0.0.1:${port}`);
    const stored = join(dir, 'store', 'kept');
    writeFileSync(stored, '');
    await nats.restart();
    expect(nats.pid).not.toBe(pid);
    expect(existsSync(stored)).toBe(true);
    await nats.kill();
    expect(runs(nats.pid)).toBe(false);
    await nats.restart({ wipe: true });
    expect(existsSync(stored)).toBe(false);
    nats.freeze();
    await nats.stop();
    expect(runs(nats.pid)).toBe(false);
    expect(existsSync(dir)).toBe(false);
  });

  test('a configuration it refuses is told with its own words, and leaves nothing', async () => {
    await expect(startNats({ config: 'no_such_setting: 1' })).rejects.toThrow(/ended early[^]*no_such_setting/);
  });

  test('ends, folder and all, when the test process is killed', async () => {
    const script = `
      const { startNats } = await import(${JSON.stringify(new URL('nats.ts', import.meta.url).href)});
      const { pid, dir } = await startNats();
      console.log(JSON.stringify({ pid, dir }));
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--conditions=source', '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const line = await new Promise<string>((resolve) => createInterface(owner.stdout).once('line', resolve));
    const { pid, dir } = JSON.parse(line) as { pid: number; dir: string };
    expect(runs(pid)).toBe(true);
    owner.kill('SIGKILL');
    await eventually(() => !runs(pid) && !existsSync(dir));
  });
});

test('Prometheus scrapes the targets it is given, and others after a reload', async () => {
  const app = createServer((_request, response) => response.end('answers 42\n'));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(app.address() as AddressInfo).port}`;
  const prometheus = await startPrometheus({ scrapeTargets: [{ address, labels: { pod: 'cart-1' } }] });
  try {
    const pods = async (): Promise<string[]> => {
      const answer = (await (await fetch(`${prometheus.url}/api/v1/query?query=answers`)).json()) as {
        data: { result: { metric: { pod: string }; value: [number, string] }[] };
      };
      return answer.data.result.filter(({ value }) => value[1] === '42').map(({ metric }) => metric.pod);
    };
    const scraped = async (wanted: string): Promise<void> => {
      for (let looks = 0; looks < 100; looks++) {
        if ((await pods()).includes(wanted)) return;
        await sleep(100);
      }
      throw new Error(`${wanted} was not scraped`);
    };
    await scraped('cart-1');
    await prometheus.reload({ scrapeTargets: [{ address, labels: { pod: 'cart-2' } }] });
    await scraped('cart-2');
    await expect(prometheus.reload({ configYaml: 'scrape_configs: 7' })).rejects.toThrow('did not reload');
  } finally {
    await prometheus.stop();
    await new Promise((resolve) => app.close(resolve));
  }
  expect(runs(prometheus.pid)).toBe(false);
  expect(existsSync(prometheus.dir)).toBe(false);
});

describe('programs', () => {
  const variable = 'KUBERVISOR_TEST_PROGRAM';
  test('one that a variable names is taken, if it can be run', () => {
    const folder = makeFolder('program');
    const file = join(folder, 'program');
    writeFileSync(file, '');
    process.env[variable] = file;
    try {
      const find = () => findProgram({ name: 'no-such-program', variable, package: 'no-such-package' });
      expect(find).toThrow(`${variable}=${file} is not an executable file`);
      chmodSync(file, 0o755);
      expect(find()).toBe(file);
    } finally {
      delete process.env[variable];
      rmSync(folder, { recursive: true });
    }
  });

  test('one that does not become ready in time is ended, and its last lines are told', async () => {
    const folder = makeFolder('program');
    const args = ['-c', 'echo $$; exec sleep 60'];
    const starting = startChild({ command: 'sh', args, ready: [/never/], timeoutMilliseconds: 200 }, folder);
    const message = await starting.then(
      () => '',
      (error: Error) => error.message,
    );
    expect(message).toContain('was not ready in 200 ms');
    expect(runs(Number(message.split('\n').at(-1)))).toBe(false);
    rmSync(folder, { recursive: true, force: true });
  });
});
