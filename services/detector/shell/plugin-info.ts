/**
 * What a plug-in says of itself (`GET /v1/info`), to check the parameters of a resource before the plug-in is asked for verdicts. Only a
 * mismatch is an error: where the plug-in cannot tell its schema, it is asked all the same and status warns that nothing was checked.
 */
import { MAX_INFO_LENGTH, MAX_INFO_MILLISECONDS } from '@kubervisor/shared/detection/contract';
import type { Destination } from '../core/address.ts';
import { failure, success, type Result } from '../core/answer.ts';
import type { Outbound } from './outbound.ts';
import { below } from './plugin.ts';
import type { Asked, SideThread } from './side-thread.ts';
import type { Refusal } from './turns.ts';

export interface PluginInfo {
  /** `deadline` on the monotonic clock, as `now`; `namespace`: of the resource. A fault is a mismatch; the value is what to warn of. */
  check(
    base: Destination,
    parameters: Record<string, unknown>,
    deadline: number,
    namespace: string,
  ): Promise<Result<string[]>>;
}

/** How long an answer is good: of a plug-in that was replaced, of one that could not say, and of one whose schema refused somebody. */
const KEPT_MILLISECONDS = { known: 60_000, unknown: 15_000, refused: 5000 };
const MAX_KEPT = 1000;
/** Of what is kept in sum; beyond it the oldest is forgotten, and asked anew when it is wanted. */
const MAX_KEPT_CHARACTERS = 16 * 1024 * 1024;
/** What is known of one set of parameters, beside their text. */
const RESULT_CHARACTERS = 512;
/** Of a long time-out so much is enough for the verdicts themselves: the first check of all waits for its thread to start. */
const KEPT_FOR_VERDICTS_MILLISECONDS = 1000;

interface Kept {
  info: Promise<Result<string>>;
  since: number;
  until: number;
  characters: number;
  /** By the parameters, as JSON. */
  checked: Map<string, Promise<Result<string[]>>>;
}

export function createPluginInfo(outbound: Outbound, thread: SideThread, now: () => number): PluginInfo {
  /** The oldest first: they were set in that order. */
  const kept = new Map<string, Kept>();
  let characters = 0;

  function forget(key: string): void {
    characters -= kept.get(key)?.characters ?? 0;
    kept.delete(key);
  }

  /** `one` holds so much more; what was forgotten meanwhile is no longer counted. */
  function grow(key: string, one: Kept, by: number): void {
    if (kept.get(key) !== one) return;
    one.characters += by;
    characters += by;
    for (const [old] of kept) if (characters > MAX_KEPT_CHARACTERS) forget(old);
  }

  function infoOf(key: string, base: Destination, deadline: number): Kept {
    const present = kept.get(key);
    if (present !== undefined && now() < present.until) return present;
    for (const [old] of kept) if (kept.size >= MAX_KEPT) forget(old);
    forget(key);
    const wait = Math.max(1, Math.min(MAX_INFO_MILLISECONDS, Math.ceil((deadline - now()) / 2)));
    const since = now();
    const info = read(outbound, base, AbortSignal.timeout(wait));
    const fresh: Kept = { info, since, until: since + KEPT_MILLISECONDS.known, characters: 0, checked: new Map() };
    kept.set(key, fresh);
    void info.then((answer) => grow(key, fresh, key.length + (answer.ok ? answer.value.length : RESULT_CHARACTERS)));
    return fresh;
  }

  return {
    async check(base, parameters, deadline, namespace) {
      const at = `${base.via} ${base.url.href}`;
      const one = infoOf(at, base, deadline);
      const expireAfter = (milliseconds: number) => {
        one.until = Math.min(one.until, one.since + milliseconds);
      };
      const info = await one.info;
      if (!info.ok) {
        expireAfter(KEPT_MILLISECONDS.unknown);
        return success([`the parameters were not checked: ${info.fault.message}`]);
      }
      const key = JSON.stringify(parameters);
      const question = { info: info.value, parameters: key };
      const weight = info.value.length + key.length;
      const present = one.checked.get(key);
      const checking = present ?? thread.ask('parameters', namespace, question, weight).then(resultOf);
      if (present === undefined && one.checked.size < MAX_KEPT) {
        one.checked.set(key, checking);
        grow(at, one, key.length + RESULT_CHARACTERS);
      }
      const left = deadline - now();
      const late = success(['the parameters were not checked: others are being checked']);
      const result = await within(checking, Math.max(1, left / 2, left - KEPT_FOR_VERDICTS_MILLISECONDS), late);
      if (result.ok && result.value.length > 0) expireAfter(KEPT_MILLISECONDS.unknown);
      // Whoever mends the plug-in rather than the resource should not wait for long.
      if (!result.ok) expireAfter(KEPT_MILLISECONDS.refused);
      return result;
    },
  };
}

/** The time that is left is the evaluation's: foreign schemas before this one may take half a second each. */
async function within<T>(promise: Promise<T>, milliseconds: number, otherwise: T): Promise<T> {
  const { promise: late, resolve } = Promise.withResolvers<T>();
  const timer = setTimeout(resolve, milliseconds, otherwise);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function read(outbound: Outbound, { url, via }: Destination, signal: AbortSignal): Promise<Result<string>> {
  const answer = await outbound.send(via, {
    method: 'GET',
    url: below(url, '/v1/info'),
    headers: { accept: 'application/json' },
    signal,
    peer: '/v1/info of the plug-in',
  });
  if (!answer.ok) return answer;
  const { status, text } = answer.value;
  if (status !== 200) return failure('BadStatus', `/v1/info of the plug-in answered ${status}`);
  if (text.length > MAX_INFO_LENGTH) return failure('TooLarge', '/v1/info of the plug-in answered too much');
  return success(text);
}

const WHY: Record<Refusal, string> = {
  late: 'was not reached',
  crowded: 'waits for too many others of the namespace',
  dismissed: 'could not be checked',
};

/** Parameters that could not be checked are a warning alone. */
function resultOf(asked: Asked<'parameters'>): Result<string[]> {
  const unchecked = (why: string) => success([`the parameters were not checked: ${why}`]);
  if ('refused' in asked) return unchecked(`the JSON Schema of the plug-in ${WHY[asked.refused]}`);
  const { answer } = asked;
  if (answer === 'noInfo') return unchecked('the answer of /v1/info of the plug-in is not of the agreed shape');
  if ('unchecked' in answer) return unchecked(`the JSON Schema of the plug-in ${answer.unchecked}`);
  return answer.problem === undefined ? success([]) : failure('InvalidParameters', answer.problem);
}
