/** An error as a fact may carry it: one bounded line. The messages of HTTP clients hold headers and foreign bodies below it. */
import { describeError } from '../logs.ts';

export function problemOf(error: unknown): string {
  const { type, message, code } = describeError(error);
  return `${String(type)}${code === undefined ? '' : ` ${String(code)}`}: ${String(message)}`;
}
