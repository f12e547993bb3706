/** One command from its words to its exit status. Whatever it needs of the process is given. */
import { stringify } from 'yaml';
import { readArguments, UsageError, type Arguments } from './arguments.ts';
import { MODES, type CommandName, type Output } from './commands.ts';
import { answer, COMPLETE, script, wanted } from './completion.ts';
import {
  printAction,
  printChange,
  printExplanation,
  printHistory,
  printList,
  printVersion,
  printWhole,
  type Style,
} from './core/print.ts';
import type { ActionResult } from './core/views.ts';
import { Failure, failureOf } from './errors.ts';
import { helpOn, overview } from './help.ts';
import { connect, type Cluster } from './shell/cluster.ts';
import { explainPod, getResource, listResources, readHistoryOf, versions } from './shell/inspect.ts';
import { activate, deactivate, exempt, release, setMode } from './shell/switches.ts';
import { watch } from './shell/watch.ts';

export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** stdout and stderr. */
  out(text: string): void;
  err(text: string): void;
  isTerminal: boolean;
  colored: boolean;
  version: string;
  node: string;
  signal: AbortSignal;
}

const OK = 0;
const FAILED = 1;
const BAD_ARGUMENTS = 2;
const INTERRUPTED = 130;

export async function run(words: readonly string[], around: Surroundings): Promise<number> {
  if (words[0] === COMPLETE) return complete(words.slice(1), around);
  try {
    const args = readArguments(words);
    if (args.help !== undefined) {
      around.out(`${args.help === 'all' ? overview() : helpOn(args.command)}\n`);
      return OK;
    }
    return await perform(args, around);
  } catch (error) {
    if (around.signal.aborted) return INTERRUPTED;
    if (error instanceof UsageError) {
      const help = error.command === undefined ? '--help' : `${error.command} --help`;
      around.err(`Error: ${error.message}\n  Next: kubectl kubervisor ${help}\n`);
      return BAD_ARGUMENTS;
    }
    if (!(error instanceof Failure)) throw error;
    around.err(`Error: ${error.message}\n  Next: ${error.next}\n`);
    return FAILED;
  }
}

const styleOf = ({ output, allNamespaces }: Arguments, { colored }: Surroundings): Style => ({
  colored: colored && output !== 'json' && output !== 'yaml',
  wide: output === 'wide',
  namespaces: allNamespaces,
  now: Date.now(),
});

/** The view itself for machines, else what `print` makes of it. */
function show<View>(
  output: Output | undefined,
  view: View,
  { out }: Surroundings,
  print: (view: View) => string,
): void {
  if (output === 'json') out(`${JSON.stringify(view, undefined, 2)}\n`);
  // Readers of YAML 1.1 are still about: a value such as yes is quoted for them.
  else if (output === 'yaml') out(stringify(view, { compat: 'yaml-1.1', lineWidth: 0 }));
  else out(`${print(view)}\n`);
}

async function perform(args: Arguments, around: Surroundings): Promise<number> {
  const { command, words, output } = args;
  const [first = '', second = ''] = words;
  const style = styleOf(args, around);
  if (command === 'completion') {
    around.out(`${script(first)}\n`);
    return OK;
  }
  if (command === 'version') {
    const client = { version: around.version, node: around.node };
    const view = await versions(() => connect(args, around.env), client, args.systemNamespace);
    show(output, view, around, (seen) => printVersion(seen, style));
    return OK;
  }
  const cluster = connect(args, around.env);
  try {
    switch (command) {
      case 'list': {
        const resources = await listResources(cluster, args.allNamespaces);
        show(output, { resources }, around, () =>
          resources.length === 0
            ? `No KubervisorServices in ${args.allNamespaces ? 'the cluster' : `${cluster.namespace}; -A shows those of all namespaces`}.`
            : printList(resources, style),
        );
        return OK;
      }
      case 'get':
        show(output, await getResource(cluster, first), around, (view) => printWhole(view, style));
        return OK;
      case 'explain':
        show(output, await explainPod(cluster, first), around, (view) => printExplanation(view, style));
        return OK;
      case 'history':
        show(output, await readHistoryOf(cluster, first, args), around, (view) => printHistory(view, style));
        return OK;
      case 'watch':
        return await follow(cluster, args, around, style);
      case 'activate':
      case 'deactivate':
      case 'mode':
      case 'release':
      case 'exempt':
        return await change(cluster, args, around, style, second);
    }
  } catch (error) {
    if (around.signal.aborted) throw error;
    throw failureOf(error, `run ${command}`, cluster.api.url);
  } finally {
    await cluster.close();
  }
}

async function follow(cluster: Cluster, args: Arguments, around: Surroundings, style: Style): Promise<number> {
  const { output, timeout } = args;
  const isTerminal = around.isTerminal && output !== 'json' && output !== 'yaml';
  const ending =
    timeout === undefined ? around.signal : AbortSignal.any([around.signal, AbortSignal.timeout(1000 * timeout)]);
  await watch(cluster, {
    name: args.words[0],
    everywhere: args.allNamespaces,
    style,
    isTerminal,
    changed: (one) =>
      output === 'json'
        ? around.out(`${JSON.stringify(one)}\n`)
        : output === 'yaml'
          ? around.out(`---\n${stringify(one, { compat: 'yaml-1.1', lineWidth: 0 })}`)
          : around.out(`${printChange(one, style)}\n`),
    // From the upper left corner over what stood there, line by line, so that nothing flickers.
    draw: (picture) => around.out(`\u001b[H${picture.replaceAll('\n', '\u001b[K\n')}\u001b[J`),
    troubled: (sentence) => around.err(`${sentence}\n`),
    signal: ending,
  });
  return OK;
}

type Switch = Extract<CommandName, 'activate' | 'deactivate' | 'mode' | 'release' | 'exempt'>;

async function change(
  cluster: Cluster,
  args: Arguments,
  around: Surroundings,
  style: Style,
  second: string,
): Promise<number> {
  const { words, dryRun, output } = args;
  const how = {
    cluster,
    dryRun,
    signal: around.signal,
    // Beside the answer, which may be for machines.
    progress: (text: string) => around.err(`${text}\n`),
  };
  const [first = ''] = words;
  const carryOut: Record<Switch, () => Promise<ActionResult[]>> = {
    activate: () => activate(how, words, args.timeout),
    deactivate: () => deactivate(how, words),
    mode: () => setMode(how, first, MODES.find((one) => one === second) ?? 'dryRun', args.breaker),
    release: () => release(how, words, args.all),
    exempt: () => exempt(how, words, args.remove),
  };
  const results = await carryOut[args.command as Switch]();
  show(output, { command: args.command, dryRun, results }, around, (view) =>
    view.results.length === 0 ? 'Nothing to do: no pod is paused.' : printAction(view, style),
  );
  return results.some(({ result }) => result === 'failed') ? FAILED : OK;
}

/** Never tells of an error: in the middle of a line that a person types there is no place for one. */
async function complete(words: readonly string[], around: Surroundings): Promise<number> {
  const want = wanted(words);
  if ('candidates' in want) {
    around.out(`${answer(want.candidates)}\n`);
    return OK;
  }
  const last = words.at(-1) ?? '';
  const names = await namesOf(want.names, optionsIn(words), around).catch(() => []);
  around.out(`${answer(names.filter((word) => word.startsWith(last)).map((word) => ({ word })))}\n`);
  return OK;
}

/** The options that say which cluster is meant, among words that are not complete. */
function optionsIn(words: readonly string[]): Pick<Arguments, 'namespace' | 'context' | 'kubeconfig'> {
  const after = (...names: string[]): string | undefined => {
    const at = words.findIndex((word) => names.includes(word));
    return at < 0 || at + 1 >= words.length - 1 ? undefined : words[at + 1];
  };
  return { namespace: after('-n', '--namespace'), context: after('--context'), kubeconfig: after('--kubeconfig') };
}

const COMPLETION_WITHIN = 3000;

async function namesOf(
  kind: 'resources' | 'pods' | 'services',
  options: Parameters<typeof connect>[0],
  { env }: Surroundings,
): Promise<string[]> {
  const cluster = connect(options, env);
  try {
    const { namespace, kubernetes } = cluster;
    const look: Record<typeof kind, () => Promise<string[]>> = {
      resources: async () => (await cluster.resources(namespace)).map((one) => one.resource.name),
      services: async () => (await cluster.services()).map(({ name }) => name),
      pods: async () => (await kubernetes.listPods(namespace, 'kubervisor/name')).map(({ name }) => name),
    };
    const late = new Promise<string[]>((resolve) => setTimeout(() => resolve([]), COMPLETION_WITHIN).unref());
    return await Promise.race([look[kind](), late]);
  } finally {
    await cluster.close();
  }
}
