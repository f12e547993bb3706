/** Why a pod is in traffic or out, and what comes next: from the pod, its resource and its fleet, in sentences and in figures. */
import * as z from 'zod';
import type { ResolvedActivator } from '@kubervisor/shared/crd/resolve';
import { marksOf, writeTime } from '@kubervisor/shared/pods/codec';
import { countsOf, isActivated, ownedBy, fleetSelector, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { budgetOf, floorOf } from '@kubervisor/shared/policy/percent';
import {
  activatorOf,
  enforcementOf,
  isExhausted,
  maxWaitMilliseconds,
  retriesOf,
} from '@kubervisor/shared/policy/return';
import { CONDITIONS, TRANSITIONS, WITHHELD } from '@kubervisor/shared/reasons';
import { ahead, ago, span } from './durations.ts';
import type { ReadResource } from './resource.ts';
import { podView, viewPod, type PodView } from './views.ts';

export interface ExplainInput {
  pod: Pod;
  /** The resource that its label names, or whose Service selects it. */
  read: ReadResource | undefined;
  /** Its label names this one, which is not there. */
  missingOwner: string | undefined;
  /** Of the Service; undefined where there is none. */
  service: { name: string; selector?: Selector | undefined } | undefined;
  /** All pods that the Service selects, out or not. */
  fleet: readonly Pod[];
  now: number;
}

export const explainView = z.object({
  namespace: z.string(),
  pod: podView,
  /** Gets the Service's traffic, as far as labels and readiness decide it. */
  inTraffic: z.boolean(),
  owner: z.string().optional(),
  service: z.string().optional(),
  mode: z.string().optional(),
  active: z.boolean(),
  available: z.int().optional(),
  total: z.int().optional(),
  /** How many more each breaker may take out. */
  floors: z.array(z.object({ breaker: z.string(), floor: z.int(), mayLeave: z.int() })),
  /** Not judged before: it became ready, or came back, too recently. */
  judgedFrom: z.string().optional(),
  sentences: z.array(z.string()),
  next: z.array(z.string()),
});
export type ExplainView = z.infer<typeof explainView>;

const times = (count: number): string => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);
const figures = ({ observed, limit, score }: PodView): string => {
  const shown = Object.entries({ observed, limit, score }).filter(([, value]) => value !== undefined);
  return shown.length === 0 ? '' : ` (${shown.map(([name, value]) => `${name} ${String(value)}`).join(', ')})`;
};
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
const reasonText = (word: string): string => {
  const known: Readonly<Record<string, string>> = { ...TRANSITIONS, ...CONDITIONS, ...WITHHELD };
  return known[word] === undefined ? word : `${known[word]} (${word})`;
};

export function explain(input: ExplainInput): ExplainView {
  const { pod, read, service, fleet, now } = input;
  const view = viewPod(pod, read, now);
  const active = isActivated(service?.selector);
  const traffic = marksOf(pod).traffic;
  const selected = service !== undefined && (!active || traffic === 'yes');
  const inTraffic = selected && pod.ready && !pod.terminating;
  const floors = floorsOf(input);
  const selector = fleetSelector(service?.selector);
  const owned = read === undefined || selector === undefined ? [] : ownedBy(fleet, selector, read.resource.name);
  const counts = countsOf(owned);
  const judged = judgedFrom(input);
  const parts = { ...input, view, active, inTraffic, floors, judged };
  return {
    namespace: pod.namespace,
    pod: view,
    inTraffic,
    ...(read !== undefined && { owner: read.resource.name }),
    ...(service !== undefined && { service: service.name }),
    ...(read?.spec !== undefined && { mode: read.spec.mode }),
    active,
    ...(read !== undefined && { available: counts.available, total: counts.total }),
    floors,
    ...(judged !== undefined && { judgedFrom: writeTime(judged) }),
    sentences: [
      where(parts),
      ...whyOut(parts),
      ...comesNext(parts),
      ...protection(parts),
      ...ofTheFleet(parts, counts),
      ...ofTheResource(parts),
    ].map(sentence),
    next: nextSteps(parts),
  };
}

interface Parts extends ExplainInput {
  view: PodView;
  active: boolean;
  inTraffic: boolean;
  floors: ExplainView['floors'];
  judged: number | undefined;
}

function floorsOf({ read, service, fleet }: ExplainInput): ExplainView['floors'] {
  const selector = fleetSelector(service?.selector);
  if (read?.spec === undefined || selector === undefined) return [];
  const { available, total } = countsOf(ownedBy(fleet, selector, read.resource.name));
  return read.spec.breakers.map((breaker) => {
    const floor = floorOf(total, breaker);
    return { breaker: breaker.name, floor, mayLeave: budgetOf(available, floor) };
  });
}

/** V4: when the first breaker judges it; undefined where one does already, or the pod is not in traffic. */
function judgedFrom({ pod, read, now }: ExplainInput): number | undefined {
  if (read?.spec === undefined || !pod.ready || marksOf(pod).traffic !== 'yes') return undefined;
  const since = Math.max(pod.readySince ?? 0, marksOf(pod).activatedAt ?? 0);
  const first = Math.min(...read.spec.breakers.map(({ gracePeriod }) => since + 1000 * gracePeriod));
  return first > now ? first : undefined;
}

function where({ pod, view, service, read, missingOwner, active, inTraffic, now }: Parts): string {
  if (pod.terminating) return `${pod.name} is ending: it gets no new traffic, and is neither judged nor broken`;
  if (pod.finished) return `${pod.name} has ended: it gets no traffic`;
  if (missingOwner !== undefined)
    return `${pod.name} is labelled as a pod of the KubervisorService ${missingOwner}, which does not exist: the controller releases it`;
  if (read === undefined) return `No KubervisorService supervises ${pod.name}: Kubervisor neither judges nor breaks it`;
  const owner = `the KubervisorService ${read.resource.name}`;
  if (service === undefined)
    return `${pod.name} belongs to ${owner}, whose Service ${read.service} does not exist: nothing is evaluated`;
  if (view.state === 'open' || view.state === 'paused') {
    const by = view.breaker === undefined ? '' : ` by the breaker ${view.breaker} of ${owner}`;
    const since = view.since === undefined ? '' : `, ${ago(view.since, now)} ago (${view.since})`;
    const how =
      view.state === 'paused' ? 'is paused, out of traffic, since it was taken out' : 'is out of traffic: taken out';
    const still = active
      ? ''
      : `. The selector of the Service ${service.name} lacks kubervisor/traffic: "yes", so it gets traffic all the same`;
    return `${pod.name} ${how}${by}${since}${still}`;
  }
  if (marksOf(pod).name === undefined && marksOf(pod).traffic !== undefined)
    return `${pod.name} is in traffic, and not adopted yet: the controller of ${owner} labels it`;
  if (!pod.ready) return `${pod.name} is not Ready, so it gets no traffic; it is neither judged nor broken (${owner})`;
  if (marksOf(pod).traffic === undefined)
    return `${pod.name} lacks the label kubervisor/traffic: the controller sets it to "yes"${active ? ', and until then it gets no traffic' : ''} (${owner})`;
  if (view.state === 'half-open')
    return `${pod.name} is back in traffic, on probation ${ahead(view.probationUntil, now) === 'now' ? 'still' : `for ${ahead(view.probationUntil, now).replace('in ', '')} more`} (${owner})`;
  return `${pod.name} is in traffic of the Service ${service.name}${inTraffic ? '' : ', as soon as it is Ready'}, supervised by ${owner}`;
}

function whyOut({ view }: Parts): string[] {
  const lines: string[] = [];
  if (view.reason !== undefined) lines.push(`Why: ${view.reason}${figures(view)}`);
  else if (view.state === 'open' || view.state === 'paused')
    lines.push('No reason stands on it: somebody set the label by hand');
  if (view.retryCount > 0 && view.state !== 'closed')
    lines.push(`It was taken out ${times(view.retryCount)} of late, less what was forgiven`);
  else if (view.retryCount > 0)
    lines.push(`It was taken out ${times(view.retryCount)} before, less what was forgiven since`);
  if (view.wouldBe !== undefined)
    lines.push(`In the dry run it ${view.wouldBe === 'broken' ? 'would be out' : 'would be paused'} now`);
  return lines;
}

function waitText(activator: ResolvedActivator, retries: number): string {
  const longest = maxWaitMilliseconds(activator) / 1000;
  if (activator.mode === 'periodic') return `period ${activator.period} s`;
  const wait = activator.period * retries;
  return `period ${activator.period} s × ${retries}${wait > longest ? `, at most ${longest} s` : ''}`;
}

function comesNext({ pod, view, read, now, active }: Parts): string[] {
  if (view.state === 'paused') return ['It stays so until a person brings it back'];
  if (view.state !== 'open' || read?.spec === undefined) return [];
  const { activator, breaker } = activatorOf(marksOf(pod), read.spec);
  // F4: a pod whose breaker is gone is the resource's.
  if (enforcementOf(breaker?.mode ?? read.spec.mode, active) !== 'enforced')
    return ['Nothing enforces this any more: the controller brings it back at once'];
  const marks = marksOf(pod);
  const whose = breaker === undefined ? 'the default activator' : `the activator of ${breaker.name}`;
  const lines: string[] = [];
  const when =
    view.nextActionTime === undefined ? 'soon' : `${ahead(view.nextActionTime, now)} (${view.nextActionTime})`;
  const by = `by ${whose} (${activator.mode}, ${waitText(activator, retriesOf(marks))})`;
  if (!isExhausted(marks, activator)) lines.push(`It comes back ${when}, ${by}`);
  else {
    const tooOften = `for it was taken out more than ${times(activator.maxRetryCount)} (maxRetryCount)`;
    const fate = activator.mode === 'retryAndPause' ? 'set aside (paused)' : 'evicted';
    if (marks.exempt || (pod.owner === undefined && activator.mode === 'retryAndKill'))
      lines.push(
        `It would be ${fate} ${tooOften}, but ${marks.exempt ? 'is exempt' : 'nothing would replace it'}: it comes back ${when}`,
      );
    else lines.push(`It is to be ${fate} ${when}, ${tooOften}, ${by}`);
  }
  if (view.heldBy !== undefined) lines.push(`What holds it: ${reasonText(view.heldBy)}`);
  if (!pod.ready) lines.push('It is not Ready now; it is brought back all the same when it is due');
  return lines;
}

function protection({ view, judged, now }: Parts): string[] {
  const lines: string[] = [];
  if (view.exempt) lines.push('A person exempted it: it is never broken and never killed');
  else if (judged !== undefined)
    lines.push(
      `It is not judged for ${span(Math.ceil((judged - now) / 1000) * 1000)} more: it became ready, or came back, too recently (gracePeriod)`,
    );
  return lines;
}

function ofTheFleet(
  { read, floors, active }: Parts,
  { available, total }: { available: number; total: number },
): string[] {
  if (read?.spec === undefined || total === 0) return [];
  const each = read.spec.breakers.map(({ name, mode }) => {
    const { floor = 0, mayLeave = 0 } = floors.find(({ breaker }) => breaker === name) ?? {};
    const enforcement = enforcementOf(mode, active);
    if (enforcement === 'off') return `${name} rests (disabled)`;
    if (enforcement === 'simulated') return `${name} only decides and reports (floor ${floor})`;
    return `${name} may take out ${mayLeave === 0 ? 'nobody' : `${mayLeave} more`} (floor ${floor})`;
  });
  return [`${available} of the ${total} pods of the fleet are in traffic; ${each.join(', ')}`];
}

function ofTheResource({ read, service, active }: Parts): string[] {
  if (read === undefined) return [];
  const lines: string[] = [];
  const { status, spec, problems, resource } = read;
  const condition = (type: string) => status.conditions?.find((one) => one.type === type);
  const ready = condition('Ready');
  const degraded = condition('Degraded');
  if (problems.length > 0)
    lines.push(`The spec of ${resource.name} breaks a rule, so nothing is evaluated: ${problems.join('; ')}`);
  else if (ready?.status === 'False')
    lines.push(`${resource.name} is not Ready, ${ready.reason}: ${ready.message ?? ''}`);
  if (spec !== undefined && spec.mode !== 'enforce')
    lines.push(
      spec.mode === 'dryRun'
        ? `The mode of ${resource.name} is dryRun: it decides and reports, and breaks nobody`
        : `The mode of ${resource.name} is disabled: nothing is evaluated`,
    );
  if (service !== undefined && !active)
    lines.push(`The selector of the Service ${service.name} lacks kubervisor/traffic: "yes": nobody is broken`);
  if (degraded?.status === 'True')
    lines.push(`${resource.name} is degraded, ${degraded.reason}: ${degraded.message ?? ''}`);
  return lines;
}

function nextSteps({ pod, view, read, service, active }: Parts): string[] {
  const on = ` -n ${pod.namespace}`;
  const steps: string[] = [];
  if (view.state === 'open' || view.state === 'paused')
    steps.push(`kubectl kubervisor release ${pod.name}${on}   # brings it back now`);
  if (service !== undefined && !active && read?.spec !== undefined)
    steps.push(`kubectl kubervisor activate ${service.name}${on}   # breakers act from then on`);
  if (read !== undefined)
    steps.push(`kubectl kubervisor history ${read.resource.name} --pod ${pod.name}${on}   # what happened to it`);
  return steps;
}
