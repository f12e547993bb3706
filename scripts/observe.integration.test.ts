/** The alert rules and the dashboard name what there is, and each alert fires when it should, is explained, and is quiet otherwise. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { findProgram } from '@kubervisor/testing/servers/install';
import { parse } from 'yaml';
import { ROWS } from './dashboard.ts';
import { METRICS } from './operator-pages.ts';

const root = join(import.meta.dirname, '..');
const alerts = join(root, 'deploy/k8s/alerts');
const read = (path: string): string => readFileSync(path, 'utf8');

interface Rule {
  alert: string;
  expr: string;
  annotations: Record<string, string>;
}
interface RuleTest {
  alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[];
}
const rules = (parse(read(join(alerts, 'kubervisor.yaml'))) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const cases = (parse(read(join(alerts, 'kubervisor.test.yaml'))) as { tests: RuleTest[] }).tests.flatMap(
  (one) => one.alert_rule_test,
);

/** Debian's prometheus package has both. */
const promtool = (): string =>
  join(dirname(findProgram({ name: 'prometheus', variable: 'PROMETHEUS', package: 'prometheus' })), 'promtool');
const run = (...args: string[]): string => execFileSync(promtool(), args, { cwd: alerts, encoding: 'utf8' });

const declared = new Map(
  Object.values(METRICS).flatMap((definitions) =>
    Object.values(definitions).map(({ name, type, labels = [] }) => [name, { type, labels: [...labels] }] as const),
  ),
);
const SUFFIX = /_(bucket|count|sum)$/;
const definitionOf = (name: string) => declared.get(name) ?? declared.get(name.replace(SUFFIX, ''));
const queries = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...ROWS.flatMap(({ panels }) =>
    panels.flatMap(({ title, queries: all }) => all.map(({ expr }) => [title, expr] as const)),
  ),
];

describe('alert rules', () => {
  test('promtool accepts them, and its cases pass', () => {
    expect(run('check', 'rules', 'kubervisor.yaml')).toContain(`SUCCESS: ${rules.length} rules found`);
    expect(run('test', 'rules', 'kubervisor.test.yaml')).toContain('SUCCESS');
  });

  test.each(rules.map(({ alert }) => alert))('%s: a case in which it fires, and one in which it does not', (alert) => {
    const own = cases.filter(({ alertname }) => alertname === alert);
    expect(own.filter(({ exp_alerts = [] }) => exp_alerts.length > 0)).not.toEqual([]);
    expect(own.filter(({ exp_alerts = [] }) => exp_alerts.length === 0)).not.toEqual([]);
  });

  test('promtool accepts the configuration of docs/alerts.md', () => {
    const [, text = ''] = /^```yaml\n([\s\S]*?)^```/m.exec(read(join(root, 'docs/alerts.md'))) ?? [];
    const folder = makeFolder('alerts-page');
    try {
      writeFileSync(join(folder, 'prometheus.yml'), text);
      copyFileSync(join(alerts, 'kubervisor.yaml'), join(folder, 'kubervisor.yaml'));
      expect(run('check', 'config', join(folder, 'prometheus.yml'))).toContain('SUCCESS: 1 rule files found');
    } finally {
      removeFolder(folder);
    }
  });

  test('docs/alerts.md has a section for each, and none for what there is not', () => {
    const sections = [...read(join(root, 'docs/alerts.md')).matchAll(/^## (\w+)$/gm)].map(([, title]) => title);
    expect(sections).toEqual(rules.map(({ alert }) => alert));
    for (const { alert, annotations } of rules)
      expect(annotations['runbook']).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
  });
});

test.each(queries)('%s asks for metrics and labels that a service declares', (_title, expr) => {
  const names = expr.match(/\bkubervisor_\w+/g) ?? [];
  expect(names).not.toEqual([]);
  for (const name of names) {
    expect([name, definitionOf(name)]).toEqual([name, expect.anything()]);
    const isHistogram = definitionOf(name)?.type === 'histogram';
    expect([name, SUFFIX.test(name) && declared.get(name) === undefined]).toEqual([name, isHistogram]);
  }
  for (const [, name = '', matchers = ''] of expr.matchAll(/\b(kubervisor_\w+)\{([^}]*)\}/g)) {
    const labels = [...matchers.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label);
    expect(definitionOf(name)?.labels).toEqual(expect.arrayContaining(labels));
  }
});
