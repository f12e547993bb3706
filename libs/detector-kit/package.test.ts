/**
 * What is published: packed, laid into an empty directory beside what it declares and nothing else, and used from there as the page
 * docs/detectors/write-your-own.md says.
 */
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { guardFolder, makeFolder, removeFolder, startChild, type Child } from '@kubervisor/testing/servers/child';
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
  // As npm does.
  mkdirSync(join(folder, 'node_modules/.bin'));
  symlinkSync('../@kubervisor/detector-kit/dist/main.js', join(folder, 'node_modules/.bin/detector-kit'));
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
  // What stands for a terminal in many a CI; it is none.
  const env = { ...process.env, CI: 'true', FORCE_COLOR: '1' };
  const check = (url: string) => run(process.execPath, [join(kit, bin['detector-kit'] ?? ''), 'check', url], { env });
  const sound = await serve();
  expect((await check(sound.url)).stdout).toMatch(/keeps contract v1/);
  await sound.close();
  const broken = await serve(BROKEN[0]?.plugin());
  const said = check(broken.url);
  await said.catch(() => undefined);
  await broken.close();
  await expect(said).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('BROKEN health') });
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

describe('docs/detectors/write-your-own.md', () => {
  const page = readFileSync(join(root, 'docs/detectors/write-your-own.md'), 'utf8');
  const blocks = [...page.matchAll(/(?:<!-- (\S+) -->\n\n)?```(\w+)\n(.*?)```/gs)].map(
    ([, file, language, text = '']) => ({
      file,
      language,
      text,
    }),
  );
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim());
  const hasCurl = spawnSync('curl', ['--version']).status === 0;

  test('begins with ten lines, and its code is that of the examples', () => {
    expect(blocks[0]?.text.trimEnd().split('\n').length).toBeLessThanOrEqual(10);
    const code = blocks.filter(({ language }) => language !== 'sh' && language !== 'text');
    expect(code.map(({ file }) => file)).toEqual([
      'examples/detector-typescript/detector.ts',
      'examples/detector-typescript/judge.ts',
      'examples/detector-typescript/detector.spec.ts',
      'examples/detector-typescript/Dockerfile',
      'examples/detector-typescript/plugin.yaml',
      'examples/detector-python/detector.py',
    ]);
    for (const { file = '', text } of code) expect(text).toBe(readFileSync(join(root, file), 'utf8'));
  });

  test('what the check prints of a broken plug-in is what it prints', async () => {
    const served = await serve(BROKEN.find(({ what }) => what === 'reads 100 KiB')?.plugin());
    const { stdout } = await run(process.execPath, [join(kit, 'dist/main.js'), 'check', served.url]).catch(
      (error: unknown) => error as { stdout: string },
    );
    await served.close();
    const shown = blocks
      .find(({ language }) => language === 'text')
      ?.text.split('\n')
      .filter((line) => line.trim() !== '');
    expect(shown).toHaveLength(5);
    for (const line of shown ?? [])
      expect(stdout).toContain(line.replace(/…$/, '').replace('without content-type', ''));
  });

  describe('its commands', () => {
    let child: Child;
    let place: string;
    /** On a port that is free here. */
    const shell = (command: string | undefined) =>
      run('sh', ['-ec', command?.replaceAll('127.0.0.1:8080', place) ?? 'exit 1'], { cwd: folder, env });
    const path = [join(root, 'node_modules/.bin'), process.env['PATH']].join(':');
    const env = {
      PATH: path,
      HOME: folder,
      npm_config_offline: 'true',
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: '0',
    } as NodeJS.ProcessEnv;
    beforeAll(async () => {
      const [node = '', ...args] = (commands[1] ?? '').split(' ');
      child = await startChild({ command: node, args, ready: [/"url":"http:\/\/([^"]+)"/], env }, folder);
      place = child.matches[0]?.[1] ?? '';
    });
    afterAll(() => child?.end());

    test('are these: the first is what the package was put there for, those of images and clusters are tried where there are some', () => {
      expect(commands.map((command) => command.split('\n')[0]?.split(' ').slice(0, 3).join(' '))).toEqual([
        'npm init --yes',
        'node detector.ts',
        'curl -s http://127.0.0.1:8080/v1/verdicts',
        'node --test detector.spec.ts',
        'npx @kubervisor/detector-kit check',
        'docker build --tag',
        'kubectl apply -f',
        'python3 detector.py',
      ]);
    });

    (hasCurl ? test : test.skip)('curl (skipped where there is none): a verdict', async () => {
      const { verdicts } = JSON.parse((await shell(commands[2])).stdout) as { verdicts: object[] };
      expect(verdicts).toMatchObject([{ pod: 'cart-7d9-x', uid: 'u1', outcome: 'anomalous', limit: 24 }]);
    });

    test('its tests pass', async () => {
      expect((await shell(commands[3])).stdout).toMatch(/pass 3/);
    });

    test('npx finds the check, and the plug-in keeps the contract', async () => {
      expect((await shell(commands[4])).stdout).toContain('max-age 1.0.0 keeps contract v1: 25 held, 0 broken');
    });
  });
});

describe.each([
  ['detector-typescript', /"msg":"started"/],
  ['detector-python', /listening on/],
] as const)('the image of %s', (name, ready) => {
  const lines = readFileSync(join(root, 'examples', name, 'Dockerfile'), 'utf8').split('\n');
  const command = JSON.parse(lines.find((line) => line.startsWith('CMD '))?.slice(4) ?? '[]') as string[];
  const isThere = spawnSync(command[0] ?? '', ['--version']).status === 0;

  (isThere ? test : test.skip)(
    'has all the files that its command needs (skipped where the command is not at hand)',
    async () => {
      const image = makeFolder('image');
      symlinkSync(join(folder, 'node_modules'), join(image, 'node_modules'));
      for (const line of lines.filter((one) => one.startsWith('COPY '))) {
        const files = line.split(' ').slice(1, -1);
        for (const file of files) cpSync(join(root, 'examples', name, file), join(image, file));
      }
      const PATH = [join(root, 'node_modules/.bin'), process.env['PATH']].join(':');
      const env = { PATH, HTTP_HOST: '127.0.0.1', HTTP_PORT: '0' } as NodeJS.ProcessEnv;
      const child = await startChild({ command: command[0] ?? '', args: command.slice(1), ready: [ready], env }, image);
      await child.end();
      removeFolder(image);
    },
  );
});
