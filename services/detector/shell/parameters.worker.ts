/** A thread that checks parameters against foreign schemas, so that one which takes long holds up nobody's evaluation. */
import { parentPort } from 'node:worker_threads';
import { checkParameters } from '@kubervisor/runtime/plugin-parameters';
import type { ParameterAnswer, ParameterQuestion } from './parameter-checks.ts';

parentPort?.on('message', ({ id, text }: ParameterQuestion) => {
  const { schema, parameters } = JSON.parse(text) as { schema: Record<string, unknown>; parameters: unknown };
  parentPort?.postMessage({ id, checked: checkParameters(schema, parameters) } satisfies ParameterAnswer);
});
