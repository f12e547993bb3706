/** The Grafana dashboard, from what it shows: rows of panels, each a question with its queries. */

export interface Query {
  expr: string;
  legend: string;
}
interface Panel {
  title: string;
  /** What one reads off it, and what is usual. */
  description: string;
  unit?: 'short' | 's' | 'percentunit' | 'bytes' | 'ops';
  queries: readonly Query[];
  /** One figure instead of lines over time. */
  stat?: boolean;
  stacked?: boolean;
}

const FLEET = 'namespace=~"$namespace", name=~"$name"';
const rate = (metric: string, by: string, matchers = ''): string =>
  `sum by (${by}) (rate(${metric}${matchers === '' ? '' : `{${matchers}}`}[$__rate_interval]))`;
const quantile = (q: number, metric: string, by: string): string =>
  `histogram_quantile(${q}, sum by (${[...by.split(', ').filter(Boolean), 'le'].join(', ')}) (rate(${metric}_bucket[$__rate_interval])))`;

export const ROWS: readonly { title: string; panels: readonly Panel[] }[] = [
  {
    title: 'At a glance',
    panels: [
      {
        title: 'Leader',
        description: 'One, and for some seconds of a fail-over none.',
        stat: true,
        queries: [{ expr: 'sum(kubervisor_leader_info)', legend: 'leading' }],
      },
      {
        title: 'Processes',
        description: 'Those that Prometheus scrapes, by service.',
        stat: true,
        queries: [{ expr: 'count by (component) (kubervisor_build_info)', legend: '{{component}}' }],
      },
      {
        title: 'Resources',
        description: 'KubervisorServices that are Ready.',
        stat: true,
        queries: [{ expr: 'count(kubervisor_fleet_pods{state="available"})', legend: 'resources' }],
      },
      {
        title: 'Under their floor',
        description: 'Fleets with fewer pods available than their floor: usually none.',
        stat: true,
        queries: [
          {
            expr: 'count(kubervisor_fleet_pods{state="available"} < on (namespace, name) group_left () kubervisor_floor_pods) or vector(0)',
            legend: 'fleets',
          },
        ],
      },
    ],
  },
  {
    title: 'Fleets',
    panels: [
      {
        title: 'Pods by state',
        description: 'Of the fleets chosen above: available, unready, out of traffic, paused.',
        stacked: true,
        queries: [{ expr: `sum by (state) (kubervisor_fleet_pods{${FLEET}})`, legend: '{{state}}' }],
      },
      {
        title: 'Available, and the floor',
        description: 'No break of Kubervisor takes the first under the second.',
        queries: [
          { expr: `kubervisor_fleet_pods{state="available", ${FLEET}}`, legend: '{{namespace}}/{{name}}' },
          { expr: `kubervisor_floor_pods{${FLEET}}`, legend: 'floor of {{namespace}}/{{name}}' },
        ],
      },
      {
        title: 'Since the last decision, in periods',
        description: 'How long each breaker has been blind. About one; it grows while its detector fails.',
        queries: [
          {
            expr: `(time() - kubervisor_last_evaluation_timestamp_seconds{${FLEET}}) / kubervisor_evaluation_period_seconds{${FLEET}}`,
            legend: '{{namespace}}/{{name}} {{breaker}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Decisions',
    panels: [
      {
        title: 'Evaluations',
        description: 'By what they came to. panic: so much is bad that nobody is broken.',
        unit: 'ops',
        queries: [{ expr: rate('kubervisor_evaluations_total', 'result'), legend: '{{result}}' }],
      },
      {
        title: 'Out of traffic and back',
        description: 'Pods a second; really, not those of dry runs.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_breaks_total', 'enforced', 'enforced="true"'), legend: 'broken' },
          { expr: rate('kubervisor_activations_total', 'reason', 'enforced="true"'), legend: 'back: {{reason}}' },
          { expr: rate('kubervisor_pauses_total', 'reason', 'enforced="true"'), legend: 'paused: {{reason}}' },
          { expr: rate('kubervisor_kills_total', 'reason', 'enforced="true"'), legend: 'killed: {{reason}}' },
        ],
      },
      {
        title: 'Withheld',
        description: 'Bad pods that were left in traffic, and pods that were left out of it, by reason.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_breaks_withheld_total', 'reason'), legend: 'break: {{reason}}' },
          { expr: rate('kubervisor_activations_withheld_total', 'reason'), legend: 'return: {{reason}}' },
        ],
      },
      {
        title: 'Reaction',
        description: 'From the last verdict of a round to the patch of a pod.',
        unit: 's',
        queries: [
          { expr: quantile(0.5, 'kubervisor_reaction_duration_seconds', ''), legend: 'p50' },
          { expr: quantile(0.95, 'kubervisor_reaction_duration_seconds', ''), legend: 'p95' },
        ],
      },
    ],
  },
  {
    title: 'Work',
    panels: [
      {
        title: 'Rounds',
        description: 'As workers ended them. refused: another had the claim already; a few are usual.',
        unit: 'ops',
        queries: [{ expr: rate('kubervisor_rounds_total', 'kind, outcome'), legend: '{{kind}} {{outcome}}' }],
      },
      {
        title: 'Age of work when it is taken up',
        description: 'p95. More than a second: too few workers (scale breakers up).',
        unit: 's',
        queries: [{ expr: quantile(0.95, 'kubervisor_work_queue_age_seconds', 'kind'), legend: '{{kind}}' }],
      },
      {
        title: 'Length of rounds',
        description: 'p95, the detector and its sources included.',
        unit: 's',
        queries: [{ expr: quantile(0.95, 'kubervisor_round_duration_seconds', 'kind'), legend: '{{kind}}' }],
      },
      {
        title: 'What did not get through',
        description:
          'Work that could not be published, rounds whose fact could not be told, messages that could not be read.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_work_published_total', 'kind', 'result="failed"'), legend: 'work: {{kind}}' },
          { expr: rate('kubervisor_untold_rounds_total', 'kind'), legend: 'untold: {{kind}}' },
          { expr: rate('kubervisor_poison_messages_total', 'kind'), legend: 'unreadable: {{kind}}' },
        ],
      },
    ],
  },
  {
    title: 'Detectors',
    panels: [
      {
        title: 'Evaluations asked for',
        description: 'By kind of detector and result; anything but answered is an error in status.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_detector_evaluations_total', 'kind, result'), legend: '{{kind}} {{result}}' },
        ],
      },
      {
        title: 'Requests to sources and plug-ins',
        description: 'By source and result.',
        unit: 'ops',
        queries: [
          {
            expr: rate('kubervisor_detector_source_request_duration_seconds_count', 'source, result'),
            legend: '{{source}} {{result}}',
          },
        ],
      },
      {
        title: 'Time of requests to sources and plug-ins',
        description: 'p95.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.95, 'kubervisor_detector_source_request_duration_seconds', 'source'),
            legend: '{{source}}',
          },
        ],
      },
      {
        title: 'Verdicts, and what did not count',
        description: 'By outcome; and samples and named pods that were left out, by reason.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_detector_verdicts_total', 'outcome'), legend: '{{outcome}}' },
          { expr: rate('kubervisor_detector_ignored_total', 'reason'), legend: 'ignored: {{reason}}' },
        ],
      },
    ],
  },
  {
    title: 'Health of Kubervisor',
    panels: [
      {
        title: 'Since the watch was heard',
        description: 'At rest up to a minute. More than three: what the controller knows is stale.',
        unit: 's',
        queries: [{ expr: 'time() - kubervisor_watch_heard_timestamp_seconds', legend: '{{instance}} {{collection}}' }],
      },
      {
        title: 'Missed changes',
        description: 'Found by a list, told by no watch; some after a restart of the API server are usual.',
        queries: [{ expr: 'kubervisor_missed_watch_events_count', legend: '{{instance}} {{collection}}' }],
      },
      {
        title: 'Writes to the API server',
        description: 'Of statuses and of labels on pods (adopted, released), by result.',
        unit: 'ops',
        queries: [
          { expr: rate('kubervisor_status_writes_total', 'result'), legend: 'status: {{result}}' },
          {
            expr: rate('kubervisor_membership_changes_total', 'reason, result'),
            legend: '{{reason}}: {{result}}',
          },
        ],
      },
      {
        title: 'Clocks',
        description: 'How far each worker is ahead of the leader.',
        unit: 's',
        queries: [{ expr: 'kubervisor_clock_offset_seconds', legend: '{{instance}}' }],
      },
      {
        title: 'Memory',
        description: 'Resident, by process.',
        unit: 'bytes',
        queries: [
          {
            expr: 'process_resident_memory_bytes and on (instance) kubervisor_build_info',
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Event loop',
        description: 'p99 of its delay, by process.',
        unit: 's',
        queries: [
          {
            expr: 'nodejs_eventloop_lag_p99_seconds and on (instance) kubervisor_build_info',
            legend: '{{instance}}',
          },
        ],
      },
    ],
  },
];

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const WIDTH = 24;

function panelOf({ title, description, unit = 'short', queries, stat = false, stacked = false }: Panel) {
  const custom = stacked ? { custom: { stacking: { mode: 'normal' }, fillOpacity: 40 } } : {};
  return {
    type: stat ? 'stat' : 'timeseries',
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, min: stat ? undefined : 0, ...custom }, overrides: [] },
    ...(stat ? { options: { colorMode: 'none', graphMode: 'none' } } : {}),
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(stat ? { instant: true } : {}),
    })),
  };
}

function laidOut(): object[] {
  let id = 0;
  let y = 0;
  return ROWS.flatMap(({ title, panels }) => {
    const row = {
      type: 'row',
      id: ++id,
      title,
      collapsed: false,
      panels: [],
      gridPos: { h: 1, w: WIDTH, x: 0, y: y++ },
    };
    const perLine = Math.min(panels.length, 4);
    const w = Math.floor(WIDTH / perLine);
    const h = panels.every(({ stat }) => stat === true) ? 4 : 8;
    const placed = panels.map((panel, index) => ({
      id: ++id,
      ...panelOf(panel),
      gridPos: { h, w, x: (index % perLine) * w, y: y + h * Math.floor(index / perLine) },
    }));
    y += h * Math.ceil(panels.length / perLine);
    return [row, ...placed];
  });
}

const chosen = (name: string, query: string) => ({
  type: 'query',
  name,
  label: name,
  datasource: DATASOURCE,
  definition: query,
  query: { query, refId: name },
  refresh: 2,
  includeAll: true,
  multi: true,
  current: { text: 'All', value: '$__all' },
});

/** For Grafana 10 and later: imported by hand, or by its sidecar from a ConfigMap. */
export const dashboard = (): object => ({
  uid: 'kubervisor',
  title: 'Kubervisor',
  description: 'Which pods get no traffic and why, and how Kubervisor itself is.',
  tags: ['kubervisor'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  templating: {
    list: [
      { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus', current: {} },
      chosen('namespace', 'label_values(kubervisor_fleet_pods, namespace)'),
      chosen('name', 'label_values(kubervisor_fleet_pods{namespace=~"$namespace"}, name)'),
    ],
  },
  panels: laidOut(),
});
