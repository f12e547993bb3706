/** What is released: one file that needs nothing beside it, an archive of it, and the manifest that krew takes. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { krewManifest, NO_CHECKSUM, RELEASES } from './krew.ts';
import { packPlugin } from './release.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Node 24 is a dependency of the workspace; the machine's may be older. */
const NODE = join(ROOT, 'node_modules/.bin/node');
const node = existsSync(NODE) ? NODE : process.execPath;
let folder: string;
let packed: Awaited<ReturnType<typeof packPlugin>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kubervisor-release-'));
  packed = await packPlugin(join(folder, 'one'), RELEASES);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

interface Krew {
  apiVersion: string;
  metadata: { name: string };
  spec: { version: string; platforms: { uri: string; sha256: string; bin: string; files: { from: string }[] }[] };
}

test('the manifest names the version, and the checksum of the very archive', () => {
  const manifest = parse(readFileSync(packed.manifest, 'utf8')) as Krew;
  const sha256 = createHash('sha256').update(readFileSync(packed.archive)).digest('hex');
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(manifest).toMatchObject({ metadata: { name: 'kubervisor' }, spec: { version: `v${version}` } });
  expect(manifest.spec.platforms).toHaveLength(4);
  for (const platform of manifest.spec.platforms) {
    expect(platform.sha256).toBe(sha256);
    expect(platform.uri).toBe(`${RELEASES}/v${version}/kubectl-kubervisor.tar.gz`);
    expect(platform.files.map(({ from }) => from)).toContain(platform.bin);
  }
  // What is kept beside the sources is the same but for it.
  const kept: unknown = parse(readFileSync(join(ROOT, 'deploy/krew/kubervisor.yaml'), 'utf8'));
  expect(kept).toEqual(krewManifest(NO_CHECKSUM, RELEASES));
});

test('the version of the plug-in is that of the project', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(packed.manifest && (parse(readFileSync(packed.manifest, 'utf8')) as Krew).spec.version).toBe(`v${version}`);
});

test('the archive holds one executable, and is the same whenever it is packed', async () => {
  const unpacked = join(folder, 'unpacked');
  mkdirSync(unpacked);
  execFileSync('tar', ['-xzf', packed.archive, '-C', unpacked]);
  expect(execFileSync('tar', ['-tzf', packed.archive], { encoding: 'utf8' }).trim()).toBe('kubectl-kubervisor');
  expect(statSync(join(unpacked, 'kubectl-kubervisor')).mode & 0o777).toBe(0o755);
  expect((await packPlugin(join(folder, 'two'), RELEASES)).sha256).toBe(packed.sha256);
}, 60_000);

test.each([
  ['nothing', undefined],
  ['modules', 'module'],
  ['CommonJS', 'commonjs'],
])(
  'it runs wherever it is copied to, whatever that folder’s package.json says: %s',
  (_, type) => {
    const place = mkdtempSync(join(folder, 'place-'));
    if (type !== undefined) writeFileSync(join(place, 'package.json'), JSON.stringify({ type }));
    execFileSync('tar', ['-xzf', packed.archive, '-C', place]);
    const said = execFileSync(node, [join(place, 'kubectl-kubervisor'), '--help'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {},
    });
    expect(said).toMatch(/^kubectl kubervisor \[COMMAND\]/);
  },
  30_000,
);
