/**
 * The plug-in as one executable file, `kubectl-kubervisor`. It has no ending, for kubectl finds plug-ins by their names; so whether Node takes it
 * for a module hangs on the package.json of whatever folder it is copied to, and it is written so that it works either way.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/** What undici asks for. */
const NODE = [22, 19] as const;

const BANNER = `#!/usr/bin/env node
{
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < ${NODE[0]} || (major === ${NODE[0]} && minor < ${NODE[1]})) {
    console.error('Error: kubectl kubervisor needs Node ${NODE.join('.')} or newer; the "node" on PATH is ' + process.versions.node + '\\n  Next: install a current Node, or put it first on PATH');
    process.exit(1);
  }
}
var require = process.getBuiltinModule('node:module').createRequire(process.execPath);`;

export async function bundlePlugin(outfile: string): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'iife',
    conditions: ['source'],
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: BANNER },
    logLevel: 'warning',
  });
  await chmod(outfile, 0o755);
}

if (import.meta.main) await bundlePlugin(join(import.meta.dirname, 'dist/kubectl-kubervisor'));
