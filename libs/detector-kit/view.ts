/** What people read of a check. */
import { createColors } from 'picocolors';
import { OBLIGATION_NAMES } from './core/obligations.ts';
import type { Finding, Report } from './shell/check.ts';

const WIDTH = Math.max(...OBLIGATION_NAMES.map((name) => name.length));

/** One line where it holds; where it does not, what was sent, what came back, and what is to be done. */
export function findingText(
  { obligation, level, says, result, problem, todo, sent, received }: Finding,
  colored: boolean,
): string {
  const { green, red, yellow, dim, bold } = createColors(colored);
  const name = obligation.padEnd(WIDTH);
  if (result === 'held') return `  ${green('ok    ')} ${name}  ${dim(says)}\n`;
  if (result === 'unchecked') return `  ${dim('  –   ')} ${name}  ${dim(`not checked: ${problem}`)}\n`;
  const mark = level === 'must' ? red('BROKEN') : yellow('should');
  const rows = [
    ['found', bold(problem ?? '')],
    ['sent', sent],
    ['got', received],
    ['do', todo],
  ].flatMap(([what, text]) => (text === undefined ? [] : [`           ${dim((what ?? '').padEnd(6))}${text}\n`]));
  return `  ${mark} ${name}  ${says}\n${rows.join('')}`;
}

export function summaryText({ findings, ok, incomplete, plugin, parameters }: Report, colored: boolean): string {
  const { green, red } = createColors(colored);
  const number = (result: Finding['result'], level?: Finding['level']): number =>
    findings.filter((one) => one.result === result && (level === undefined || one.level === level)).length;
  const counts = [
    `${number('held')} held`,
    `${number('broken', 'must')} broken`,
    ...(number('broken', 'should') > 0 ? [`${number('broken', 'should')} should be otherwise`] : []),
    ...(number('unchecked') > 0 ? [`${number('unchecked')} not checked`] : []),
  ].join(', ');
  const who = plugin === undefined ? 'The plug-in' : `${plugin.name} ${plugin.version}`;
  const verdict = ok ? green('keeps contract v1') : red(incomplete ?? 'does not keep contract v1');
  const asked = parameters === undefined ? '' : ` (asked with parameters ${JSON.stringify(parameters)})`;
  return incomplete === undefined ? `${who} ${verdict}: ${counts}${asked}.\n` : `${verdict}\n${counts}.\n`;
}
