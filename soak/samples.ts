/** Everything that is looked at from the outside, again and again: our processes, and the servers that they hold on to. */
import type { ServiceProcess } from '@kubervisor/testing/services';
import { RISES, type Measured, type Rising } from './judgement.ts';
import { connectInspector, inspectorUrl, isOfInspector, type Inspector } from './live-heap.ts';
import { readMetrics, sumOf, type Sample } from './metrics.ts';
import { connectionsOf, figuresOf } from './proc.ts';
import type { Point } from './trend.ts';

const MEGABYTE = 1024 * 1024;
const FIGURES = Object.keys(RISES);

export interface Servers {
  natsPort: number;
  natsMonitor: string;
  apiServerPort: number;
}

export interface Sampler {
  /** All but the live heap, which takes a collection. */
  take(): Promise<void>;
  takeHeaps(): Promise<void>;
  /** What was sampled from then on. */
  since(at: number): Measured[];
  latest(subject: string, figure: Rising): number | undefined;
  /** What the processes of a service counted since `mark()`, together. */
  counted(service: ServiceProcess['service']): Sample[];
  mark(): void;
  /** Why a sample could not be taken. */
  readonly problems: readonly string[];
  close(): void;
}

const keyOf = ({ name, labels }: Sample): string => JSON.stringify([name, labels]);

/** What a process that was there all the time wrote to stderr first. */
const textsOf = (process: ServiceProcess): string[] =>
  process.log.flatMap(({ text }) => (typeof text === 'string' ? [text] : []));

export async function startSampling(processes: readonly ServiceProcess[], servers: Servers): Promise<Sampler> {
  const series = new Map<string, { subject: string; figure: Rising; points: Point[] }>();
  const add = (subject: string, figure: Rising, value: number): void => {
    const key = `${subject}/${figure}`;
    const known = series.get(key) ?? { subject, figure, points: [] };
    series.set(key, known);
    known.points.push({ at: performance.now(), value });
  };
  const problems: string[] = [];
  const guarded = async (what: string, take: () => Promise<void>): Promise<void> => {
    try {
      await take();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
    }
  };

  const inspectors = new Map<ServiceProcess, Inspector>();
  for (const process of processes) {
    const url = inspectorUrl(textsOf(process));
    if (url === undefined) throw new Error(`${process.name} does not say where its inspector listens`);
    inspectors.set(process, await connectInspector(url));
  }
  const latest = new Map<ServiceProcess, Sample[]>();
  let marked = new Map<ServiceProcess, Sample[]>();

  const json = async (path: string): Promise<Record<string, number>> =>
    (await (await fetch(`${servers.natsMonitor}${path}`)).json()) as Record<string, number>;

  return {
    async take() {
      for (const process of processes)
        await guarded(process.name, async () => {
          const { resident, files, sockets } = figuresOf(process.pid);
          add(process.name, 'resident', resident);
          add(process.name, 'open files', files);
          add(process.name, 'sockets', sockets);
          const samples = readMetrics(await process.metrics());
          latest.set(process, samples);
          add(process.name, 'active resources', sumOf(samples, 'nodejs_active_resources_total'));
        });
      await guarded('nats-server', async () => {
        const { subscriptions = Number.NaN } = await json('/varz');
        const { consumers = Number.NaN } = await json('/jsz');
        add('nats-server', 'connections', connectionsOf(servers.natsPort));
        add('nats-server', 'subscriptions', subscriptions);
        add('nats-server', 'consumers', consumers);
        add('API server', 'connections', connectionsOf(servers.apiServerPort));
      });
    },
    async takeHeaps() {
      for (const [process, inspector] of inspectors)
        await guarded(process.name, async () => {
          add(process.name, 'live heap', (await inspector.liveHeap()) / MEGABYTE);
        });
    },
    since: (at) =>
      [...series.values()]
        .sort((one, other) => FIGURES.indexOf(one.figure) - FIGURES.indexOf(other.figure))
        .map(({ points, ...rest }) => ({ ...rest, points: points.filter((point) => point.at >= at) })),
    latest: (subject, figure) => series.get(`${subject}/${figure}`)?.points.at(-1)?.value,
    mark() {
      marked = new Map(latest);
    },
    counted(service) {
      const sums = new Map<string, Sample>();
      for (const [process, samples] of latest) {
        if (process.service !== service) continue;
        const before = new Map((marked.get(process) ?? []).map((sample) => [keyOf(sample), sample.value]));
        for (const sample of samples) {
          const key = keyOf(sample);
          const value = sample.value - (before.get(key) ?? 0) + (sums.get(key)?.value ?? 0);
          sums.set(key, { ...sample, value });
        }
      }
      return [...sums.values()];
    },
    problems,
    close() {
      for (const inspector of inspectors.values()) inspector.close();
    },
  };
}

/** What a log says that it should not, and what it says that somebody should look at. */
export function readLogs(processes: readonly Pick<ServiceProcess, 'name' | 'log'>[]): {
  errors: string[];
  warnings: Map<string, number>;
} {
  const errors: string[] = [];
  const warnings = new Map<string, number>();
  for (const { name, log } of processes)
    for (const line of log) {
      const { level, msg, text } = line;
      // What is no line of the log is Node's own word: a warning of it, or the trace of a crash.
      if (level === 'error' || level === 'fatal' || (typeof text === 'string' && !isOfInspector(text)))
        errors.push(`${name}: ${typeof text === 'string' ? text : JSON.stringify(line)}`);
      if (level === 'warn') warnings.set(`${name}: ${String(msg)}`, (warnings.get(`${name}: ${String(msg)}`) ?? 0) + 1);
    }
  return { errors, warnings };
}
