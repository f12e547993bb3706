/** Reads what /metrics tells, in the text format of Prometheus. Pure. */

export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABELS = /(\w+)="((?:\\.|[^"\\])*)"/g;

export const readMetrics = (text: string): Sample[] =>
  text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined) return [];
    return [
      {
        name,
        labels: Object.fromEntries([...labels.matchAll(LABELS)].map(([, key, of]) => [key, of])),
        value: Number(value),
      },
    ];
  });

/** Of all that have the name and these labels; 0 where there is none. */
export const sumOf = (
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number =>
  samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);

/** The bound of the bucket that holds this share of what a histogram counted; undefined where it counted nothing. */
export function quantileOf(samples: readonly Sample[], name: string, share: number): number | undefined {
  const buckets = new Map<number, number>();
  for (const sample of samples) {
    if (sample.name !== `${name}_bucket`) continue;
    const bound = sample.labels['le'] === '+Inf' ? Infinity : Number(sample.labels['le']);
    buckets.set(bound, (buckets.get(bound) ?? 0) + sample.value);
  }
  const total = buckets.get(Infinity) ?? 0;
  if (total === 0) return undefined;
  return [...buckets].sort(([one], [other]) => one - other).find(([, count]) => count >= total * share)?.[0];
}
