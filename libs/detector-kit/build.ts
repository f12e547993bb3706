/**
 * dist/ of the published package: what comes from other workspaces, which are not published, is bundled into it, code by esbuild and types
 * by the compiler; what package.json names stays outside.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import ts from 'typescript';

const here = import.meta.dirname;
const workspace = resolve(here, '../..');
const dist = join(here, 'dist');
const published = ['index', 'testing'];
/** What of other workspaces the published types speak of. */
const inlined = ['libs/shared/detection/contract'];

const { dependencies, peerDependencies } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8')) as Record<
  'dependencies' | 'peerDependencies',
  Record<string, string>
>;

await rm(dist, { recursive: true, force: true });
await build({
  entryPoints: [...published, 'main'].map((name) => join(here, `${name}.ts`)),
  outdir: dist,
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  conditions: ['source'],
  external: Object.keys({ ...dependencies, ...peerDependencies }),
  logLevel: 'warning',
});
await writeTypes();

/** The declarations that the published ones reach, each file on its own. */
async function writeTypes(): Promise<void> {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(workspace, 'tsconfig.json'),
    { noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: workspace, outDir: workspace },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (problem) => fail(problem.messageText) },
  );
  const program = ts.createProgram(
    [...published.map((name) => join(here, name)), ...inlined.map((name) => join(workspace, name))].map(
      (file) => `${file}.ts`,
    ),
    config?.options ?? {},
  );
  const declarations = new Map<string, string>();
  program.emit(undefined, (file, text) => void declarations.set(relative(workspace, file), text), undefined, true);

  const placed = new Map<string, string>();
  const place = (file: string, at: string): void => {
    if (placed.has(at)) return;
    placed.set(at, '');
    const text = declarations.get(`${file}.d.ts`) ?? fail(`${file} has no declaration`);
    const link = (quote: string, specifier: string): string => {
      const target = specifier.startsWith('.')
        ? join(dirname(file), specifier).replace(/\.ts$/, '')
        : specifier.replace(/^@kubervisor\//, 'libs/');
      if (target === specifier) return quote + specifier;
      const to = target.startsWith('libs/detector-kit/') ? target.slice('libs/detector-kit/'.length) : target;
      place(target, to);
      const path = relative(dirname(at), to);
      return `${quote}${path.startsWith('.') ? '' : './'}${path}.js`;
    };
    placed.set(
      at,
      text.replace(/((?:from|import\() ?['"])([^'"]+)/g, (_all, quote: string, path: string) => link(quote, path)),
    );
  };
  for (const name of published) place(`libs/detector-kit/${name}`, name);
  for (const [at, text] of placed) {
    await mkdir(dirname(join(dist, at)), { recursive: true });
    await writeFile(join(dist, `${at}.d.ts`), text);
  }
}

function fail(message: unknown): never {
  throw new Error(`the types could not be written: ${String(message)}`);
}
