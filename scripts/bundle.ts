/**
 * Bundles our services. As a program: FOLDER/main.ts → FOLDER/dist/main.js, of the current folder or of those that are named, which is faster for
 * several, since what they share is read once. One file starts in 0.3 s; unbundled imports take a second and twice the memory.
 */
import { build } from 'esbuild';

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
}

if (import.meta.main) {
  const folders = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
  await bundle(Object.fromEntries(folders.map((folder) => [`${folder}/dist/main`, `${folder}/main.ts`])), '.');
}
