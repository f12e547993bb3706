/** What is published: packed, laid into an empty directory beside what it declares and nothing else, and used from there. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { guardFolder, makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { BROKEN, serve } from './plugins.fixture.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const folder = makeFolder('package');
const guarded = guardFolder(folder);
const kit = join(folder, 'node_modules/@kubervisor/detector-kit');
let files: string[];

/** Where the workspace has a package, at the version that this one declares. */
function installed(name: string): string {
  const places = [import.meta.dirname, join(root, 'libs/shared'), root].map((at) => join(at, 'node_modules', name));
  const place = places.find((at) => existsSync(join(at, 'package.json')));
  if (place === undefined) throw new Error(`${name} is not installed`);
  return place;
}

function link(name: string): void {
  const at = join(folder, 'node_modules', name);
  mkdirSync(dirname(at), { recursive: true });
  symlinkSync(installed(name), at);
}

beforeAll(async () => {
  const env = { ...process.env, NODE_OPTIONS: '', npm_config_cache: join(folder, 'cache') };
  const options = { cwd: import.meta.dirname, env };
  const node = join(root, 'node_modules/.bin/node');
  await run(existsSync(node) ? node : process.execPath, ['--conditions=source', 'build.ts'], options);
  // --ignore-scripts: what prepack would do was done just now, on the Node of the workspace.
  const packed = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--offline', '--pack-destination', folder],
    options,
  );
  const described = Object.values(
    JSON.parse(packed.stdout) as Record<string, { filename: string; files: { path: string }[] }>,
  );
  files = described.flatMap((one) => one.files.map(({ path }) => path));
  mkdirSync(kit, { recursive: true });
  await run('tar', ['-xzf', join(folder, described[0]?.filename ?? ''), '-C', kit, '--strip-components=1']);
  const manifest = JSON.parse(readFileSync(join(kit, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  for (const name of Object.keys({ ...manifest['dependencies'], ...manifest['peerDependencies'] })) link(name);
  cpSync(join(root, 'examples/detector-typescript'), folder, { recursive: true });
}, 120_000);
afterAll(() => {
  guarded.release();
  removeFolder(folder);
});

test('holds what is built, and none of the sources', () => {
  expect(files).toEqual(
    expect.arrayContaining(['package.json', 'README.md', 'dist/index.js', 'dist/index.d.ts', 'dist/main.js']),
  );
  expect(files.filter((file) => !/^dist\/|^package\.json$|^README\.md$/.test(file))).toEqual([]);
  const code = files.filter((file) => file.endsWith('.js')).map((file) => readFileSync(join(kit, file), 'utf8'));
  expect(code.join('\n')).not.toMatch(/from "@kubervisor|require\(/);
});

test('detector-kit check runs, and finds what is broken', async () => {
  const { bin } = JSON.parse(readFileSync(join(kit, 'package.json'), 'utf8')) as { bin: Record<string, string> };
  const check = (url: string) => run(process.execPath, [join(kit, bin['detector-kit'] ?? ''), 'check', url]);
  const sound = await serve();
  expect((await check(sound.url)).stdout).toMatch(/keeps contract v1/);
  await sound.close();
  const broken = await serve(BROKEN[0]?.plugin());
  await expect(check(broken.url)).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('BROKEN health') });
  await broken.close();
});

test('the example runs on it as it stands, tests and all', async () => {
  const { stdout } = await run(process.execPath, ['--test', 'detector.spec.ts'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] } as NodeJS.ProcessEnv,
  });
  expect(stdout).toMatch(/pass 3/);
});

test('the types are there: the example compiles, and parameters and verdicts are checked', async () => {
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(installed('@types/node'), join(folder, 'node_modules/@types/node'));
  writeFileSync(
    join(folder, 'typed.ts'),
    `import { defineDetector } from '@kubervisor/detector-kit';
import * as z from 'zod';
defineDetector({
  name: 'typed',
  version: '1',
  parameters: z.strictObject({ limit: z.number() }),
  // @ts-expect-error: no such outcome
  evaluate: ({ pods, parameters }) => {
    const limit: number = parameters.limit;
    // @ts-expect-error: limit is no text
    const text: string = parameters.limit;
    // @ts-expect-error: there is no such parameter
    const other = parameters.limits;
    return pods.map(({ name, uid }) => ({ pod: name, uid, outcome: 'bad', limit, text, other }));
  },
});
`,
  );
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2024',
        types: ['node'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
      },
      include: ['*.ts'],
    }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const compiled = await run(process.execPath, [tsc, '-p', folder]).catch(
    (error: unknown) => error as { stdout: string },
  );
  expect(compiled.stdout).toBe('');
}, 120_000);
