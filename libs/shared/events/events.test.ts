import { describe, expect, test } from '@jest/globals';
import * as z from 'zod';
import { decodeEvent, defineEvent, encodeEvent } from './envelope.ts';
import { claimKey, CONSUMERS, factSubject, roundSubject, STREAMS, workSubject } from './subjects.ts';

const stamp = { id: 'r-1', source: '/kubervisor/test/0', time: Date.parse('2026-11-23T12:00:00Z') };
const type = defineEvent('test.thing', 1, z.object({ count: z.int() }));
const event = encodeEvent(type, 'shop/cart', { count: 3 }, stamp);

describe('CloudEvents 1.0, schema-checked at both ends', () => {
  test('what was encoded decodes', () => {
    const decoded = decodeEvent(type, JSON.stringify(event));
    expect(decoded).toEqual({ ok: true, event });
    expect(event).toMatchObject({
      specversion: '1.0',
      type: 'io.kubervisor.test.thing',
      dataschema: 'https://kubervisor.io/schemas/test.thing/v1',
      datacontenttype: 'application/json',
    });
  });
  test('data that break the schema are not sent', () => {
    expect(() => encodeEvent(type, 'shop/cart', { count: 1.5 }, stamp)).toThrow();
  });
  test.each([
    ['not JSON', 'password=hunter2', /^not JSON$/],
    ['no envelope', '{"hunter2":1}', /^not a CloudEvent/],
    ['another type', JSON.stringify({ ...event, type: 'io.kubervisor.other' }), /expected type/],
    [
      'another version',
      JSON.stringify({ ...event, dataschema: 'https://kubervisor.io/schemas/test.thing/v2' }),
      /expected dataschema/,
    ],
    ['other data', JSON.stringify({ ...event, data: { count: 'hunter2' } }), /^data: count: invalid_type$/],
  ])('W5: %s is poison, told without repeating it', (_, text, problem) => {
    const decoded = decodeEvent(type, text);
    expect(decoded).toEqual({ ok: false, problem: expect.stringMatching(problem) });
    expect(JSON.stringify(decoded)).not.toContain('hunter2');
  });
  test('an optional field more keeps the version: older readers pass over it', () => {
    expect(decodeEvent(type, JSON.stringify({ ...event, data: { count: 3, more: true } })).ok).toBe(true);
  });
});

describe('subjects', () => {
  const named = { namespace: 'shop', name: 'cart.v2.eu' };
  test('dots in a name become _, which Kubernetes names cannot hold', () => {
    expect(workSubject('evaluate', named)).toBe('kubervisor.work.evaluate.shop.cart_v2_eu');
    expect(roundSubject('activate', named)).toBe('kubervisor.round.activate.shop.cart_v2_eu');
    expect(factSubject('pod-broken', named)).toBe('kubervisor.fact.pod-broken.shop.cart_v2_eu');
    expect(claimKey('uid', 'evaluate')).toBe('uid.evaluate');
  });
  test('every stream: the duplicate window is at most the age of a message', () => {
    for (const { duplicateWindowSeconds, maxAgeSeconds } of Object.values(STREAMS))
      expect(duplicateWindowSeconds).toBeLessThanOrEqual(maxAgeSeconds);
  });
  test('W5: NATS delivers nothing twice by itself: acks are waited for longer than a message lives', () => {
    for (const { ackWaitSeconds } of Object.values(CONSUMERS))
      expect(ackWaitSeconds).toBeGreaterThan(STREAMS.work.maxAgeSeconds);
  });
});
