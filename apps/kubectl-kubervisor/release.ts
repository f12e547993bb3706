/**
 * `npm run release`: the file, the archive of it that krew fetches, and the manifest with the archive's checksum, all into dist/. The same
 * file gives the same archive, whoever packs it and when. RELEASES_URL: where the archive will be.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { bundlePlugin } from './bundle.ts';
import { ARCHIVE, krewManifest, RELEASES } from './krew.ts';

const FILE = 'kubectl-kubervisor';
/** Nothing in it that tells of this machine or this moment. */
const REPRODUCIBLE = ['--owner=0', '--group=0', '--numeric-owner', '--mode=0755', '--mtime=@0', '--format=ustar'];

export async function packPlugin(
  folder: string,
  releases: string,
): Promise<{ archive: string; manifest: string; sha256: string }> {
  mkdirSync(folder, { recursive: true });
  await bundlePlugin(join(folder, FILE));
  const tar = execFileSync('tar', ['-c', ...REPRODUCIBLE, '-C', folder, FILE], { maxBuffer: 256 * 1024 * 1024 });
  const bytes = gzipSync(tar, { level: 9 });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const archive = join(folder, ARCHIVE);
  const manifest = join(folder, 'kubervisor.yaml');
  writeFileSync(archive, bytes);
  writeFileSync(manifest, stringify(krewManifest(sha256, releases), { lineWidth: 120 }));
  return { archive, manifest, sha256 };
}

if (import.meta.main) {
  const { archive, manifest, sha256 } = await packPlugin(
    join(import.meta.dirname, 'dist'),
    process.env['RELEASES_URL'] ?? RELEASES,
  );
  console.log(`${archive}\n${manifest}\nsha256 ${sha256}`);
}
