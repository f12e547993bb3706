/** Parameters against the JSON Schemas of plug-ins, in a thread of their own: a foreign schema may take half a second of a processor. */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { CheckedParameters } from '@kubervisor/runtime/plugin-parameters';

export interface ParameterQuestion {
  id: number;
  /** JSON of `{ schema, parameters }`: of what is nested deep a copy by value ends the stack of whoever reads it. */
  text: string;
}
export interface ParameterAnswer {
  id: number;
  checked: CheckedParameters;
}

export interface ParameterChecks {
  /**
   * Never throws. One after the other, the namespaces in turn: whoever has many schemas that take long waits for them alone, and the others
   * for one each time. Whoever cannot wait so long bounds it.
   */
  check(namespace: string, schema: Record<string, unknown>, parameters: unknown): Promise<CheckedParameters>;
  close(): Promise<void>;
}

interface Waiting {
  question: ParameterQuestion;
  answer(checked: CheckedParameters): void;
}

/** Of a thread that a schema drove out of memory the others shall not notice more than its restart. */
const MEMORY_MEGABYTES = 128;
/** Beyond it nothing would be checked before it is asked again. */
const MOST_WAITING_OF_A_NAMESPACE = 100;
/** Each check ends by itself, far sooner, in a thread that is alive; the first also waits for it to start. */
const LONGEST_SILENCE_MILLISECONDS = 20_000;

/** Beside this file: `.ts` as it is, and as it is bundled `.js` or `.mjs`. */
function workerFile(): URL {
  const here = new URL(import.meta.url);
  const ending = /\.\w+$/.exec(here.pathname)?.[0] ?? '.js';
  const file = new URL(`./parameters.worker${ending}`, here);
  if (!existsSync(file)) throw new Error(`${file.pathname} is missing: it belongs beside the service's own file`);
  return file;
}

export function createParameterChecks(): ParameterChecks {
  /** The namespace whose turn is next first. */
  const waiting = new Map<string, Waiting[]>();
  const file = workerFile();
  let worker: Worker | undefined;
  let asked: (Waiting & { silence: NodeJS.Timeout }) | undefined;
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
      settle({ unchecked: 'could not be checked' });
    };
    fresh.on('message', ({ id, checked }: ParameterAnswer) => {
      if (asked?.question.id === id) settle(checked);
    });
    // What cannot even be read there: the thread lives, and would never answer.
    fresh.on('messageerror', over);
    fresh.on('error', over);
    fresh.on('exit', over);
    // It keeps no process alive.
    fresh.unref();
    return fresh;
  }

  function settle(checked: CheckedParameters): void {
    const done = asked;
    asked = undefined;
    clearTimeout(done?.silence);
    done?.answer(checked);
    next();
  }

  function next(): void {
    if (asked !== undefined) return;
    const [turn] = waiting;
    if (turn === undefined) return;
    const [namespace, [one, ...others]] = turn;
    waiting.delete(namespace);
    if (others.length > 0) waiting.set(namespace, others);
    if (one === undefined) return;
    const silence = setTimeout(() => void worker?.terminate(), LONGEST_SILENCE_MILLISECONDS).unref();
    asked = { ...one, silence };
    worker ??= start();
    worker.postMessage(one.question);
  }

  return {
    check: (namespace, schema, parameters) =>
      new Promise((resolve) => {
        const text = asText({ schema, parameters });
        if (text === undefined) return resolve({ unchecked: 'is not one that can be used' });
        const others = waiting.get(namespace) ?? [];
        if (others.length >= MOST_WAITING_OF_A_NAMESPACE) {
          return resolve({ unchecked: 'waits for too many others of the namespace' });
        }
        waiting.set(namespace, [...others, { question: { id: ++last, text }, answer: resolve }]);
        next();
      }),
    async close() {
      const all = [...waiting.values()].flat();
      waiting.clear();
      await worker?.terminate();
      for (const { answer } of all) answer({ unchecked: 'could not be checked' });
    },
  };
}

/** Undefined of one so deep that it cannot be written. */
function asText(question: { schema: Record<string, unknown>; parameters: unknown }): string | undefined {
  try {
    return JSON.stringify(question);
  } catch {
    return undefined;
  }
}
