/**
 * JSON that somebody else wrote. How long reading it takes, and how much memory, is bounded before it is begun: JSON.parse cannot be interrupted, and a text of
 * 8 MiB that is nothing but brackets takes 400 MB, in a thread with less than that the whole process with it.
 */

/** Of what an answer may hold at most there are fewer in any that is of use: of a Prometheus one on about eight characters. */
export const MAX_ANSWER_VALUES = 1_250_000;
export const MAX_ANSWER_DEPTH = 100;
/** In so few characters there cannot be much. */
const SMALL_LENGTH = 64 * 1024;

/** `problem` completes "the answer …". */
export function parseForeign(text: string): { json: unknown } | { problem: string } {
  const problem = text.length > SMALL_LENGTH ? bulkProblem(text) : undefined;
  if (problem !== undefined) return { problem };
  try {
    return { json: JSON.parse(text) as unknown };
  } catch {
    return { problem: 'is not JSON' };
  }
}

const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Of a text that is no JSON what this finds means nothing, and need not. */
function bulkProblem(text: string): string | undefined {
  let [values, depth, quoted] = [0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (quoted) {
      if (character === BACKSLASH) at++;
      else if (character === QUOTE) quoted = false;
      continue;
    }
    if (character === QUOTE) quoted = true;
    else if (character === COMMA || character === COLON) values++;
    else if (character === OPEN_LIST || character === OPEN_OBJECT) {
      values++;
      if (++depth > MAX_ANSWER_DEPTH) return `is nested deeper than ${MAX_ANSWER_DEPTH}`;
    } else if (character === CLOSE_LIST || character === CLOSE_OBJECT) depth--;
  }
  return values > MAX_ANSWER_VALUES ? `holds more than ${MAX_ANSWER_VALUES} values` : undefined;
}
