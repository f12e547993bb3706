/** The Docker engine of this machine, where there is one. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** Any image with Node 24 and npm. */
export const BASE_IMAGE = process.env['TEST_BASE_IMAGE'] || 'node:24-slim';

/** In the project's folder. `status`: null where there is no such program. */
export function docker(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('docker', words, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 });
  return { status, stdout: (stdout ?? '').trim(), stderr };
}
export const hasEngine = (): boolean => docker('info').status === 0;
export const hasImage = (image: string): boolean => docker('image', 'inspect', image).status === 0;
