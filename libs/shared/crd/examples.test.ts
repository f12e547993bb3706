/** Every manifest under examples/ is one that a user may apply as it stands. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { API_VERSION, KIND } from './kubervisor-service.ts';
import { resolveSpec } from './resolve.ts';
import { validateResource, warningsOf } from './validate.ts';

const FOLDER = join(import.meta.dirname, '../../../examples');
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: { selector?: Record<string, unknown> };
}
function manifestsOf(file: string, version: '1.1' | '1.2'): Manifest[] {
  const documents = parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8'), { version });
  return documents
    .map((document) => document.toJS() as Manifest & { items?: Manifest[] })
    .flatMap((manifest) => (manifest.kind === 'List' ? (manifest.items ?? []) : [manifest]));
}

describe('the examples', () => {
  test('there are some, of 2018 as well', () => {
    expect(files.length).toBeGreaterThanOrEqual(8);
    expect(files.filter((file) => file.startsWith('2018')).length).toBeGreaterThanOrEqual(4);
  });

  test('the least is ten lines', () => {
    expect(readFileSync(join(FOLDER, 'minimal.yaml'), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(10);
  });

  test('and it is the README’s', () => {
    const readme = readFileSync(join(FOLDER, '../README.md'), 'utf8');
    expect(readme).toContain(`\`\`\`yaml\n${readFileSync(join(FOLDER, 'minimal.yaml'), 'utf8')}\`\`\``);
  });

  describe.each(files)('%s', (file) => {
    const manifests = manifestsOf(file, '1.2');

    test('is valid and without a warning', () => {
      const resources = manifests.filter(({ kind }) => kind === KIND);
      expect(resources.length).toBeGreaterThan(0);
      for (const resource of resources) {
        expect(resource.apiVersion).toBe(API_VERSION);
        const validated = validateResource(resource);
        expect(validated).not.toHaveProperty('problems');
        if ('spec' in validated) expect(warningsOf(resolveSpec(validated.spec))).toEqual([]);
      }
    });

    test('has no field that would be pruned', () => {
      for (const { spec, kind, metadata } of manifests) {
        if (kind !== KIND) continue;
        const validated = validateResource({ metadata, spec });
        // What is stored holds all that was written, but for nulls.
        if ('spec' in validated)
          expect(validated.spec).toMatchObject(
            JSON.parse(JSON.stringify(spec, (_key, value: unknown) => value ?? undefined)) as object,
          );
      }
    });

    test('means the same to a reader of YAML 1.1: values such as yes are quoted', () => {
      expect(manifestsOf(file, '1.1')).toEqual(manifests);
    });
  });
});
