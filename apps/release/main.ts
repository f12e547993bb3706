/** `npm run release`. Exit status: see HELP. */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { connectApiServer } from '@kubervisor/runtime/kubernetes/api-server';
import { release, type Found, type ReleaseListeners } from '@kubervisor/runtime/release/release';
import { HELP, readArguments, UsageError } from './arguments.ts';
import { presenter, question, summaryOf } from './view.ts';

const { stdout, stdin, stderr, env } = process;

const stopping = new AbortController();
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const)
  process.on(name, () => {
    // Nothing that was begun needs an end: whoever cannot wait for the answers under way need not.
    if (stopping.signal.aborted) process.exit(128 + number);
    stopping.abort();
  });

// Nobody reads on (`npm run release | head`): the same as a Ctrl-C.
stdout.on('error', () => stopping.abort());

async function ask(found: Found): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stdout });
  try {
    return /^y(es)?$/i.test((await lines.question(question(found), { signal: stopping.signal })).trim());
  } finally {
    lines.close();
  }
}

async function run(): Promise<number> {
  const args = readArguments(process.argv.slice(2), env, existsSync);
  if (args.help) {
    stdout.write(`${HELP}\n`);
    return 0;
  }
  const isTerminal = stdout.isTTY && !args.json;
  const colored = isTerminal && (env['NO_COLOR'] ?? '') === '';
  const api = connectApiServer({
    ...(args.kubeconfig.length > 0 && { kubeconfigFile: args.kubeconfig }),
    ...(args.context !== undefined && { context: args.context }),
    userAgent: 'kubervisor-release',
  });
  const write = (text: string): unknown => (args.json ? undefined : stdout.write(text));
  write(
    `Kubervisor lets go, on ${api.url}, ${args.namespaces.length === 0 ? 'all namespaces' : args.namespaces.join(', ')}\n`,
  );
  const isAsked = isTerminal && stdin.isTTY && !args.yes;
  const listeners: ReleaseListeners = {
    ...presenter({ write, isTerminal, colored }, () => performance.now()),
    confirm: (found) => (isAsked ? ask(found) : Promise.resolve(true)),
  };
  try {
    const report = await release(
      api,
      {
        namespaces: args.namespaces,
        ...(args.systemNamespace !== undefined && { systemNamespace: args.systemNamespace }),
        leaseName: args.lease,
        dryRun: args.dryRun,
        force: args.force,
      },
      listeners,
      stopping.signal,
    );
    if (args.json) stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else write(`${summaryOf(report, colored)}\n`);
    if (report.ended === 'interrupted') return 130;
    return report.ok ? 0 : 1;
  } finally {
    await api.close();
  }
}

try {
  process.exitCode = await run();
} catch (error) {
  const isUsage = error instanceof UsageError;
  stderr.write(`${(error as Error).message}\n${isUsage ? `\n${HELP}\n` : ''}`);
  process.exitCode = isUsage ? 2 : 1;
}
