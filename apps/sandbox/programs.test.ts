import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Cleanup } from './cleanup.ts';
import { findPrograms } from './programs.ts';

const missing = ({ name }: { name: string }): string => {
  throw new Error(`${name} is not on PATH`);
};
const quiet = () => undefined;

test('what is missing is named all at once, with the next step', () => {
  const find = () => findPrograms(quiet, new Cleanup(), { find: missing, hasDocker: () => false });
  expect(find).toThrow(/nats-server is not on PATH\nprometheus is not on PATH\nInstall what is missing/);
  expect(find).toThrow(/apt-get install nats-server prometheus/);
});

test('where Docker is, it takes the place of what is missing: same arguments, same folder, gone at the end', async () => {
  const bin = mkdtempSync(join(tmpdir(), 'kubervisor-test-'));
  const cleanup = new Cleanup();
  try {
    writeFileSync(join(bin, 'docker'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const said: string[] = [];
    const programs = findPrograms((line) => said.push(line), cleanup, {
      find: (program) => (program.name === 'prometheus' ? '/usr/bin/prometheus' : missing(program)),
      hasDocker: () => true,
    });
    expect(programs.prometheus).toBe('/usr/bin/prometheus');
    expect(said).toEqual([expect.stringContaining('nats-server is not on PATH: running docker.io/library/nats')]);
    const ran = execFileSync(programs.natsServer, ['--config', '/a b/c'], {
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env['PATH']}` },
    });
    expect(ran).toMatch(/^run --rm --network host .*docker\.io\/library\/nats:\S+ --config \/a b\/c\n$/);
    expect(ran).toContain(`${tmpdir()}:${tmpdir()}`);
    await cleanup.run();
    expect(existsSync(programs.natsServer)).toBe(false);
  } finally {
    await cleanup.run();
    rmSync(bin, { recursive: true, force: true });
  }
});
