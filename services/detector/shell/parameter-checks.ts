/** Parameters against the JSON Schemas of plug-ins, in a thread of their own: a foreign schema may take half a second of a processor. */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { CheckedParameters } from '@kubervisor/runtime/plugin-parameters';

export interface ParameterQuestion {
  id: number;
  schema: Record<string, unknown>;
  parameters: unknown;
}
export interface ParameterAnswer {
  id: number;
  checked: CheckedParameters;
}

export interface ParameterChecks {
  /** Never throws. One after the other; whoever cannot wait so long bounds it. */
  check(schema: Record<string, unknown>, parameters: unknown): Promise<CheckedParameters>;
  close(): Promise<void>;
}

/** Of a thread that a schema drove out of memory the others shall not notice more than its restart. */
const MEMORY_MEGABYTES = 128;

/** Beside this file: `.ts` as it is, and as it is bundled `.js` or `.mjs`. */
function workerFile(): URL {
  const here = new URL(import.meta.url);
  const ending = /\.\w+$/.exec(here.pathname)?.[0] ?? '.js';
  const file = new URL(`./parameters.worker${ending}`, here);
  if (!existsSync(file)) throw new Error(`${file.pathname} is missing: it belongs beside the service's own file`);
  return file;
}

export function createParameterChecks(): ParameterChecks {
  const waiting = new Map<number, (checked: CheckedParameters) => void>();
  const file = workerFile();
  let worker: Worker | undefined;
  let last = 0;

  function start(): Worker {
    const fresh = new Worker(file, {
      // Sources find each other by this condition; to a bundle it means nothing.
      execArgv: ['--conditions=source'],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MEGABYTES },
    });
    const over = (): void => {
      if (worker === fresh) worker = undefined;
      // It does one after the other, so which of them ended it is not known; each is a warning, and tried again later.
      for (const answer of waiting.values()) answer({ unchecked: 'could not be checked' });
      waiting.clear();
    };
    fresh.on('message', ({ id, checked }: ParameterAnswer) => {
      waiting.get(id)?.(checked);
      waiting.delete(id);
    });
    fresh.on('error', over);
    fresh.on('exit', over);
    // It keeps no process alive.
    fresh.unref();
    return fresh;
  }

  return {
    check: (schema, parameters) =>
      new Promise((resolve) => {
        worker ??= start();
        const id = ++last;
        waiting.set(id, resolve);
        worker.postMessage({ id, schema, parameters } satisfies ParameterQuestion);
      }),
    async close() {
      await worker?.terminate();
    },
  };
}
