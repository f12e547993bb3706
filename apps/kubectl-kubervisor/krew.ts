/** The manifest by which krew installs the plug-in. The checksum is that of the archive, so only whoever packs it knows it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS, type CommandName } from './commands.ts';

export const ARCHIVE = 'kubectl-kubervisor.tar.gz';
/** Of the manifest that is kept beside the sources: no archive has it. */
export const NO_CHECKSUM = '0'.repeat(64);
/** It is a script of Node's: the same file everywhere but on Windows, which runs no file by its first line. */
const PLATFORMS = ['linux', 'darwin'].flatMap((os) => ['amd64', 'arm64'].map((arch) => ({ os, arch })));

/** `releases`: where the archives of releases are, one folder a version. */
export function krewManifest(sha256: string, releases: string): object {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')) as { version: string };
  const version = `v${manifest.version}`;
  const summaries = (Object.keys(COMMANDS) as CommandName[]).map((name) => `  ${name}: ${COMMANDS[name].summary}`);
  return {
    apiVersion: 'krew.googlecontainertools.github.com/v1alpha2',
    kind: 'Plugin',
    metadata: { name: 'kubervisor' },
    spec: {
      version,
      homepage: 'https://kubervisor.io',
      shortDescription: 'See and steer which pods get traffic',
      description: [
        'Kubervisor takes the pods of a Service whose own figures are bad out of traffic, never below a floor, and brings them back.',
        'The plug-in says who is out, why and until when, and holds the switches:',
        ...summaries,
        '',
      ].join('\n'),
      caveats: 'Needs Node 22.19 or newer on PATH, and Kubervisor in the cluster.\n',
      platforms: PLATFORMS.map((matchLabels) => ({
        selector: { matchLabels },
        uri: `${releases}/${version}/${ARCHIVE}`,
        sha256,
        bin: 'kubectl-kubervisor',
        files: [{ from: 'kubectl-kubervisor', to: '.' }],
      })),
    },
  };
}

export const RELEASES = 'https://kubervisor.io/releases';
