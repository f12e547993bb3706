/** Each rule of the design stands in the title of at least one test: here is the list, and where the tests are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const numbered = (letter: string, last: number): string[] =>
  Array.from({ length: last }, (_, index) => `${letter}${index + 1}`);

/**
 * F: who belongs to the fleet. B: the budget. V: verdicts. P: panic. A: the return. W: work. D: where a detector may connect. Leader:
 * the lease.
 */
const RULES = [
  ...numbered('F', 5),
  ...numbered('B', 7),
  ...numbered('V', 5),
  'P',
  ...numbered('A', 7),
  ...numbered('W', 8),
  'D',
  'Leader',
];

const root = resolve(import.meta.dirname, '..');
const SKIPPED = new Set(['node_modules', 'dist', '.git', '.turbo']);

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : testFiles(path);
    return entry.name.endsWith('.test.ts') || entry.name === 'conformance.ts' ? [path] : [];
  });
}

/** What stands in quotes at the beginning of a `test`, a `describe`, or of what `.each` gives them. */
const TITLE = /\b(?:test|it|describe)\b[^'"`]{0,40}\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g;
/** Of `test.each(table)(title, …)` and of `(condition ? test : test.skip)(title, …)`. */
const TITLE_AFTER_CALL = /\)\(\s*(['"`])((?:\\.|(?!\1).)*)\1\s*,/g;
/** Rules at the head of a title or in brackets at its end: `B2, B6: …`, `… (F1)`, `… (V1, D)`. */
const name = String.raw`(?:[FBVAW]\d|P|D|Leader)`;
const HEAD = new RegExp(String.raw`^(${name}(?:, ${name})*)(?:[: ]|$)`);
const TAIL = new RegExp(String.raw`\((${name}(?:, ${name})*)\)`, 'g');

function rulesIn(title: string): string[] {
  const groups = [HEAD.exec(title)?.[1], ...[...title.matchAll(TAIL)].map(([, group]) => group)];
  return groups.flatMap((group) => group?.split(', ') ?? []);
}

function titlesOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(TITLE), ...text.matchAll(TITLE_AFTER_CALL)].map(([, , title = '']) => title);
}

const named = new Map<string, number>();
for (const file of testFiles(root).filter((path) => path !== import.meta.filename))
  for (const rule of titlesOf(file).flatMap(rulesIn)) named.set(rule, (named.get(rule) ?? 0) + 1);

test('each rule of the design is named in the title of a test', () => {
  expect(RULES.filter((rule) => !named.has(rule))).toEqual([]);
});

test('no test names a rule that there is not', () => {
  expect([...named.keys()].filter((rule) => !RULES.includes(rule))).toEqual([]);
});

test.each([
  ['B2, B6: two leave', ['B2', 'B6']],
  ['status is Ready (F1)', ['F1']],
  ['P: nobody', ['P']],
  ['Leader, W2: nothing', ['Leader', 'W2']],
  ['Pods come back', []],
  ['a D day', []],
  ['A pod (A5) and more (B7, V1)', ['A5', 'B7', 'V1']],
])('of the title %p these are rules: %p', (title, rules) => {
  expect(rulesIn(title)).toEqual(rules);
});
