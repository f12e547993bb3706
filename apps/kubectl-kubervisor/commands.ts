/**
 * What can be said to the plug-in: the one declaration from which arguments are read, help and completion are printed, and
 * docs/kubectl.md is written. Every example here is run by e2e/kubectl.kubernetes.test.ts.
 */
import { mode } from '@kubervisor/shared/crd/kubervisor-service';
import { DEFAULT_HISTORY, MAX_HISTORY } from '@kubervisor/shared/events/history';

/** What completion offers in the place of an argument: names from the cluster, or words. */
export type Completes = 'resources' | 'pods' | 'services' | readonly string[];

export interface Option {
  type: 'string' | 'boolean';
  short?: string;
  /** What stands for its value in help; a `string` has one. */
  value?: string;
  help: string;
  completes?: Completes;
}

export interface Argument {
  /** As help writes it. */
  name: string;
  completes: Completes;
  /** May be left out. */
  optional?: true;
  /** May be given more than once; only the last one. */
  several?: true;
}

export interface Example {
  line: string;
  /** What it does. */
  does: string;
}

export interface Command {
  arguments: readonly Argument[];
  /** Beside those that every command has. */
  options: readonly OptionName[];
  summary: string;
  /** Paragraphs. */
  text: readonly string[];
  examples: readonly Example[];
}

const OUTPUTS = ['json', 'yaml', 'wide'] as const;
export type Output = (typeof OUTPUTS)[number];
export const MODES = mode.options;
export const SHELLS = ['bash', 'zsh', 'fish', 'kubectl'] as const;
export type Shell = (typeof SHELLS)[number];

const declared = {
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: 'the namespace; else that of the context',
  },
  'all-namespaces': { type: 'boolean', short: 'A', help: 'all namespaces' },
  context: { type: 'string', value: 'NAME', help: 'a context of the kubeconfig; else its current one' },
  kubeconfig: { type: 'string', value: 'FILE', help: 'else KUBECONFIG, else ~/.kube/config' },
  output: {
    type: 'string',
    short: 'o',
    value: OUTPUTS.join('|'),
    help: 'json and yaml for machines; wide shows more columns',
    completes: OUTPUTS,
  },
  help: { type: 'boolean', short: 'h', help: 'help on the command' },
  'system-namespace': {
    type: 'string',
    value: 'NAME',
    help: 'where Kubervisor itself runs; else it is looked for everywhere',
  },
  limit: {
    type: 'string',
    value: 'NUMBER',
    help: `the last so many facts, at most ${MAX_HISTORY}; ${DEFAULT_HISTORY} unless told`,
  },
  pod: { type: 'string', value: 'POD', help: 'only the facts about this pod', completes: 'pods' },
  timeout: { type: 'string', value: 'SECONDS', help: 'how long it waits; 60 unless told' },
  remove: { type: 'boolean', help: 'ends the exemption' },
  breaker: { type: 'string', value: 'NAME', help: 'only of this breaker' },
  'dry-run': { type: 'boolean', help: 'says what it would do, and changes nothing' },
  all: { type: 'boolean', help: 'all paused pods of the namespace' },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof declared;
export const OPTIONS: Readonly<Record<OptionName, Option>> = declared;

/** Every command has these. */
export const COMMON = ['namespace', 'context', 'kubeconfig', 'output', 'help'] as const satisfies readonly OptionName[];

const RESOURCE: Argument = { name: 'NAME', completes: 'resources' };
const PODS: Argument = { name: 'POD', completes: 'pods', several: true };

const commands = {
  list: {
    arguments: [],
    options: ['all-namespaces'],
    summary: 'the KubervisorServices, and how they are (what you get without a command)',
    text: [
      'One line each: how many of its pods are in traffic, the floor, who is out, and what is wrong, if anything. ' +
        '`list -o json` holds the same for machines; the resources themselves are had by `kubectl get kvs -o json`.',
    ],
    examples: [
      { line: 'kubectl kubervisor', does: 'those of the namespace' },
      { line: 'kubectl kubervisor list -A -o wide', does: 'those of the cluster, with their breakers' },
    ],
  },
  get: {
    arguments: [RESOURCE],
    options: [],
    summary: 'one KubervisorService: its breakers, and each pod of its fleet',
    text: ['`-k NAME` without a command, as in 2018, is the same.'],
    examples: [
      { line: 'kubectl kubervisor get cart', does: 'breakers and pods of cart' },
      { line: 'kubectl kubervisor -k cart', does: 'the same, as in 2018' },
    ],
  },
  explain: {
    arguments: [{ name: 'POD', completes: 'pods' }],
    options: [],
    summary: 'why a pod is in traffic or out, and what comes next',
    text: [
      'In sentences: who owns the pod, which breaker took it out and why, with figures; how often; when it comes back and what holds ' +
        'it; how many more the floor allows to leave; whether it is exempt or on probation. It reads the pod, not a status that may be old.',
    ],
    examples: [
      { line: 'kubectl kubervisor explain cart-7d9c5b8-x2x4v', does: 'why this pod is where it is' },
      {
        line: 'kubectl kubervisor explain cart-7d9c5b8-x2x4v -o json',
        does: 'the same with every figure, for machines',
      },
    ],
  },
  watch: {
    arguments: [{ ...RESOURCE, optional: true }],
    options: ['all-namespaces', 'timeout'],
    summary: 'live: who leaves traffic and who comes back',
    text: [
      'On a terminal a picture that is kept up to date; elsewhere a line a change, with `-o json` an object a line. Ctrl-C ends it; ' +
        '`--timeout` too, without which it goes on.',
    ],
    examples: [{ line: 'kubectl kubervisor watch cart --timeout 2', does: 'two seconds of the fleet of cart' }],
  },
  activate: {
    arguments: [{ name: 'SERVICE-or-POD', completes: 'services', several: true }],
    options: ['timeout', 'dry-run'],
    summary: 'lets a Service take part: adds kubervisor/traffic: "yes" to its selector',
    text: [
      'Only when every pod that the Service selects carries the label: it waits for the controller to set it, so that no pod drops out ' +
        'of traffic at that moment. A pod stands for the Service of the KubervisorService that owns it. Refused where the selector of a ' +
        'workload holds a `kubervisor/` key, for relabelling would orphan its pods. It prints the line for the manifest: Helm, Argo CD ' +
        'or Flux would else undo it.',
    ],
    examples: [
      { line: 'kubectl kubervisor activate cart --dry-run', does: 'what stands in the way, if anything' },
      { line: 'kubectl kubervisor activate cart', does: 'from now on breakers of cart act' },
    ],
  },
  deactivate: {
    arguments: [{ name: 'SERVICE-or-POD', completes: 'services', several: true }],
    options: ['dry-run'],
    summary: 'the Service takes part no more: removes the key from its selector',
    text: ['All its pods get traffic at once, also those that are out. From then on everything is a dry run.'],
    examples: [{ line: 'kubectl kubervisor deactivate cart', does: 'cart is served by all its pods' }],
  },
  mode: {
    arguments: [RESOURCE, { name: MODES.join('|'), completes: MODES }],
    options: ['breaker', 'dry-run'],
    summary: 'enforce, dryRun (decide, report, break nobody) or disabled',
    text: ['Of a resource and a breaker the stricter counts. Pods that are out come back when it is left.'],
    examples: [
      { line: 'kubectl kubervisor mode cart dryRun', does: 'decides and reports, and touches nobody' },
      { line: 'kubectl kubervisor mode cart enforce', does: 'acts again' },
      { line: 'kubectl kubervisor mode cart disabled --breaker slow', does: 'one breaker rests' },
    ],
  },
  release: {
    arguments: [{ ...PODS, optional: true }],
    options: ['all', 'dry-run'],
    summary: 'brings pods back that are paused or out; they are on probation then',
    text: [
      'A paused pod waits for this. Its count of breaks stays, so that a relapse waits longer; a breaker may take it out again once its ' +
        'gracePeriod is over. Who did it, and when, is told in an Event on the pod and on its KubervisorService. (`npm run release`, before an ' +
        'uninstall, is another thing: it lets everything go.)',
    ],
    examples: [
      { line: 'kubectl kubervisor release cart-7d9c5b8-x2x4v', does: 'the pod gets traffic again' },
      { line: 'kubectl kubervisor release --all', does: 'all that are paused' },
    ],
  },
  exempt: {
    arguments: [PODS],
    options: ['remove', 'dry-run'],
    summary: 'never breaks or kills these pods',
    text: ['A pod that is out already stays out until its wait is over, or `release`.'],
    examples: [
      { line: 'kubectl kubervisor exempt cart-7d9c5b8-x2x4v', does: 'whatever the breakers say' },
      { line: 'kubectl kubervisor exempt cart-7d9c5b8-x2x4v --remove', does: 'a pod like the others again' },
    ],
  },
  history: {
    arguments: [RESOURCE],
    options: ['limit', 'pod', 'system-namespace'],
    summary: 'what happened to its pods: who was broken, brought back, paused, killed, and why',
    text: [
      'The facts of up to seven days, read from the controller through the API server’s service proxy: no NATS credential on a laptop. ' +
        'It takes the right to `get` `services/proxy` of the controller’s Service, and to `list` Services where it runs.',
    ],
    examples: [
      { line: 'kubectl kubervisor history cart --limit 20', does: 'the last twenty' },
      { line: 'kubectl kubervisor history cart -o json', does: 'for machines' },
    ],
  },
  version: {
    arguments: [],
    options: ['system-namespace'],
    summary: 'of the plug-in, of the API server, of the CRD and of what is installed',
    text: ['What cannot be reached, or may not be seen, is left out, with the reason.'],
    examples: [{ line: 'kubectl kubervisor version', does: 'versions' }],
  },
  completion: {
    arguments: [{ name: SHELLS.join('|'), completes: SHELLS }],
    options: [],
    summary: 'prints the completion for a shell',
    text: [
      'bash: `source <(kubectl kubervisor completion bash)`, likewise zsh; fish: `kubectl kubervisor completion fish | source`. They ' +
        'complete `kubectl-kubervisor`. For `kubectl kubervisor` kubectl’s own completion asks a program `kubectl_complete-kubervisor` on ' +
        'PATH: `completion kubectl` prints it.',
    ],
    examples: [
      { line: 'kubectl kubervisor completion bash', does: 'what bash sources' },
      { line: 'kubectl kubervisor completion kubectl', does: 'the program that kubectl asks' },
    ],
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof commands;
export const COMMANDS: Readonly<Record<CommandName, Command>> = commands;
export const DEFAULT_COMMAND: CommandName = 'list';

export const isCommand = (word: string): word is CommandName => Object.hasOwn(COMMANDS, word);

/** Options of a command, its own first. */
export const optionsOf = (name: CommandName): OptionName[] => [...COMMANDS[name].options, ...COMMON];
