/**
 * A thread beside the one that evaluates, for what is foreign and may take long: an answer of 8 MiB a second of a processor, a JSON Schema half a one. One question
 * after the other, the namespaces in turn: whoever has many that take long waits for them alone, and the others for one each time.
 */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { CheckedParameters } from '@kubervisor/runtime/plugin-parameters';
import type { Answer, Result } from '../core/answer.ts';
import type { Answered } from '../core/judge-answer.ts';
import { orEnd } from './or-end.ts';
import { createTurns, type Refusal } from './turns.ts';

/** Questions and answers are copied by value, which ends the stack where something is nested deep: what may be so goes as text. */
export interface Jobs {
  judge: { question: Answered; answer: Result<Answer> };
  /** `info`: what the plug-in answered to `/v1/info`; `parameters`: JSON. */
  parameters: { question: { info: string; parameters: string }; answer: CheckedParameters | 'noInfo' };
}
export type Job = keyof Jobs;
export interface Task<J extends Job = Job> {
  id: number;
  job: J;
  question: Jobs[J]['question'];
}
export interface Reply {
  id: number;
  answer: Jobs[Job]['answer'];
}

/** `dismissed`: the thread ended over it, or we did. */
export type Asked<J extends Job> = { answer: Jobs[J]['answer'] } | { refused: Refusal };

export interface SideThread {
  /** Never throws. `weight`: characters of the question. Where `signal` ends nobody waits any more; without one, whoever cannot wait so long bounds it. */
  ask<J extends Job>(
    job: J,
    namespace: string,
    question: Jobs[J]['question'],
    weight: number,
    signal?: AbortSignal,
  ): Promise<Asked<J>>;
  close(): Promise<void>;
}

/**
 * Of a thread that a question drove out of memory the others shall not notice more than its restart. JSON.parse is no such: it does not stop at a limit, and the
 * process would end. What it may take at most (../../../libs/shared/detection/foreign-json.ts) fits into this.
 */
const MEMORY_MEGABYTES = 256;
/** Beyond it nothing would be answered before it is asked again. */
const MOST_WAITING_OF_A_NAMESPACE = 100;
const MOST_WAITING_CHARACTERS = 64 * 1024 * 1024;
/** Each question ends by itself, far sooner, in a thread that is alive; the first also waits for it to start. */
const LONGEST_SILENCE_MILLISECONDS = 60_000;

/** Beside this file: `.ts` as it is, and as it is bundled `.js` or `.mjs`. */
function workerFile(): URL {
  const here = new URL(import.meta.url);
  const ending = /\.\w+$/.exec(here.pathname)?.[0] ?? '.js';
  const file = new URL(`./foreign.worker${ending}`, here);
  if (!existsSync(file)) throw new Error(`${file.pathname} is missing: it belongs beside the service's own file`);
  return file;
}

export function createSideThread(): SideThread {
  const turns = createTurns({
    places: 1,
    mostWaiting: MOST_WAITING_OF_A_NAMESPACE,
    mostWeight: MOST_WAITING_CHARACTERS,
  });
  const file = workerFile();
  let worker: Worker | undefined;
  let asked: { id: number; settle(outcome: Asked<Job>): void } | undefined;
  let last = 0;

  function start(): Worker {
    const fresh = new Worker(file, {
      // Sources find each other by this condition; to a bundle it means nothing.
      execArgv: ['--conditions=source'],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MEGABYTES },
    });
    const over = (): void => {
      if (worker !== fresh) return;
      worker = undefined;
      // It is this one that ended it; those that wait have the next thread.
      asked?.settle({ refused: 'dismissed' });
    };
    fresh.on('message', ({ id, answer }: Reply) => {
      if (asked?.id === id) asked.settle({ answer });
    });
    // What cannot even be read there: the thread lives, and would never answer.
    fresh.on('messageerror', over);
    fresh.on('error', over);
    fresh.on('exit', over);
    // It keeps no process alive.
    fresh.unref();
    return fresh;
  }

  /** For whoever has the one place. */
  async function put(job: Job, question: Jobs[Job]['question']): Promise<Asked<Job>> {
    const silence = setTimeout(() => void worker?.terminate(), LONGEST_SILENCE_MILLISECONDS).unref();
    const { promise, resolve } = Promise.withResolvers<Asked<Job>>();
    const id = ++last;
    asked = { id, settle: resolve };
    worker ??= start();
    worker.postMessage({ id, job, question } satisfies Task);
    const outcome = await promise;
    clearTimeout(silence);
    asked = undefined;
    return outcome;
  }

  return {
    async ask<J extends Job>(
      job: J,
      namespace: string,
      question: Jobs[J]['question'],
      weight: number,
      signal?: AbortSignal,
    ) {
      const place = await turns.take(namespace, signal, weight);
      if ('refused' in place) return place;
      // The place is left when the thread is free again, also where nobody waits for it any more.
      const answered = put(job, question).finally(() => place.leave());
      const outcome = signal === undefined ? await answered : await orEnd(answered, signal);
      // The thread answers a job with what is of that job.
      return (outcome ?? { refused: 'late' }) as Asked<J>;
    },
    async close() {
      turns.dismiss();
      await worker?.terminate();
    },
  };
}
