/** `npm run model`: as many random schedules as are asked for. Exits 1 where a rule was broken, with the command that replays it. */
import { parseArgs } from 'node:util';
import { COUNTED } from './observer.ts';
import { runSchedule } from './schedule.ts';

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const schedules = values.trace ? 1 : Number(values.schedules);
const began = process.hrtime.bigint();
const totals = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<string, number>;
let virtual = 0;
let longestRepair = 0;
let turns = 0;
const failures: number[] = [];
for (let seed = first; seed < first + schedules; seed++) {
  const outcome = await runSchedule(seed, { traced: values.trace });
  for (const line of outcome.lines) console.log(line);
  for (const name of COUNTED) totals[name]! += outcome.counts[name];
  virtual += outcome.lasted;
  turns += outcome.turns;
  longestRepair = Math.max(longestRepair, outcome.repairedAfter);
  if (outcome.violations.length === 0) continue;
  failures.push(seed);
  for (const { rule, at, message } of outcome.violations.slice(0, 1))
    console.log(`seed ${seed}, after ${(at / 1000).toFixed(3)} s: ${rule}: ${message}`);
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
console.log(
  JSON.stringify({
    seconds,
    perSecond: schedules / seconds,
    virtual: virtual / 1000 / schedules,
    turns: turns / schedules,
    longestRepair,
    ...totals,
  }),
);
console.log(`${schedules - failures.length} passed, ${failures.length} failed`);
