/** Views → what people read. Colours only where they are asked for; tables as kubectl prints them. */
import type { History, HistoryFact } from '@kubervisor/shared/events/history';
import { createColors } from 'picocolors';
import { ago, ahead } from './durations.ts';
import type { ExplainView } from './explain.ts';
import type { ActionView, ChangeView, GetView, PodView, ResourceView, VersionView } from './views.ts';

export interface Style {
  colored: boolean;
  wide: boolean;
  /** The namespace is a column. */
  namespaces: boolean;
  now: number;
}

type Paint = (text: string) => string;
interface Cell {
  text: string;
  paint?: Paint | undefined;
}
const cell = (text: string, paint?: Paint): Cell => ({ text, paint });

/** What the world writes must not steer a terminal: names and reasons come from objects that others may write. */
export const harmless = (text: string): string => text.replace(/\p{Cc}/gu, ' ');

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const clean = rows.map((row) => row.map(({ text, paint }) => cell(harmless(text), paint)));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...clean.map((row) => row[column]?.text.length ?? 0)),
  );
  const line = (cells: readonly Cell[]): string =>
    cells
      .map(({ text, paint = String }, column) =>
        column === cells.length - 1 ? paint(text) : paint(text) + ' '.repeat((widths[column] ?? 0) - text.length),
      )
      .join('   ')
      .trimEnd();
  return [line(head.map((title) => cell(title))), ...clean.map(line)].join('\n');
}

const or = (text: string | number | undefined, otherwise = '-'): string =>
  text === undefined || text === '' ? otherwise : String(text);

export function printList(resources: readonly ResourceView[], { colored, wide, namespaces, now }: Style): string {
  const { green, yellow, red, dim } = createColors(colored);
  const head = [
    ...(namespaces ? ['NAMESPACE'] : []),
    ...['NAME', 'SERVICE', 'MODE', 'ACTIVE', 'AVAILABLE', 'FLOOR', 'OUT', 'PAUSED', 'HEALTH', 'AGE'],
    ...(wide ? ['BREAKERS', 'MESSAGE'] : []),
  ];
  return table(
    head,
    resources.map((one) => {
      const health = one.problem?.reason ?? (one.ready === 'Unknown' ? 'Unknown' : 'Healthy');
      const tell =
        one.problem === undefined ? (health === 'Healthy' ? green : dim) : one.ready === 'False' ? red : yellow;
      const away = (count: number | undefined): Cell => cell(or(count), (count ?? 0) > 0 ? yellow : undefined);
      return [
        ...(namespaces ? [cell(one.namespace)] : []),
        cell(one.name),
        cell(one.service),
        cell(or(one.mode), one.mode === 'enforce' ? undefined : yellow),
        cell(one.active, one.active === 'True' ? undefined : yellow),
        cell(one.available === undefined ? '-' : `${one.available}/${or(one.managed)}`),
        cell(or(one.floor)),
        away(one.out),
        away(one.paused),
        cell(health, tell),
        cell(ago(one.createdAt, now)),
        ...(wide ? [cell(one.breakers.join(',')), cell(or(one.problem?.message))] : []),
      ];
    }),
  );
}

const STATE: Record<PodView['state'], string> = {
  closed: 'in traffic',
  open: 'out',
  'half-open': 'probation',
  paused: 'paused',
  unmanaged: 'not managed',
};

export const stateText = (pod: PodView): string =>
  [
    pod.terminating ? 'ending' : STATE[pod.state],
    ...(pod.ready || pod.terminating ? [] : ['not ready']),
    ...(pod.exempt ? ['exempt'] : []),
    ...(pod.wouldBe === undefined ? [] : [`dry run: ${pod.wouldBe === 'broken' ? 'out' : 'paused'}`]),
  ].join(', ');

const nextText = (pod: PodView, now: number): string =>
  pod.state === 'half-open' ? `closed ${ahead(pod.probationUntil, now)}` : ahead(pod.nextActionTime, now);

export function printPods(pods: readonly PodView[], { colored, wide, now }: Style): string {
  const { green, yellow, red, dim } = createColors(colored);
  const paints: Record<PodView['state'], Paint> = {
    closed: green,
    open: red,
    'half-open': yellow,
    paused: red,
    unmanaged: dim,
  };
  return table(
    [
      'POD',
      'STATE',
      'BREAKER',
      'SINCE',
      'BREAKS',
      'NEXT',
      'HELD BY',
      'REASON',
      ...(wide ? ['OBSERVED', 'LIMIT', 'UID'] : []),
    ],
    pods.map((pod) => [
      cell(pod.name),
      cell(stateText(pod), paints[pod.state]),
      cell(or(pod.breaker)),
      cell(or(ago(pod.since, now))),
      cell(pod.retryCount === 0 ? '-' : String(pod.retryCount)),
      cell(or(nextText(pod, now))),
      cell(or(pod.heldBy)),
      cell(or(pod.reason)),
      ...(wide ? [cell(or(pod.observed)), cell(or(pod.limit)), cell(pod.uid)] : []),
    ]),
  );
}

export function printWhole(view: GetView, style: Style): string {
  const { bold, yellow, red } = createColors(style.colored);
  const breakers = table(
    ['BREAKER', 'KIND', 'MODE', 'FLOOR', 'LAST', 'RESULT', 'BAD', 'BROKEN', 'WITHHELD', 'MESSAGE'],
    view.breakers.map((one) => [
      cell(one.name),
      cell(one.kind),
      cell(one.mode, one.mode === 'enforce' ? undefined : yellow),
      cell(or(one.floor)),
      cell(or(ago(one.lastEvaluationTime, style.now))),
      cell(or(one.result), one.result === 'error' || one.result === 'panic' ? red : undefined),
      cell(or(one.anomalous)),
      cell(or(one.broken)),
      cell(or(one.withheld)),
      cell(or(one.message)),
    ]),
  );
  return [
    `${bold(view.name)} supervises the Service ${view.service} in ${view.namespace}`,
    `${or(view.available, '?')} of ${or(view.managed, '?')} Ready pods in traffic, floor ${or(view.floor, 'none')}; ` +
      `${or(view.out, '?')} out, ${or(view.paused, '?')} paused; mode ${or(view.mode, '?')}`,
    ...view.conditions.map(({ type, status, reason, message }) => {
      const bad = type === 'Degraded' ? status === 'True' : status !== 'True';
      return `${type}: ${(bad ? yellow : String)(status)} ${reason}${message === undefined ? '' : `: ${harmless(message)}`}`;
    }),
    ...(view.conditions.length === 0 ? ['No status yet: is the controller running?'] : []),
    '',
    breakers,
    '',
    view.pods.length === 0 ? 'No pods.' : printPods(view.pods, style),
  ].join('\n');
}

export function printExplanation({ sentences, next }: ExplainView, { colored }: Pick<Style, 'colored'>): string {
  const { bold, dim } = createColors(colored);
  const [first = '', ...rest] = sentences.map(harmless);
  return [
    bold(first),
    ...rest,
    ...(next.length === 0 ? [] : ['', dim('Next:'), ...next.map((line) => `  ${line}`)]),
  ].join('\n');
}

const FACT: Record<HistoryFact['type'], string> = {
  'pod-broken': 'broken',
  'pod-activated': 'brought back',
  'pod-paused': 'paused',
  'pod-killed': 'killed',
  'pod-released': 'released',
};

export function printHistory({ name, facts, more, unreadable }: History, { colored, wide, now }: Style): string {
  const { red, green, yellow, dim } = createColors(colored);
  const paints: Record<HistoryFact['type'], Paint> = {
    'pod-broken': red,
    'pod-activated': green,
    'pod-paused': yellow,
    'pod-killed': red,
    'pod-released': green,
  };
  if (facts.length === 0) return `Nothing happened to the pods of ${name} in the days that are kept.`;
  const lines = table(
    ['TIME', 'AGO', 'WHAT', 'POD', 'BREAKER', 'REASON', 'MESSAGE', ...(wide ? ['BY', 'ROUND', 'UID'] : [])],
    facts.map((fact) => [
      cell(fact.at),
      cell(ago(fact.at, now)),
      cell(`${fact.enforced ? '' : 'dry run: '}${FACT[fact.type]}`, fact.enforced ? paints[fact.type] : dim),
      cell(fact.pod),
      cell(or(fact.breaker)),
      cell(fact.reason),
      cell(fact.message),
      ...(wide ? [cell(fact.actor), cell(or(fact.round)), cell(fact.uid)] : []),
    ]),
  );
  return [
    lines,
    ...(more ? [dim('Older facts are kept: --limit shows more.')] : []),
    ...(unreadable > 0 ? [yellow(`${unreadable} facts are of a version that the controller cannot read.`)] : []),
  ].join('\n');
}

export function printAction({ results, dryRun }: ActionView, { colored }: Pick<Style, 'colored'>): string {
  const { green, yellow, red, dim } = createColors(colored);
  return results
    .flatMap(({ result, message, next, warnings }) => {
      const paint = { changed: green, wouldChange: String, unchanged: dim, failed: red }[result];
      return [
        paint(harmless(result === 'wouldChange' ? `Dry run, nothing is changed; it would be: ${message}` : message)),
        ...(next === undefined ? [] : [`  Next: ${harmless(next)}`]),
        ...warnings.map((warning) => yellow(`  Warning: ${harmless(warning)}`)),
      ];
    })
    .concat(dryRun && results.length === 0 ? ['Nothing would be changed.'] : [])
    .join('\n');
}

export const printChange = (
  { at, namespace, kind, name, message }: ChangeView,
  { colored }: Pick<Style, 'colored'>,
): string => {
  const { dim } = createColors(colored);
  return `${dim(at)}  ${kind === 'Pod' ? 'pod' : 'kvs'} ${namespace}/${name}: ${harmless(message)}`;
};

export function printVersion({ client, server, problems }: VersionView, { colored }: Pick<Style, 'colored'>): string {
  const { yellow } = createColors(colored);
  return [
    `kubectl kubervisor ${client.version} (Node ${client.node})`,
    ...(server === undefined
      ? []
      : [
          `API server         ${or(server.kubernetes, 'unknown')} at ${server.url}`,
          `CRD                ${server.crd === undefined ? 'unknown' : `version ${server.crd}`}`,
          ...server.workloads.map(
            ({ component, namespace, name, image, ready, replicas }) =>
              `${component.padEnd(18)} ${image}, ${ready} of ${replicas} ready (${namespace}/${name})`,
          ),
        ]),
    ...problems.map((problem) => yellow(`Not seen: ${harmless(problem)}`)),
  ].join('\n');
}
