/**
 * Bundles our services. As a program: FOLDER/main.ts → FOLDER/dist/main.js, and beside it what runs in threads of its own (`*.worker.ts`), of the current folder or of those that are named, which is faster for
 * several, since what they share is read once. One file starts in 0.3 s; unbundled imports take a second and twice the memory.
 */
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { build, stop } from 'esbuild';

/** By the names of what is made of them. */
export const workersOf = (folder: string): [name: string, file: string][] =>
  globSync(`${folder}/{core,shell}/*.worker.ts`).map((file) => [basename(file, '.ts'), file]);

/** `entryPoints`: files by the names of what is made of them, without an ending, below `outdir`. `ending`: `.js` unless told. */
export async function bundle(entryPoints: Record<string, string>, outdir: string, ending = '.js'): Promise<void> {
  await build({
    entryPoints,
    outdir,
    outExtension: { '.js': ending },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    conditions: ['source'],
    sourcemap: true,
    // Some dependencies are CommonJS and call require() on node's own modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  // Its process would stay, with hundreds of MB of what it read.
  await stop();
}

if (import.meta.main) {
  const folders = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
  const entries = folders.flatMap((folder) =>
    [['main', `${folder}/main.ts`] as const, ...workersOf(folder)].map(([name, file]) => [
      `${folder}/dist/${name}`,
      file,
    ]),
  );
  await bundle(Object.fromEntries(entries) as Record<string, string>, '.');
}
