/** Parameters of a resource against the JSON Schema of a plug-in, which is foreign: within a bounded time. */
import { runInNewContext } from 'node:vm';
import { parametersProblem } from '@kubervisor/shared/detection/parameters';

/** `problem`: what does not fit. `unchecked` completes "the JSON Schema of the plug-in …". */
export type CheckedParameters = { problem: string | undefined } | { unchecked: string };

/**
 * A foreign schema may take for ever (a regular expression alone can), and everybody's evaluations would wait. So much is wall time on a
 * busy machine where a sound one takes a few ms of a processor.
 */
const LONGEST_CHECK_MILLISECONDS = 500;

// The first check takes ten times as long as the others: it must not be one that is timed.
parametersProblem({ type: 'object' }, {});

/** Code that runs in a context with a time-out is ended by it, whatever it called. */
export function checkParameters(schema: Record<string, unknown>, parameters: unknown): CheckedParameters {
  try {
    const check = () => parametersProblem(schema, parameters);
    return {
      problem: runInNewContext('check()', { check }, { timeout: LONGEST_CHECK_MILLISECONDS }) as string | undefined,
    };
  } catch (error) {
    const late = (error as { code?: unknown } | undefined)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    return { unchecked: late ? 'takes too long to check' : 'is not one that can be used' };
  }
}
