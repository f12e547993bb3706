/** What the switches write, and where they refuse: pure. The shell carries it out, and asks anew where an object changed meanwhile. */
import type { Mode } from '@kubervisor/shared/crd/kubervisor-service';
import { EDITS, guardedPatch, marksOf, pointer, type JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import { fleetSelector, isActivated, selects, type Selector } from '@kubervisor/shared/pods/fleet';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { LEFT } from '@kubervisor/shared/reasons';
import { releaseService } from '@kubervisor/shared/release/decide';
import type { Resource } from './resource.ts';

export type Decision =
  | { do: 'nothing'; because: string }
  | { do: 'refuse'; problem: string; next: string }
  /** Something else must come first: others do it. */
  | { do: 'wait'; for: string; missing: readonly string[] }
  | { do: 'patch'; operations: readonly JsonPatchOperation[]; effect: string; warnings: readonly string[] };

export interface ServiceState {
  namespace: string;
  name: string;
  uid: string;
  selector?: Selector | undefined;
}

/** Deployment, StatefulSet … : whatever makes pods by a template and finds them by a selector. */
export interface Workload {
  kind: string;
  name: string;
  /** Keys that its selector asks for. */
  selectorKeys: readonly string[];
  /** Labels of its pod template. */
  template: Readonly<Record<string, string>>;
  /** One above it owns it and says what it is. */
  owned: boolean;
}

const OURS = 'kubervisor/';
/** Of pods that are named in one line. */
const SHOWN = 5;
export const namesOf = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;
const pods = (count: number): string => `${count} ${count === 1 ? 'pod' : 'pods'}`;

/** The line that belongs into the Service's manifest. */
export const MANIFEST_LINE = ['spec:', '  selector:', `    ${LABEL.traffic}: "yes"`];

/**
 * §4: the key goes in only when every pod that the Service selects carries the label, for at that moment whoever lacks it leaves traffic.
 * `all`: the pods of the namespace that match the selector without our key, asked of the API server a moment ago.
 */
export function activation(
  service: ServiceState,
  all: readonly Pod[],
  workloads: readonly Workload[],
  supervisors: readonly string[],
): Decision {
  const { name, namespace, selector, uid } = service;
  const rest = fleetSelector(selector);
  if (isActivated(selector))
    return { do: 'nothing', because: `the selector of ${name} holds ${LABEL.traffic}: "yes" already` };
  if (rest === undefined)
    return {
      do: 'refuse',
      problem: `the Service ${name} has no selector, so it selects no pods that could leave traffic`,
      next: 'name a Service that selects pods by their labels',
    };
  const other = selector?.[LABEL.traffic];
  if (other !== undefined)
    return {
      do: 'refuse',
      problem: `the selector of ${name} asks for ${LABEL.traffic}: ${JSON.stringify(other)}, which only selects pods that are out`,
      next: `take it out first: kubectl edit service ${name} -n ${namespace}`,
    };
  const concerned = workloads.filter((workload) => !workload.owned && selects(rest, workload.template));
  const orphaning = concerned.filter(({ selectorKeys }) => selectorKeys.some((key) => key.startsWith(OURS)));
  if (orphaning.length > 0)
    return {
      do: 'refuse',
      problem: `the selector of ${orphaning.map(({ kind, name: of }) => `${kind} ${of}`).join(', ')} holds a ${OURS} key: a pod that is taken out would be orphaned by it, and another made in its place`,
      next: 'a selector of a workload cannot be changed: make the workload anew without that key (the pod template keeps it)',
    };
  const fleet = all.filter((pod) => !pod.terminating && !pod.finished);
  const missing = fleet.filter((pod) => !['yes', 'pause'].includes(marksOf(pod).traffic ?? ''));
  if (missing.length > 0) {
    const names = missing.map((pod) => pod.name);
    if (supervisors.length === 0)
      return {
        do: 'refuse',
        problem: `${pods(missing.length)} of ${name} would lose ${missing.length === 1 ? 'its' : 'their'} traffic, for ${missing.length === 1 ? 'it lacks' : 'they lack'} ${LABEL.traffic}: "yes" (${namesOf(names)}), and no KubervisorService for ${name} is there, whose pods the controller would label`,
        next: `write ${LABEL.traffic}: "yes" into the pod template and roll it out, or make a KubervisorService for ${name}`,
      };
    return {
      do: 'wait',
      for: `${pods(missing.length)} of ${fleet.length} to carry ${LABEL.traffic}: "yes"`,
      missing: names,
    };
  }
  const bare = concerned.filter(({ template }) => template[LABEL.traffic] === undefined);
  return {
    do: 'patch',
    operations: [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path: '/spec/selector', value: selector },
      { op: 'add', path: `/spec/selector/${pointer(LABEL.traffic)}`, value: 'yes' },
    ],
    effect: `${name} takes part: its selector holds ${LABEL.traffic}: "yes", and all ${pods(fleet.length)} carry it`,
    warnings: [
      ...(fleet.length === 0 ? [`${name} selects no pods now`] : []),
      ...(supervisors.length === 0 ? [`no KubervisorService is there for ${name}: nothing is evaluated`] : []),
      ...bare.map(
        ({ kind, name: of }) =>
          `the pod template of ${kind} ${of} lacks ${LABEL.traffic}: "yes": its new pods get traffic only when the controller has labelled them, and none while no controller is there`,
      ),
    ],
  };
}

export function deactivation(service: ServiceState, all: readonly Pod[]): Decision {
  const { name, namespace } = service;
  const decision = releaseService(service);
  if (decision.do === 'nothing') return { do: 'nothing', because: `the selector of ${name} has no ${LABEL.traffic}` };
  if (decision.do === 'leave')
    return {
      do: 'refuse',
      problem: `the key stays in the selector of ${name}: ${LEFT[decision.reason]}`,
      next: `write another selector: kubectl edit service ${name} -n ${namespace}`,
    };
  const out = all.filter((pod) => !pod.terminating && ['no', 'pause'].includes(marksOf(pod).traffic ?? ''));
  return {
    do: 'patch',
    operations: decision.operations,
    effect: `${name} takes part no more: the key is out of its selector, and nobody is broken`,
    warnings:
      out.length === 0
        ? []
        : [
            `${pods(out.length)} that ${out.length === 1 ? 'was' : 'were'} out ${out.length === 1 ? 'gets' : 'get'} traffic again: ${namesOf(out.map((pod) => pod.name))}`,
          ],
  };
}

const MODE_MEANS: Record<Mode, string> = {
  enforce: 'it acts from now on',
  dryRun: 'it decides and reports, and breaks nobody; pods that are out come back at once',
  disabled: 'nothing is evaluated; pods that are out come back at once',
};
const STRICTNESS: Record<Mode, number> = { enforce: 0, dryRun: 1, disabled: 2 };

/** Of the resource, or of one breaker. Guarded by what was read, so that a breaker which moved in the list meanwhile is not taken for another. */
export function changeMode(resource: Resource, mode: Mode, breaker: string | undefined): Decision {
  const spec = resource.spec as { mode?: Mode; breakers?: { name?: string; mode?: Mode }[] } | undefined;
  const uid: JsonPatchOperation = { op: 'test', path: '/metadata/uid', value: resource.uid };
  if (breaker === undefined) {
    const before = spec?.mode ?? 'enforce';
    if (before === mode) return { do: 'nothing', because: `the mode of ${resource.name} is ${mode} already` };
    return {
      do: 'patch',
      operations: [uid, { op: 'add', path: '/spec/mode', value: mode }],
      effect: `${resource.name}: mode ${before} → ${mode}: ${MODE_MEANS[mode]}`,
      warnings: (spec?.breakers ?? [])
        .filter((one) => one.mode !== undefined && STRICTNESS[one.mode] > STRICTNESS[mode])
        .map((one) => `the breaker ${one.name} stays ${one.mode}: the stricter counts`),
    };
  }
  const at = spec?.breakers?.findIndex(({ name }) => name === breaker) ?? -1;
  const found = spec?.breakers?.[at];
  if (found === undefined)
    return {
      do: 'refuse',
      problem: `${resource.name} has no breaker ${JSON.stringify(breaker)}`,
      next: `its breakers are: ${(spec?.breakers ?? []).map(({ name }) => name).join(', ')}`,
    };
  const whole = spec?.mode ?? 'enforce';
  const before = found.mode ?? whole;
  if (found.mode === mode) return { do: 'nothing', because: `the mode of the breaker ${breaker} is ${mode} already` };
  return {
    do: 'patch',
    operations: [
      uid,
      { op: 'test', path: `/spec/breakers/${at}/name`, value: breaker },
      { op: 'add', path: `/spec/breakers/${at}/mode`, value: mode },
    ],
    effect: `${resource.name}, breaker ${breaker}: mode ${before} → ${mode}: ${MODE_MEANS[mode]}`,
    warnings: STRICTNESS[whole] > STRICTNESS[mode] ? [`${resource.name} is ${whole}, and the stricter counts`] : [],
  };
}

/** A4: a person brings a pod back; its count of breaks stays, and it is on probation. */
export function bringBack(pod: Pod, now: number): Decision {
  const { traffic } = marksOf(pod);
  if (pod.terminating) return { do: 'nothing', because: `${pod.name} is ending` };
  if (traffic !== 'no' && traffic !== 'pause') return { do: 'nothing', because: `${pod.name} is not out of traffic` };
  return {
    do: 'patch',
    operations: guardedPatch(pod, EDITS.activate(pod, { at: now })),
    effect: `${pod.name} is back in traffic, on probation`,
    warnings: pod.ready ? [] : [`${pod.name} is not Ready: it gets traffic when it is`],
  };
}

export function exemption(pod: Pod, remove: boolean): Decision {
  const { exempt, traffic } = marksOf(pod);
  const present = pod.annotations[ANNOTATION.exempt] !== undefined;
  if (remove ? !present : exempt)
    return { do: 'nothing', because: remove ? `${pod.name} is not exempt` : `${pod.name} is exempt already` };
  return {
    do: 'patch',
    operations: guardedPatch(pod, { labels: {}, annotations: { [ANNOTATION.exempt]: remove ? null : 'true' } }),
    effect: remove
      ? `${pod.name} is judged like the others again`
      : `${pod.name} is exempt: never broken, never killed`,
    warnings:
      !remove && (traffic === 'no' || traffic === 'pause')
        ? [`it is out of traffic now: kubectl kubervisor release ${pod.name} -n ${pod.namespace} brings it back`]
        : [],
  };
}
