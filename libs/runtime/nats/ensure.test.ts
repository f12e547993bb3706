import { expect, test } from '@jest/globals';
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { STREAMS } from '@kubervisor/shared/events/subjects';
import { pino } from 'pino';
import { knowBucket } from './claims.ts';
import { tooOld } from './connection.ts';
import { bucketConfig, differences, ensureDeclared, streamConfig } from './ensure.ts';

test('a stream as declared, with what a server adds, differs in nothing', () => {
  for (const wanted of [...Object.values(STREAMS).map((declared) => streamConfig(declared, 1)), bucketConfig(1)])
    expect(differences(wanted, { ...wanted, max_consumers: -1, sealed: false })).toEqual({ fixed: [], changes: {} });
});

test('what can be changed is changed, what cannot is said', () => {
  const wanted = streamConfig(STREAMS.work, 3);
  const found = { ...wanted, storage: 'file', num_replicas: 1, max_age: 1 } as Partial<typeof wanted>;
  expect(differences(wanted, found)).toEqual({
    fixed: ['storage is file and must be memory'],
    changes: { num_replicas: 3, max_age: 30_000_000_000 },
  });
});

test('no duplicate window is longer than messages live: the server would refuse it', () => {
  for (const { duplicateWindowSeconds, maxAgeSeconds } of Object.values(STREAMS))
    expect(duplicateWindowSeconds).toBeLessThanOrEqual(maxAgeSeconds);
});

test('that the bucket was made is told also where the server goes away just after it', async () => {
  const made: string[] = [];
  const manager = {
    streams: {
      info: () =>
        Promise.reject(new JetStreamApiError({ code: 404, err_code: 10059, description: 'stream not found' })),
      add: async ({ name }: { name: string }) => {
        if (made.length > 0) throw new Error('timeout');
        made.push(name);
        return { created: 'now', config: bucketConfig(1) };
      },
    },
  } as unknown as JetStreamManager;
  const bucket = knowBucket();
  await expect(ensureDeclared(manager, 1, pino({ level: 'silent' }), bucket)).rejects.toThrow('timeout');
  expect({ made, told: bucket.takeForgotten() }).toEqual({ made: ['KV_kubervisor-claims'], told: true });
});

test.each([
  ['2.8.4', true],
  ['2.9.0', false],
  ['2.9.10', false],
  ['2.10.0-beta.1', false],
  ['2.15.2', false],
  ['3.0.0', false],
  ['1.4.1', true],
  // A version that cannot be read is no reason to refuse.
  ['', false],
  ['dev', false],
])('nats-server %s is too old: %s', (version, expected) => {
  expect(tooOld(version)).toBe(expected);
});
