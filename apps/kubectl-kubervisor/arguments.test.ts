import { expect, test } from '@jest/globals';
import { readArguments, UsageError } from './arguments.ts';
import { COMMANDS } from './commands.ts';
import { wanted } from './completion.ts';

const read = (line: string) => readArguments(line.split(' ').filter((word) => word !== ''));

test('without a command: list; -k NAME as in 2018: get', () => {
  expect(read('')).toMatchObject({ command: 'list', words: [], help: undefined });
  expect(read('-A -o wide')).toMatchObject({ command: 'list', allNamespaces: true, output: 'wide' });
  expect(read('-k cart')).toMatchObject({ command: 'get', words: ['cart'] });
  expect(read('get -k cart')).toMatchObject({ command: 'get', words: ['cart'] });
});

test('options stand before the command or after it', () => {
  for (const line of ['-n shop explain a', 'explain a -n shop', 'explain --namespace=shop a'])
    expect(read(line)).toMatchObject({ command: 'explain', words: ['a'], namespace: 'shop' });
  expect(read('-n list list')).toMatchObject({ command: 'list', namespace: 'list', words: [] });
});

test('every example of the declaration is understood', () => {
  for (const [name, { examples }] of Object.entries(COMMANDS))
    for (const { line } of examples) {
      const args = read(line.replace('kubectl kubervisor', ''));
      if (line.includes(' -k ')) expect(args.command).toBe('get');
      else expect(args.command).toBe(name);
    }
});

test.each([
  ['lst', /no command "lst".*Did you mean list/],
  ['frobnicate', /There are: list, get/],
  ['explain', /explain needs POD/],
  ['release', /release needs POD/],
  ['release a --all', /--all means all/],
  ['get a b', /"b" is one too many/],
  ['mode cart off', /"off" must be one of enforce, dryRun, disabled/],
  ['mode cart', /mode needs enforce\|dryRun\|disabled/],
  ['completion tcsh', /bash, zsh, fish/],
  ['list -o table', /--output "table": must be one of json, yaml, wide/],
  ['history cart --limit 0', /--limit "0": must be a whole number from 1 to 500/],
  ['history cart --limit 1e2', /--limit "1e2"/],
  ['list -n Shop', /must be the name of a namespace/],
  ['list --remove', /list has no option --remove; it has --all-namespaces/],
  ['list -A=x', /./],
  ['list --context=', /--context is empty/],
  ['list -n', /namespace/],
  ['explain -k cart a', /-k NAME stands for get NAME/],
])('%s: told what is wrong, and what is allowed', (line, pattern) => {
  expect(() => read(line)).toThrow(UsageError);
  expect(() => read(line)).toThrow(pattern);
});

test('completion: commands, words, options; names are looked up by whoever can', () => {
  const words = (...typed: string[]): unknown => {
    const want = wanted(typed);
    return 'names' in want ? want.names : want.candidates.map(({ word }) => word);
  };
  expect(words('ex')).toEqual(['explain', 'exempt']);
  expect(words('mode', 'cart', '')).toEqual(['enforce', 'dryRun', 'disabled']);
  expect(words('mode', '')).toBe('resources');
  expect(words('-n', 'shop', 'release', 'a', '')).toBe('pods');
  expect(words('list', '-o', 'j')).toEqual(['json']);
  expect(words('history', '--l')).toEqual(['--limit']);
  expect(words('get', 'cart', '')).toEqual([]);
  expect(words('nonsense', '')).toEqual(words(''));
});
