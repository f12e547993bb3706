/** Finds the programs that tests start: named by a variable, on PATH, or fetched from the distribution's packages. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Program {
  /** As on PATH. */
  name: string;
  /** The variable that may hold the path of another. */
  variable: string;
  /** The package of Debian and Ubuntu. */
  package: string;
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Debian keeps some servers where a user's PATH does not look. */
const onPath = (name: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
    .map((folder) => join(folder, name))
    .find(isExecutable);

/** Where a program is that not everybody has, nor must: named by a variable, beside an API server's, or on PATH. */
export function lookForProgram({ name, variable }: Pick<Program, 'name' | 'variable'>): string | undefined {
  const given = [process.env[variable], process.env.KUBEBUILDER_ASSETS && join(process.env.KUBEBUILDER_ASSETS, name)];
  return given.find((path) => path !== undefined && path !== '' && isExecutable(path)) ?? onPath(name);
}

/** The program's path. Throws with the next step where there is no way to come by it. */
export function findProgram(program: Program): string {
  const given = process.env[program.variable];
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return given;
    throw new Error(`${program.variable}=${given} is not an executable file`);
  }
  return onPath(program.name) ?? install(program);
}

function install(program: Program): string {
  const missing = `${program.name} is not on PATH: install it, or name it in ${program.variable}`;
  if (process.getuid?.() !== 0 || onPath('apt-get') === undefined) throw new Error(missing);
  process.stderr.write(`${program.name} is not on PATH: installing the package ${program.package} with apt-get\n`);
  const apt = (...words: string[]) =>
    spawnSync('apt-get', words, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  const wanted = ['install', '-y', '--no-install-recommends', program.package];
  let result = apt(...wanted);
  // The lists of packages may be old or missing.
  if (result.status !== 0 && apt('update').status === 0) result = apt(...wanted);
  const found = onPath(program.name);
  if (result.status !== 0 || found === undefined)
    throw new Error(`${missing} (apt-get: ${result.stderr.trim().split('\n').at(-1) ?? ''})`);
  return found;
}
