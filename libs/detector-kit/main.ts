#!/usr/bin/env node
/** `npx @kubervisor/detector-kit`. Exit status: see HELP. */
import { readFileSync } from 'node:fs';
import { HELP, readArguments, UsageError } from './arguments.ts';
import { findingText, summaryText } from './view.ts';

const { stdout, stderr, env } = process;

const OLDEST_NODE = 22;

async function run(): Promise<number> {
  if (Number.parseInt(process.versions.node) < OLDEST_NODE) {
    throw new UsageError(`this is Node ${process.versions.node}: Node ${OLDEST_NODE} or newer is needed`);
  }
  const args = readArguments(process.argv.slice(2), (file) => readFileSync(file, 'utf8'));
  if (args === undefined) {
    stdout.write(`${HELP}\n`);
    return 0;
  }
  const { url, json, ...options } = args;
  // Not before its version is known: an older Node cannot even read it.
  const { check } = await import('./shell/check.ts');
  // `isTTY` of a pipe is undefined, which the library of colours reads as: find out yourself.
  const colored = stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '';
  const write = (text: string): unknown => (json ? undefined : stdout.write(text));
  write(`${url} and contract v1\n`);
  const report = await check(url, { ...options, onFinding: (finding) => void write(findingText(finding, colored)) });
  if (json) stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else write(summaryText(report, colored));
  if (report.findings.some(({ level, result }) => level === 'must' && result === 'broken')) return 1;
  return report.incomplete === undefined ? 0 : 2;
}

try {
  process.exitCode = await run();
} catch (error) {
  const isUsage = error instanceof UsageError;
  stderr.write(isUsage ? `${error.message}\n\n${HELP}\n` : `${(error as Error).stack}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
