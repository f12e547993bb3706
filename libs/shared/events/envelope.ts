/** CloudEvents 1.0, JSON structured mode: the envelope of all that travels over NATS. */
import * as z from 'zod';

export const EVENT_TYPE_PREFIX = 'io.kubervisor.';

export interface EventType<Schema extends z.ZodType = z.ZodType> {
  /** Without the prefix: `work.evaluate`, `round.evaluate`, `fact.pod-broken`. */
  readonly name: string;
  /** An optional field keeps the version; anything else is a new one beside the old. */
  readonly version: number;
  readonly data: Schema;
}

export interface CloudEvent<Data = unknown> {
  specversion: '1.0';
  id: string;
  /** `/kubervisor/<service>/<instance>`. */
  source: string;
  type: string;
  /** `<namespace>/<name>` of the KubervisorService. */
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  dataschema: string;
  data: Data;
}

const envelope = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(512),
  source: z.string().min(1).max(512),
  type: z.string().min(1).max(128),
  subject: z.string().max(512),
  time: z.iso.datetime({ offset: true }),
  datacontenttype: z.literal('application/json'),
  dataschema: z.string().max(256),
  data: z.unknown(),
});

export const typeOf = (type: EventType): string => EVENT_TYPE_PREFIX + type.name;
export const dataschemaOf = (type: EventType): string => `https://kubervisor.io/schemas/${type.name}/v${type.version}`;

export function defineEvent<Schema extends z.ZodType>(name: string, version: number, data: Schema): EventType<Schema> {
  return { name, version, data };
}

/** Where an event comes from and when: given by the shell. */
export interface Stamp {
  id: string;
  source: string;
  /** Milliseconds since 1970. */
  time: number;
}

/** Throws a ZodError where the data breaks its own schema: a bug of the sender's, better found there than at the other end. */
export function encodeEvent<Schema extends z.ZodType>(
  type: EventType<Schema>,
  subject: string,
  data: z.input<Schema>,
  stamp: Stamp,
): CloudEvent<z.output<Schema>> {
  return {
    specversion: '1.0',
    id: stamp.id,
    source: stamp.source,
    type: typeOf(type),
    subject,
    time: new Date(stamp.time).toISOString(),
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    data: type.data.parse(data),
  };
}

export type Decoded<Data> = { ok: true; event: CloudEvent<Data> } | { ok: false; problem: string };

/** Never throws: what does not parse is poison (W5), and the problem names the field but repeats no foreign text. */
export function decodeEvent<Schema extends z.ZodType>(
  type: EventType<Schema>,
  text: string,
): Decoded<z.output<Schema>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problem: 'not JSON' };
  }
  const outer = envelope.safeParse(json);
  if (!outer.success) return { ok: false, problem: `not a CloudEvent: ${problemOf(outer.error)}` };
  if (outer.data.type !== typeOf(type)) return { ok: false, problem: `expected type ${typeOf(type)}` };
  if (outer.data.dataschema !== dataschemaOf(type))
    return { ok: false, problem: `expected dataschema ${dataschemaOf(type)}` };
  const data = type.data.safeParse(outer.data.data);
  if (!data.success) return { ok: false, problem: `data: ${problemOf(data.error)}` };
  return { ok: true, event: { ...outer.data, data: data.data } };
}

const problemOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.code}`)
    .join('; ');
