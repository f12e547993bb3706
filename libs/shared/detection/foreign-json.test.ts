import { describe, expect, test } from '@jest/globals';
import { MAX_ANSWER_DEPTH, MAX_ANSWER_VALUES, parseForeign } from './foreign-json.ts';

/** Blanks, so that there is enough of it to be looked at. */
const padded = (text: string) => text + ' '.repeat(64 * 1024);
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const list = (commas: number) => `[${'1,'.repeat(commas)}1]`;

describe('JSON that somebody else wrote', () => {
  test('is read as it is', () => {
    expect(parseForeign('{"a":[1]}')).toEqual({ json: { a: [1] } });
    expect(parseForeign(padded('{"a":[1]}'))).toEqual({ json: { a: [1] } });
    expect(parseForeign('null')).toEqual({ json: null });
  });

  test.each(['', '{', '[1', '<html>', padded('"'), padded('"\\'), padded(']]]')])('%.10j is not JSON', (text) => {
    expect(parseForeign(text)).toEqual({ problem: 'is not JSON' });
  });

  test('of more than 64 KiB it may be nested so deep and no deeper, once closed or not', () => {
    expect(parseForeign(padded(nested(MAX_ANSWER_DEPTH)))).toHaveProperty('json');
    const tooDeep = { problem: 'is nested deeper than 100' };
    expect(parseForeign(padded(nested(MAX_ANSWER_DEPTH + 1)))).toEqual(tooDeep);
    expect(parseForeign(padded('{"a":'.repeat(MAX_ANSWER_DEPTH + 1)))).toEqual(tooDeep);
    expect(parseForeign(padded(`[${nested(60)},${nested(60)}]`))).toHaveProperty('json');
  });

  test('it may hold so many values and no more', () => {
    expect(parseForeign(list(MAX_ANSWER_VALUES - 1))).toHaveProperty('json');
    expect(parseForeign(list(MAX_ANSWER_VALUES))).toEqual({ problem: 'holds more than 1250000 values' });
  });

  test('what stands in texts is none of it, whatever is escaped there', () => {
    const text = `${'[{,:'.repeat(400_000)}`;
    for (const escaped of ['', '\\"', '\\\\', '\\\\\\"']) {
      expect(parseForeign(`{"a${escaped}":"${escaped}${text}${escaped}"}`)).toHaveProperty('json');
      expect(parseForeign(`{"a":"${escaped}${text}${escaped}","b":${nested(MAX_ANSWER_DEPTH)}}`)).toHaveProperty(
        'problem',
      );
    }
  });
});
