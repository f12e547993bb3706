/** A small plug-in that keeps contract v1, and one for each way of breaking it. Nothing of the kit is in them: they are what others write. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Verdict, VerdictRequest } from '@kubervisor/shared/detection/contract';
import type { ObligationName } from './core/obligations.ts';

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}
/** Writes the answer itself, or not at all. */
type Act = (response: ServerResponse) => void;
type Answers = Reply | Act | Promise<Reply>;

export interface Plugin {
  health(): Answers;
  info(): Answers;
  /** `body` as it came. */
  verdicts(body: string): Answers;
}

const json = (value: unknown, status = 200): Reply => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(value),
});
const INFO = {
  name: 'sound',
  version: '1',
  parameters: { type: 'object', properties: { limit: { type: 'number' } }, additionalProperties: false },
};
const refused = json({ error: 'no' }, 400);

function parse(body: string): VerdictRequest | undefined {
  try {
    const request = JSON.parse(body) as VerdictRequest;
    const { limit = 1, ...others } = request.parameters as { limit?: unknown };
    const isSound =
      request.apiVersion === 'detector.kubervisor.io/v1' &&
      Array.isArray(request.pods) &&
      typeof limit === 'number' &&
      Object.keys(others).length === 0;
    return isSound ? request : undefined;
  } catch {
    return undefined;
  }
}
const verdictsOf = ({ pods }: VerdictRequest): Verdict[] =>
  pods.map(({ name, uid }) => ({ pod: name, uid, outcome: 'ok', score: 0.5, reason: 'as it should be' }));

/** Sound but for the answer to questions that it understands. */
const answering = (answer: (request: VerdictRequest, body: string) => Answers): Pick<Plugin, 'verdicts'> => ({
  verdicts(body) {
    const request = parse(body);
    return request === undefined ? refused : answer(request, body);
  },
});
/** Sound but for the first of its verdicts. */
const saying = (change: (verdict: Verdict) => object): Pick<Plugin, 'verdicts'> =>
  answering((request) => {
    const [first, ...others] = verdictsOf(request);
    return json({ verdicts: [...(first ? [change(first)] : []), ...others] });
  });

export const SOUND: Plugin = {
  health: () => ({ body: 'fine' }),
  info: () => json(INFO),
  ...answering((request) => json({ verdicts: verdictsOf(request) })),
};

const HUGE = 9 * 1024 * 1024;
const never: Act = () => undefined;
const hangUp: Act = (response) => void response.destroy();

interface Broken {
  what: string;
  breaks: ObligationName;
  /** Made anew for each who asks: some remember. */
  plugin: () => Partial<Plugin>;
  /** It waits for what never comes: who asks should not wait long. */
  isLate?: true;
}
const broken = (what: string, breaks: ObligationName, plugin: Partial<Plugin> | (() => Partial<Plugin>)): Broken => ({
  what,
  breaks,
  plugin: typeof plugin === 'function' ? plugin : () => plugin,
});

export const BROKEN: readonly Broken[] = [
  broken('has no /healthz', 'health', { health: () => ({ status: 404 }) }),
  broken('is unwell', 'health', { health: () => ({ status: 500 }) }),
  broken('has no /v1/info', 'info', { info: () => ({ status: 404 }) }),
  broken('sends /v1/info elsewhere', 'info', { info: () => ({ status: 302, headers: { location: '/info' } }) }),
  broken('hangs up on /v1/info', 'info', { info: () => hangUp }),
  broken('says too much of itself', 'info', { info: () => json({ ...INFO, more: 'x'.repeat(300_000) }) }),
  broken('says of itself text/html', 'info', {
    info: () => ({ headers: { 'content-type': 'text/html' }, body: JSON.stringify(INFO) }),
  }),
  broken('has a page for /v1/info', 'info-shape', { info: () => ({ ...json(0), body: '<html>' }) }),
  broken('has no version', 'info-shape', { info: () => json({ ...INFO, version: undefined }) }),
  broken('has a number as version', 'info-shape', { info: () => json({ ...INFO, version: 1 }) }),
  broken('has a list as schema', 'info-shape', { info: () => json({ ...INFO, parameters: [] }) }),
  broken('has a schema of no such type', 'info-schema', {
    info: () => json({ ...INFO, parameters: { type: 'figure' } }),
  }),
  broken('has a schema that lies elsewhere', 'info-schema', {
    info: () => json({ ...INFO, parameters: { $ref: 'https://example.com/schema.json' } }),
  }),
  broken(
    'answers 500 with verdicts',
    'status',
    answering((request) => json({ verdicts: verdictsOf(request) }, 500)),
  ),
  broken('has no /v1/verdicts', 'status', { verdicts: () => ({ status: 404 }) }),
  broken('sends the question elsewhere', 'status', {
    verdicts: () => ({ status: 307, headers: { location: '/elsewhere' } }),
  }),
  broken('hangs up', 'status', { verdicts: () => hangUp }),
  {
    ...broken(
      'never answers',
      'in-time',
      answering(() => never),
    ),
    isLate: true,
  },
  {
    ...broken(
      'answers drop by drop',
      'in-time',
      answering(() => (response) => {
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      }),
    ),
    isLate: true,
  },
  broken(
    'answers more than is read',
    'size',
    answering((request) => json({ verdicts: verdictsOf(request), samples: 'x'.repeat(HUGE) })),
  ),
  broken(
    'says text/plain',
    'content-type',
    answering((request) => ({ ...json({ verdicts: verdictsOf(request) }), headers: { 'content-type': 'text/plain' } })),
  ),
  broken(
    'says no type',
    'content-type',
    answering((request) => ({ body: JSON.stringify({ verdicts: verdictsOf(request) }) })),
  ),
  broken(
    'answers nothing',
    'shape',
    answering(() => ({ ...json(0), body: '' })),
  ),
  broken(
    'answers a list',
    'shape',
    answering((request) => json(verdictsOf(request))),
  ),
  broken(
    'answers names',
    'shape',
    answering(({ pods }) => json({ verdicts: pods.map(({ name }) => name) })),
  ),
  broken(
    'compresses unasked',
    'shape',
    answering((request) => ({
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(JSON.stringify({ verdicts: verdictsOf(request) })),
    })),
  ),
  broken(
    'begins with a byte order mark',
    'shape',
    answering((request) => ({ ...json(0), body: `\ufeff${JSON.stringify({ verdicts: verdictsOf(request) })}` })),
  ),
  broken(
    'knows another outcome',
    'shape',
    saying((one) => ({ ...one, outcome: 'bad' })),
  ),
  broken(
    'gives no outcome',
    'shape',
    saying((one) => ({ ...one, outcome: undefined })),
  ),
  broken(
    'gives null for what it does not know',
    'shape',
    saying((one) => ({ ...one, observed: null })),
  ),
  broken(
    'gives a score below 0',
    'shape',
    saying((one) => ({ ...one, score: -0.1 })),
  ),
  broken(
    'gives a score as text',
    'shape',
    saying((one) => ({ ...one, score: '2' })),
  ),
  broken(
    'gives a reason that is an essay',
    'shape',
    saying((one) => ({ ...one, reason: 'x'.repeat(513) })),
  ),
  broken(
    'gives NaN as score',
    'shape',
    answering((request) => ({
      ...json(0),
      body: JSON.stringify({ verdicts: verdictsOf(request) }).replace('0.5', 'NaN'),
    })),
  ),
  broken(
    'judges a stranger',
    'asked-pods',
    saying((one) => ({ ...one, pod: 'stranger' })),
  ),
  broken(
    'has an old uid',
    'uid',
    saying((one) => ({ ...one, uid: 'of-yesterday' })),
  ),
  broken(
    'judges a pod twice',
    'one-verdict',
    answering((request) => json({ verdicts: [...verdictsOf(request), ...verdictsOf(request).slice(0, 1)] })),
  ),
  broken('answers an evaluation once', 'asked-again', () => {
    const seen = new Set<string>();
    return answering((request) => {
      // After the second it has forgotten.
      if (request.evaluationId.endsWith('cart') && seen.size === 1 && !seen.has('again')) {
        seen.add('again');
        return json({ status: 'known' });
      }
      seen.add('first');
      return json({ verdicts: verdictsOf(request) });
    });
  }),
  broken(
    'needs an address',
    'fewest-fields',
    answering((request) =>
      request.pods.some(({ ip }) => ip === undefined) ? json({}, 500) : json({ verdicts: verdictsOf(request) }),
    ),
  ),
  broken(
    'knows all fields',
    'unknown-fields',
    answering((request, body) => (body.includes('addedLater') ? refused : json({ verdicts: verdictsOf(request) }))),
  ),
  broken(
    'compares with the others',
    'one-pod',
    answering((request) => (request.pods.length === 1 ? json({}, 500) : json({ verdicts: verdictsOf(request) }))),
  ),
  broken(
    'reads 100 KiB',
    'large-fleet',
    answering((request, body) => (body.length > 102_400 ? json({}, 413) : json({ verdicts: verdictsOf(request) }))),
  ),
  broken('remembers one question', 'at-once', () => {
    let waiting: (() => void)[] = [];
    let last: VerdictRequest;
    return answering((request) => {
      last = request;
      if (!request.service.name.startsWith('fleet')) return json({ verdicts: verdictsOf(request) });
      // Two are there before one is answered.
      return new Promise((resolve) => {
        waiting.push(() => resolve(json({ verdicts: verdictsOf(last) })));
        if (waiting.length < 2) return;
        for (const answer of waiting) answer();
        waiting = [];
      });
    });
  }),
  broken('answers nonsense', 'refuses-nonsense', {
    verdicts: (body) => (body.endsWith('}') ? SOUND.verdicts(body) : json({ verdicts: [] })),
  }),
  broken('dies of nonsense', 'refuses-nonsense', {
    verdicts: (body) => (body.endsWith('}') ? SOUND.verdicts(body) : hangUp),
  }),
  broken('answers about nobody', 'refuses-other-shape', {
    verdicts: (body) =>
      body.endsWith('}') && !body.includes('"pods"') ? json({ verdicts: [] }) : SOUND.verdicts(body),
  }),
  broken('answers any version', 'refuses-other-version', {
    verdicts: (body) => SOUND.verdicts(body.replace('kubervisor.io/v999', 'kubervisor.io/v1')),
  }),
  broken('does not recover from a refusal', 'still-answers', () => {
    let isWell = true;
    return {
      verdicts(body) {
        isWell &&= parse(body) !== undefined;
        return isWell ? SOUND.verdicts(body) : json({}, 500);
      },
    };
  }),
];

/** What only should be otherwise. */
export const ODD: readonly Broken[] = [
  broken(
    'gives a reason of two lines',
    'one-line',
    saying((one) => ({ ...one, reason: 'bad\nvery' })),
  ),
  broken('takes any parameters', 'refuses-parameters', {
    verdicts(body) {
      const request = body.endsWith('}') ? (JSON.parse(body) as object) : undefined;
      return SOUND.verdicts(request ? JSON.stringify({ ...request, parameters: {} }) : body);
    },
  }),
];

export interface Served {
  url: string;
  close(): Promise<void>;
}

export async function serve(change: Partial<Plugin> = {}): Promise<Served> {
  const plugin = { ...SOUND, ...change };
  const server = createServer((request, response) => void respond(plugin, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function respond(plugin: Plugin, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  try {
    for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
  } catch {
    return;
  }
  const answers = (): Answers => {
    switch (`${request.method} ${request.url}`) {
      case 'GET /healthz':
        return plugin.health();
      case 'GET /v1/info':
        return plugin.info();
      case 'POST /v1/verdicts':
        return plugin.verdicts(body);
      default:
        return { status: 404 };
    }
  };
  const answer = await answers();
  if (typeof answer === 'function') return answer(response);
  response.writeHead(answer.status ?? 200, answer.headers ?? {}).end(answer.body ?? '');
}
