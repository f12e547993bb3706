/** Help as it is printed, and the page of the plug-in in docs: both from the declaration of the commands. */
import { COMMANDS, COMMON, OPTIONS, type CommandName, type OptionName } from './commands.ts';
import { usageOf } from './arguments.ts';

const NAMES = Object.keys(COMMANDS) as CommandName[];

const optionText = (name: OptionName): string => {
  const { short, value } = OPTIONS[name];
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
};
function optionLines(names: readonly OptionName[]): string[] {
  const width = Math.max(...names.map((name) => optionText(name).length));
  return names.map((name) => `  ${optionText(name).padEnd(width)}  ${OPTIONS[name].help}`);
}

/** At blanks, as wide as most terminals. */
function wrapped(text: string, width = 110): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

export function overview(): string {
  const width = Math.max(...NAMES.map((name) => usageOf(name).length));
  return [
    'kubectl kubervisor [COMMAND] [options]: who is out of traffic, why and until when; and the switches.',
    '',
    'Commands:',
    ...NAMES.map((name) => `  ${usageOf(name).padEnd(width)}  ${COMMANDS[name].summary}`),
    '',
    'Options of all commands:',
    ...optionLines(COMMON),
    '',
    'kubectl kubervisor COMMAND --help tells more. Exits 0 if all went well, 1 if something did not, 2 on bad arguments, 130 when',
    'interrupted.',
  ].join('\n');
}

export function helpOn(name: CommandName): string {
  const { summary, text, options, examples } = COMMANDS[name];
  return [
    `kubectl kubervisor ${usageOf(name)} [options]`,
    '',
    wrapped(`${summary}.`),
    ...text.flatMap((paragraph) => ['', wrapped(paragraph.replaceAll('`', ''))]),
    '',
    'Examples:',
    ...examples.map(({ line, does }) => `  ${line}   # ${does}`),
    ...(options.length === 0 ? [] : ['', 'Options:', ...optionLines(options)]),
    '',
    'Options of all commands:',
    ...optionLines(COMMON),
  ].join('\n');
}
