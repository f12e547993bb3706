/** `npm run release`. Exit status: see HELP. */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { connectApiServer } from '@kubervisor/runtime/kubernetes/api-server';
import { statusOf, stopOnSignals } from '@kubervisor/runtime/main/command';
import { release, type Found, type ReleaseListeners } from '@kubervisor/runtime/release/release';
import { HELP, readArguments } from './arguments.ts';
import { presenter, question, summaryOf } from './view.ts';

const { stdout, stdin, env } = process;

// Nothing that was begun needs an end: whoever cannot wait for the answers under way need not.
const stopping = stopOnSignals();

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

process.exitCode = await statusOf(run, { help: HELP });
