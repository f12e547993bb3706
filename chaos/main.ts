/** `npm run chaos`. Exits 0 where every rule held, 1 where one did not or it could not run, 2 on bad arguments, 130 when interrupted. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readWords, statusOf, stopOnSignals, UsageError } from '@kubervisor/runtime/main/command';
import { mutate, MUTATIONS } from './mutations.ts';
import { openRecord } from './record.ts';
import { runChaos } from './run.ts';
import { isPassed, textOf } from './verdict.ts';

const HELP = `Usage: npm run chaos -- [options]

Everything on real parts, and everything goes wrong: processes and servers are killed and frozen at the worst moments, connections are
cut and silenced, requests refused, detectors hang, people change their minds. An observer of its own judges each write. It takes
KUBEBUILDER_ASSETS (a folder with etcd, kube-apiserver and kube-controller-manager), else the simulator, and says so.

  --minutes M   how long (10)
  --seed S      of the schedule of faults: the same for the same seed (by the time of day)
  --without R   takes a rule away, to show that its lack is found: ${Object.keys(MUTATIONS).join(', ')}
  --bail        no further storm after the first violation
  --keep        keep the folder of logs also where all went well
  --json        one JSON object on stdout in place of the text
  -h, --help    this text`;

function readArguments(words: string[]) {
  const flag = { type: 'boolean', default: false } as const;
  const options = {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    without: { type: 'string' },
    bail: flag,
    keep: flag,
    json: flag,
    help: { ...flag, short: 'h' },
  } as const;
  const { values } = readWords({ args: words, options });
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.5 && minutes <= 1440))
    throw new UsageError(`--minutes ${values.minutes}: must be from 0.5 to 1440`);
  if (!/^\d{1,9}$/.test(values.seed))
    throw new UsageError(`--seed ${values.seed}: must be a number from 0 to 999999999`);
  if (values.without !== undefined && !Object.hasOwn(MUTATIONS, values.without))
    throw new UsageError(`--without ${values.without}: must be one of ${Object.keys(MUTATIONS).join(', ')}`);
  return {
    ...values,
    without: values.without as keyof typeof MUTATIONS | undefined,
    minutes,
    seed: Number(values.seed),
  };
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** What we started ends with us, also where a second Ctrl-C does not wait for it. */
const interrupted = stopOnSignals();

async function run(): Promise<number> {
  const args = readArguments(process.argv.slice(2));
  if (args.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const { minutes, seed, bail, keep, json, without } = args;
  if (without !== undefined) await mutate(without);
  const history = openRecord(mkdtempSync(join(tmpdir(), `kubervisor-chaos-${seed}-`)), () => new Date());
  say(`chaos: seed ${seed}, ${minutes} minutes; logs in ${history.folder}`);
  let passed = false;
  try {
    // A cluster that somebody gave on purpose (TEST_KUBECONFIG) is not ours to kill.
    const source = (process.env['KUBEBUILDER_ASSETS'] ?? '') === '' ? 'sandbox' : 'assets';
    const report = await runChaos({ source, minutes, seed, bail, history, say, signal: interrupted.signal });
    passed = isPassed(report);
    const kept = { ...report, ...((keep || !passed) && { folder: history.folder }) };
    process.stdout.write(`${json ? JSON.stringify(kept, undefined, 2) : textOf(kept)}\n`);
    return passed ? 0 : 1;
  } finally {
    await history.close(keep || (!passed && !interrupted.signal.aborted));
  }
}

process.exit(await statusOf(run, { help: HELP, couldNot: 'run', signal: interrupted.signal }));
