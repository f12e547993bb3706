/** Logs are pino JSON lines on stdout (design §8): a constant message, values as fields, `component` and `instance` on every line. `service` is kept for the supervised one. */
import { hostname } from 'node:os';
import { pino } from 'pino';

export type Logger = pino.Logger;

/** `instance`: who of the replicas writes; the pod's name, which is the host name in a cluster. */
export function createLogger(
  service: string,
  level: string,
  instance: string = hostname(),
  // Written at once: buffered lines would be lost where the process ends just then, and the last line is the one that says why.
  destination: pino.DestinationStream = pino.destination({ dest: 1, sync: true }),
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: { component: service, instance },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError },
  };
  return pino(options, destination);
}

const MAX_MESSAGE = 300;

/**
 * An error as a log may hold it: type, code, the first line of its message, the stack without the message, and its causes.
 * The rest stays out on purpose: errors of HTTP clients carry headers and foreign bodies in the message and as properties.
 */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error, message: firstLine(String(error)) };
  const { code, cause } = error as Error & { code?: unknown };
  const stack = error.stack?.split('\n').filter((line) => line.startsWith('    at '));
  return {
    type: error.name,
    message: firstLine(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(stack !== undefined && stack.length > 0 ? { stack: stack.join('\n') } : {}),
    ...(cause !== undefined && depth < 3 ? { cause: describeError(cause, depth + 1) } : {}),
  };
}

function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}…` : line;
}
