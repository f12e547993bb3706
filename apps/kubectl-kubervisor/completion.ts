/**
 * Completion: one hidden command, `__complete WORDS…`, answers what may stand in the place of the last word, in the form in which kubectl
 * asks its plug-ins (a candidate a line, a tab and what it is; at the end a line `:4`, "no file names"). The scripts of the shells
 * only hand the words over.
 */
import {
  COMMANDS,
  OPTIONS,
  isCommand,
  optionsOf,
  SHELLS,
  type CommandName,
  type Completes,
  type OptionName,
  type Shell,
} from './commands.ts';

export const COMPLETE = '__complete';
const NO_FILES = ':4';

export interface Candidate {
  word: string;
  about?: string;
}

export type Wanted = { candidates: Candidate[] } | { names: Exclude<Completes, readonly string[]> };

/** What belongs in the place of the last word; names are for the shell to look up. `words`: all after the program, the last may be empty. */
export function wanted(words: readonly string[]): Wanted {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = commandIn(before);
  const option = optionOf(before.at(-1), command);
  if (option !== undefined && OPTIONS[option].type === 'string') return offered(OPTIONS[option].completes, last);
  if (last.startsWith('-')) {
    const names = command === undefined ? optionsOf('list') : optionsOf(command.name);
    return { candidates: names.map((name) => ({ word: `--${name}`, about: OPTIONS[name].help })).filter(starts(last)) };
  }
  if (command === undefined)
    return {
      candidates: (Object.keys(COMMANDS) as CommandName[])
        .map((name) => ({ word: name, about: COMMANDS[name].summary }))
        .filter(starts(last)),
    };
  const wantedArguments = COMMANDS[command.name].arguments;
  const place = command.words;
  const at = wantedArguments[place] ?? (wantedArguments.at(-1)?.several === true ? wantedArguments.at(-1) : undefined);
  return at === undefined ? { candidates: [] } : offered(at.completes, last);
}

const starts =
  (with_: string) =>
  ({ word }: Candidate): boolean =>
    word.startsWith(with_);

function offered(completes: Completes | undefined, last: string): Wanted {
  if (completes === undefined) return { candidates: [] };
  if (typeof completes === 'string') return { names: completes };
  return { candidates: completes.map((word) => ({ word })).filter(starts(last)) };
}

function optionOf(word: string | undefined, command: { name: CommandName } | undefined): OptionName | undefined {
  if (word === undefined || !word.startsWith('-')) return undefined;
  return optionsOf(command?.name ?? 'list').find(
    (name) => word === `--${name}` || word === `-${OPTIONS[name].short ?? ''}`,
  );
}

/** The command among the words, and how many arguments of its own follow it. */
function commandIn(words: readonly string[]): { name: CommandName; words: number } | undefined {
  let found: { name: CommandName; words: number } | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word.startsWith('-')) {
      const option = optionOf(word, found ?? { name: 'list' });
      if (option !== undefined && OPTIONS[option].type === 'string') at += 1;
    } else if (found !== undefined) found.words += 1;
    else if (isCommand(word)) found = { name: word, words: 0 };
    else return undefined;
  }
  return found;
}

export const answer = (candidates: readonly Candidate[]): string =>
  [...candidates.map(({ word, about }) => (about === undefined ? word : `${word}\t${about}`)), NO_FILES].join('\n');

const SCRIPTS: Record<Shell, string> = {
  bash: `# bash completion of kubectl-kubervisor: source <(kubectl kubervisor completion bash)
_kubectl_kubervisor() {
  local candidates
  candidates=$(kubectl-kubervisor ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | sed -e '$d' -e 's/\\t.*//')
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -F _kubectl_kubervisor kubectl-kubervisor`,
  zsh: `#compdef kubectl-kubervisor
# zsh completion of kubectl-kubervisor: source <(kubectl kubervisor completion zsh)
_kubectl_kubervisor() {
  local -a candidates
  candidates=("\${(@f)$(kubectl-kubervisor ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null | sed -e '$d' -e 's/:/\\\\:/g' -e 's/\\t/:/')}")
  _describe 'kubectl-kubervisor' candidates
}
compdef _kubectl_kubervisor kubectl-kubervisor`,
  fish: `# fish completion of kubectl-kubervisor: kubectl kubervisor completion fish | source
function __kubectl_kubervisor
  set -l words (commandline -opc) (commandline -ct)
  kubectl-kubervisor ${COMPLETE} $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c kubectl-kubervisor -f -a '(__kubectl_kubervisor)'`,
  kubectl: `#!/bin/sh
# kubectl asks this program for the completion of "kubectl kubervisor"; it belongs on PATH, executable, as kubectl_complete-kubervisor.
exec kubectl-kubervisor ${COMPLETE} "$@"`,
};

export const script = (shell: string): string => SCRIPTS[SHELLS.find((one) => one === shell) ?? 'bash'];
