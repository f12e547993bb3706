/** The two servers that the demo does not bring along: on PATH, else installed, else out of Docker. */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardFolder, makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { findProgram, type Program } from '@kubervisor/testing/servers/install';
import type { Cleanup } from './cleanup.ts';

export interface Programs {
  natsServer: string;
  prometheus: string;
}

const WANTED: Record<keyof Programs, Program & { image: string }> = {
  natsServer: {
    name: 'nats-server',
    variable: 'NATS_SERVER',
    package: 'nats-server',
    image: 'docker.io/library/nats:2.12',
  },
  prometheus: {
    name: 'prometheus',
    variable: 'PROMETHEUS',
    package: 'prometheus',
    image: 'docker.io/prom/prometheus:v3.5.0',
  },
};

const NEXT_STEP = `Install what is missing, then run this again:
  Debian, Ubuntu   sudo apt-get install nats-server prometheus   (as root this is done for you)
  macOS            brew install nats-server prometheus
  Docker on Linux  start it; it is then used for what is missing
  by hand          https://github.com/nats-io/nats-server/releases  https://prometheus.io/download
                   and name them: NATS_SERVER=/path/nats-server PROMETHEUS=/path/prometheus`;

export interface ProgramPorts {
  find: (program: Program) => string;
  /** Whether containers can be run on this machine's own network. */
  hasDocker: () => boolean;
}

const ports: ProgramPorts = {
  find: findProgram,
  hasDocker: () =>
    process.platform === 'linux' && spawnSync('docker', ['version'], { stdio: 'ignore', timeout: 5000 }).status === 0,
};

/** Finds or fetches both. Throws one error that names all that is missing, and the next step. */
export function findPrograms(
  say: (line: string) => void,
  cleanup: Cleanup,
  { find, hasDocker }: ProgramPorts = ports,
): Programs {
  const problems: string[] = [];
  const path = (program: (typeof WANTED)[keyof Programs]): string => {
    try {
      return find(program);
    } catch (error) {
      if (!hasDocker()) {
        problems.push((error as Error).message);
        return '';
      }
      say(`${program.name} is not on PATH: running ${program.image} in Docker`);
      return inDocker(program, cleanup);
    }
  };
  const programs = { natsServer: path(WANTED.natsServer), prometheus: path(WANTED.prometheus) };
  if (problems.length > 0) throw new Error([...problems, NEXT_STEP].join('\n'));
  return programs;
}

/**
 * A script that takes the program's place. On the host's network, with the temporary folder where it is, the same arguments mean
 * the same inside; `docker run` hands signals on, and the container goes with its end.
 */
function inDocker({ name, image }: { name: string; image: string }, cleanup: Cleanup): string {
  const folder = makeFolder('docker');
  const guarded = guardFolder(folder);
  cleanup.add(() => {
    guarded.release();
    removeFolder(folder);
  });
  const script = join(folder, name);
  const shared = tmpdir();
  writeFileSync(
    script,
    `#!/bin/sh
exec docker run --rm --network host --user "$(id -u):$(id -g)" --volume '${shared}:${shared}' ${image} "$@"
`,
  );
  chmodSync(script, 0o700);
  return script;
}
