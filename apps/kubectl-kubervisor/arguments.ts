/** What a person says → a command with its arguments and options, or what is wrong with it and what is allowed. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { DNS_LABEL } from '@kubervisor/shared/crd/kubervisor-service';
import { MAX_HISTORY } from '@kubervisor/shared/events/history';
import {
  COMMANDS,
  DEFAULT_COMMAND,
  isCommand,
  MODES,
  OPTIONS,
  optionsOf,
  SHELLS,
  type Argument,
  type CommandName,
  type OptionName,
  type Output,
} from './commands.ts';

/** Bad arguments: exit status 2. */
export class UsageError extends Error {
  /** Whose help would tell. */
  readonly command: CommandName | undefined;
  constructor(message: string, command?: CommandName) {
    super(message);
    this.command = command;
  }
}

export interface Arguments {
  command: CommandName;
  /** Help is asked for: of the command, or of all. */
  help: 'command' | 'all' | undefined;
  words: string[];
  namespace: string | undefined;
  allNamespaces: boolean;
  context: string | undefined;
  kubeconfig: string | undefined;
  output: Output | undefined;
  systemNamespace: string | undefined;
  limit: number | undefined;
  pod: string | undefined;
  /** Seconds. */
  timeout: number | undefined;
  remove: boolean;
  breaker: string | undefined;
  dryRun: boolean;
  all: boolean;
}

const configOf = (names: readonly OptionName[]): ParseArgsOptionsConfig =>
  Object.fromEntries(
    names.map((name) => {
      const { type, short } = OPTIONS[name];
      return [name, { type, ...(short !== undefined && { short }) }];
    }),
  );

/** -k NAME, as in 2018. */
const OF_2018: ParseArgsOptionsConfig = { 'kubervisor-name': { type: 'string', short: 'k' } };

export function readArguments(words: readonly string[]): Arguments {
  const args = [...words];
  const everything = { ...configOf(Object.keys(OPTIONS) as OptionName[]), ...OF_2018 };
  // Options may come before the command, so first it is looked for, whatever else is there.
  const loose = parseArgs({ args, options: everything, allowPositionals: true, strict: false });
  const [first] = loose.positionals;
  const isOf2018 = loose.values['kubervisor-name'] !== undefined;
  const command = commandOf(first, isOf2018);
  const named = first !== undefined && isCommand(first);
  if (isOf2018 && named && command !== 'get')
    throw new UsageError(`-k NAME stands for get NAME; it does not go with ${command}`, command);

  const { values, positionals } = strictly(args, command);
  const rest = named ? withoutFirst(positionals, first) : positionals;
  const [of2018] = [values['kubervisor-name']].flat();
  const given = typeof of2018 === 'string' ? [of2018, ...rest] : rest;
  const text = (name: OptionName): string | undefined => {
    const value = values[name];
    if (value === '') throw new UsageError(`--${name} is empty: give ${OPTIONS[name].value}`, command);
    return typeof value === 'string' ? value : undefined;
  };
  const flag = (name: OptionName): boolean => values[name] === true;
  const help = flag('help') ? (named || isOf2018 ? 'command' : 'all') : undefined;
  if (help === undefined) checkWords(command, given, flag('all'));
  for (const name of ['namespace', 'system-namespace'] as const) {
    const value = text(name);
    if (value !== undefined && !DNS_LABEL.test(value))
      throw new UsageError(`--${name} ${JSON.stringify(value)}: must be the name of a namespace`, command);
  }
  const output = text('output');
  const outputs = OPTIONS.output.completes as readonly string[];
  if (output !== undefined && !outputs.includes(output))
    throw new UsageError(`--output ${JSON.stringify(output)}: must be one of ${outputs.join(', ')}`, command);
  const whole = (name: OptionName, least: number, most: number): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most)
      throw new UsageError(
        `--${name} ${JSON.stringify(value)}: must be a whole number from ${least} to ${most}`,
        command,
      );
    return number;
  };
  return {
    command,
    help,
    words: given,
    namespace: text('namespace'),
    allNamespaces: flag('all-namespaces'),
    context: text('context'),
    kubeconfig: text('kubeconfig'),
    output: output as Output | undefined,
    systemNamespace: text('system-namespace'),
    limit: whole('limit', 1, MAX_HISTORY),
    pod: text('pod'),
    timeout: whole('timeout', 1, 86_400),
    remove: flag('remove'),
    breaker: text('breaker'),
    dryRun: flag('dry-run'),
    all: flag('all'),
  };
}

function commandOf(first: string | undefined, isOf2018: boolean): CommandName {
  if (first === undefined) return isOf2018 ? 'get' : DEFAULT_COMMAND;
  if (isCommand(first)) return first;
  const near = (Object.keys(COMMANDS) as CommandName[]).filter((name) => distance(name, first) <= 2);
  const meant = near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`;
  throw new UsageError(
    `there is no command ${JSON.stringify(first)}.${meant} There are: ${Object.keys(COMMANDS).join(', ')}`,
  );
}

function strictly(args: string[], command: CommandName) {
  const options = { ...configOf(optionsOf(command)), ...(command === 'get' && OF_2018) };
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const option = /'(-[^' ]*)/.exec(message)?.[1] ?? '';
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
      throw new UsageError(
        `${command} has no option ${option}; it has ${optionsOf(command)
          .map((name) => `--${name}`)
          .join(', ')}`,
        command,
      );
    // The library's message ends with advice about its own syntax.
    throw new UsageError(message.split(/[.\n]/)[0] ?? message, command);
  }
}

function withoutFirst(positionals: readonly string[], word: string | undefined): string[] {
  const at = positionals.indexOf(word ?? '');
  return positionals.filter((_, index) => index !== at);
}

function checkWords(command: CommandName, words: readonly string[], all: boolean): void {
  const wanted: readonly Argument[] = COMMANDS[command].arguments;
  const last = wanted.at(-1);
  const least = wanted.filter(({ optional }) => optional !== true).length;
  const most = last?.several === true ? Infinity : wanted.length;
  if (words.length < least || (command === 'release' && !all && words.length === 0)) {
    const missing = wanted[Math.min(words.length, wanted.length - 1)];
    throw new UsageError(
      `${command} needs ${missing?.name ?? 'an argument'}: kubectl kubervisor ${usageOf(command)}`,
      command,
    );
  }
  if (words.length > most)
    throw new UsageError(
      `${JSON.stringify(words[most])} is one too many: kubectl kubervisor ${usageOf(command)}`,
      command,
    );
  if (all && words.length > 0) throw new UsageError('--all means all of them: name no pod beside it', command);
  const empty = words.findIndex((word) => word === '');
  if (empty >= 0) throw new UsageError(`${wanted[Math.min(empty, wanted.length - 1)]?.name} is empty`, command);
  oneOf(command, 'mode', words[1], MODES);
  oneOf(command, 'completion', words[0], SHELLS);
}

function oneOf(command: CommandName, of: CommandName, word: string | undefined, allowed: readonly string[]): void {
  if (command !== of || word === undefined || allowed.includes(word)) return;
  throw new UsageError(`${JSON.stringify(word)} must be one of ${allowed.join(', ')}`, command);
}

export const usageOf = (command: CommandName): string =>
  [
    command,
    ...COMMANDS[command].arguments.map(({ name, optional, several }) => {
      const word = several === true ? `${name}...` : name;
      return optional === true ? `[${word}]` : word;
    }),
  ].join(' ');

/** How many letters must be changed, added or left out. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1];
    for (let at = 0; at < other.length; at++)
      next.push(Math.min((row[at] ?? 0) + (letter === other[at] ? 0 : 1), (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    row = next;
  }
  return row.at(-1) ?? 0;
}
