/**
 * `npm run false-positives`: how often each setting of the outlier detector is wrong about a healthy fleet. The table of
 * docs/detectors/outlier.md is its output. Exits 2 on bad arguments.
 */
import { parseArgs } from 'node:util';
import { atMost, DISTRIBUTIONS, SETTINGS, SIZES, wrongShare, type Share } from './healthy-fleets.ts';

const HELP = `Usage: npm run false-positives -- [options]

  --evaluations N  of pods, for each size of fleet, distribution and setting (300000)
  --seed N         (1)
  --json           every share, in place of the table of the worst
  -h, --help       this text`;

/** The next figure that is not smaller, so that what is written is never better than what was measured. */
const written = (share: number): string => {
  const unit = 10 ** (Math.floor(Math.log10(share)) - 1);
  return `${Number((Math.ceil(share / unit) * unit * 100).toPrecision(2))} %`;
};

function main(): void {
  const options = {
    evaluations: { type: 'string', default: '300000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ options }));
    for (const name of ['evaluations', 'seed'] as const)
      if (!/^[1-9]\d{0,8}$/.test(values[name]))
        throw new Error(`--${name}: ${JSON.stringify(values[name])} is not a number from 1 to 999999999`);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
  if (values.help) return console.log(HELP);
  const [evaluations, seed] = [Number(values.evaluations), Number(values.seed)];

  const results = SETTINGS.map((setting) => {
    console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${setting.name}`);
    const byDistribution = Object.entries(DISTRIBUTIONS).map(([distribution, draw]) => ({
      distribution,
      shares: SIZES.map((pods) => wrongShare(setting, draw, { pods, evaluations, seed })),
    }));
    return { setting, byDistribution };
  });
  if (values.json) return console.log(JSON.stringify({ seed, evaluations, results }, undefined, 2));

  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const head = ['at most so many wrong verdicts', ...Object.keys(DISTRIBUTIONS)];
  console.log([row(head), row(head.map(() => '---'))].join('\n'));
  for (const { setting, byDistribution } of results) {
    const cells = byDistribution.map(({ shares }) => {
      const worst = shares.reduce((one: Share, other) => (atMost(other) > atMost(one) ? other : one));
      const share = written(atMost(worst));
      return atMost(worst) < 1e-4 ? `**${share}**` : `${share} (${worst.pods} pods)`;
    });
    console.log(row([setting.name, ...cells]));
  }
}

main();
