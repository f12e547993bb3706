/**
 * From the answer of the detector to the label `no`, one pod at a time. The bound, one LIST of that fleet and one PATCH guarded as ours
 * is, alternates with the measured breaks, so that whatever else the machine does hits both.
 */
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { MEDIA_TYPE } from '@kubervisor/runtime/kubernetes/api-server';
import { EDITS, guardedPatch, type Edit } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub, type DetectorStub } from './detector-stub.ts';
import { percentile, type Figure } from './figures.ts';
import { createFleet, leave, supervise, type Fleet, type Stage } from './stage.ts';

const SIZES = [5, 25, 100, 1000];
/** The first rounds warm up connections and compilers, ours and the bound's. */
const WARM_UP = 10;
/** Milliseconds. The breaker waits a second for an answer: one that comes too late would measure the next round instead. */
const HELD_AT_MOST = 500;

/** Whose answer is the last byte that is waited for. */
const ANSWERS = {
  /** A verdict as the breaker gets it: what the target is about. */
  detector: 'verdict',
  /** A plug-in behind our detector service: one process and two HTTP answers more. */
  plugin: 'plug-in',
} as const;
type Answerer = keyof typeof ANSWERS;

export async function latency(stage: Stage): Promise<Figure[]> {
  const sizes = stage.quick ? SIZES.slice(0, 3) : SIZES;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  const fleet = await createFleet(stage, namespace, 'latency', { replicas: 0 });
  const figures: Figure[] = [];
  try {
    for (const size of sizes) {
      stage.progress(`a fleet of ${size}`);
      await fleet.scale(size);
      for (const answerer of Object.keys(ANSWERS) as Answerer[]) {
        const services = await startServices(stage, {
          namespaces: [namespace],
          ...(answerer === 'detector' && { detectorUrl: stub.url }),
        });
        try {
          await supervise(stage, fleet, { evaluationPeriod: 0.2, customService: stub.address });
          await fleet.when(size, (pod) => pod.labels[LABEL.name] === fleet.name);
          const times = await breakOneByOne(stage, fleet, stub, stage.samples);
          figures.push(...figuresOf(`${ANSWERS[answerer]} → label, ${size} pods`, times));
          await leave(stage, fleet);
        } finally {
          await services.stop();
        }
      }
    }
    return figures;
  } finally {
    await fleet.remove();
    await stub.close();
  }
}

interface Times {
  ours: number[];
  bound: number[];
}

async function breakOneByOne(stage: Stage, fleet: Fleet, stub: DetectorStub, samples: number): Promise<Times> {
  const times: Times = { ours: [], bound: [] };
  const names = fleet.pods().map(({ name }) => name);
  for (let turn = 0; times.ours.length < samples; turn++) {
    const name = names[turn % names.length] ?? '';
    const question = await stub.next();
    const heldFrom = performance.now();
    // The question is held meanwhile, so nothing of ours is under way.
    const bound = await listAndPatch(stage, fleet, names[(turn + 1) % names.length] ?? '', turn);
    if (performance.now() - heldFrom > HELD_AT_MOST) {
      question.answer([]);
      continue;
    }
    // Should this round come to nothing, the next one's answer is the same, and the time counts from the first.
    stub.standing = [name];
    const out = fleet.when(1, (pod) => pod.name === name && pod.labels[LABEL.traffic] === 'no');
    const answered = question.answer([name]);
    const ours = (await out) - answered;
    stub.standing = [];
    if (turn >= WARM_UP) {
      times.ours.push(ours);
      times.bound.push(bound);
    }
    await bringBack(stage, fleet, name);
  }
  return times;
}

/** As many guards and changes as a break has, under keys that mean nothing to anybody. */
const harmless = (turn: number): Edit => ({
  labels: { 'bench/turn': String(turn), 'bench/strategy': String(turn) },
  annotations: Object.fromEntries(
    ['bench/at', 'bench/count', 'bench/reason', 'bench/cost'].map((key) => [key, `${key} of turn ${turn}`]),
  ),
});

async function listAndPatch({ kubernetes }: Stage, fleet: Fleet, name: string, turn: number): Promise<number> {
  const pod = fleet.pod(name) as Pod;
  const begun = performance.now();
  await kubernetes.api.read(pathIn(PATHS.pods, fleet.namespace), { query: { labelSelector: `app=${fleet.name}` } });
  await kubernetes.api.request('PATCH', pathIn(PATHS.pods, fleet.namespace, name), {
    body: guardedPatch(pod, harmless(turn)),
    contentType: MEDIA_TYPE.jsonPatch,
  });
  return performance.now() - begun;
}

/** By the benchmark itself, so that no activator has to be waited for. */
async function bringBack({ kubernetes }: Stage, fleet: Fleet, name: string): Promise<void> {
  const pod = fleet.pod(name) as Pod;
  const back = fleet.when(1, (one) => one.name === name && one.labels[LABEL.traffic] === 'yes');
  const edit = EDITS.activate(pod, { at: Date.now() });
  await kubernetes.api.request('PATCH', pathIn(PATHS.pods, fleet.namespace, name), {
    body: guardedPatch(pod, edit),
    contentType: MEDIA_TYPE.jsonPatch,
  });
  await back;
}

/** Both percentiles against the median of the bound: its own outliers must not excuse ours. */
function figuresOf(what: string, { ours, bound }: Times): Figure[] {
  const least = { what: 'LIST + PATCH', value: percentile(bound, 50) };
  return [
    { what: `${what}, p50`, unit: 'ms', value: percentile(ours, 50), bound: least, target: { ratio: 1.3 } },
    { what: `${what}, p95`, unit: 'ms', value: percentile(ours, 95), bound: least, target: { ratio: 2.5 } },
    { what: `${what}, p95 of the bound`, unit: 'ms', value: percentile(bound, 95), bound: least },
  ];
}
