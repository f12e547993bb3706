/**
 * Adoption and release (F1, F2, F4): what the controller itself does to a pod. One pure question a pod, asked again whenever the
 * pod, a Service or a resource of its namespace changes, and on every relist: so it mends whatever a crash or a missed event left.
 */
import { EDITS, marksOf, type Edit } from '@kubervisor/shared/pods/codec';
import { selects, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { TransitionReason } from '@kubervisor/shared/reasons';
import type { Supervised } from './supervision.ts';

export interface NamespaceView {
  /** By name of the resource. */
  supervised: ReadonlyMap<string, Supervised>;
  /** Selectors (without our key) of all Services that hold our key, supervised or not. */
  activatedSelectors: readonly { service: string; uid: string; selector: Selector }[];
}

export interface MembershipChange {
  edit: Edit;
  reason: TransitionReason;
  /** The resource that the change is reported on, where there is one. */
  resource?: Supervised;
  /** F2: a resource that the cache lacks must be missing in two successive looks at the API before its pods are released. */
  confirmMissing?: string;
  /** F1: the label had to be added to a pod with an owner, so the pod template lacks it. */
  templateWithoutLabel?: boolean;
  /** F1: the Service that holds our key though nobody supervises it. */
  withoutSupervisor?: { name: string; uid: string };
}

/** What is to be done to this pod; undefined: nothing. */
export function decideMembership(
  pod: Pod,
  { supervised, activatedSelectors }: NamespaceView,
  now: number,
): MembershipChange | undefined {
  if (pod.terminating || pod.finished) return undefined;
  const marks = marksOf(pod);
  const matches = (candidate: Supervised): boolean =>
    candidate.selector !== undefined && selects(candidate.selector, pod.labels);
  const lacksTraffic = marks.traffic === undefined;

  if (marks.name !== undefined) {
    const owner = supervised.get(marks.name);
    if (owner === undefined) return { edit: EDITS.release(pod), reason: 'Orphaned', confirmMissing: marks.name };
    if (!matches(owner)) return { edit: EDITS.release(pod), reason: 'NoLongerSelected', resource: owner };
    if (lacksTraffic) {
      return {
        edit: EDITS.letIn(pod),
        reason: 'Adopted',
        resource: owner,
        templateWithoutLabel: pod.owner !== undefined,
      };
    }
    if (marks.traffic === 'no' && !enforces(owner, marks.strategy)) {
      return { edit: EDITS.activate(pod, { at: now }), reason: 'NotEnforced', resource: owner };
    }
    return undefined;
  }

  const adopter = adopterOf(pod, supervised);
  if (adopter !== undefined) {
    return {
      edit: EDITS.adopt(pod, { name: adopter.resource.name }),
      reason: 'Adopted',
      resource: adopter,
      ...(lacksTraffic && pod.owner !== undefined && { templateWithoutLabel: true }),
    };
  }
  if (marks.traffic === 'no' || marks.traffic === 'pause') return { edit: EDITS.release(pod), reason: 'Orphaned' };
  const activated = lacksTraffic ? activatedSelectors.find(({ selector }) => selects(selector, pod.labels)) : undefined;
  if (activated !== undefined) {
    return {
      edit: EDITS.letIn(pod),
      reason: 'Adopted',
      withoutSupervisor: { name: activated.service, uid: activated.uid },
    };
  }
  return undefined;
}

type Candidate = Supervised & { selector: Selector };
/**
 * Candidates by one label of their selector, the one that the fewest share, in the order of the view; for each view once. In a namespace
 * of hundreds, each change of a resource asks for thousands of pods: held against every selector that took a third of a second.
 */
const indexes = new WeakMap<NamespaceView['supervised'], ReadonlyMap<string, readonly [order: number, Candidate][]>>();
const labelsOf = (labels: Selector): string[] => Object.entries(labels).map(([key, value]) => `${key}=${value}`);

function indexOf(supervised: NamespaceView['supervised']) {
  const known = indexes.get(supervised);
  if (known !== undefined) return known;
  const candidates = [...supervised.values()].filter((one): one is Candidate => one.selector !== undefined);
  const shared = new Map<string, number>();
  for (const label of candidates.flatMap(({ selector }) => labelsOf(selector)))
    shared.set(label, (shared.get(label) ?? 0) + 1);
  const index = new Map<string, [number, Candidate][]>();
  for (const [order, candidate] of candidates.entries()) {
    const [rarest] = labelsOf(candidate.selector).sort(
      (one, other) => (shared.get(one) ?? 0) - (shared.get(other) ?? 0),
    );
    // A selector is never empty (`fleetSelector`).
    if (rarest === undefined) continue;
    const entry: [number, Candidate] = [order, candidate];
    const there = index.get(rarest);
    if (there === undefined) index.set(rarest, [entry]);
    else there.push(entry);
  }
  indexes.set(supervised, index);
  return index;
}

/** `superviseNamespace` lists the oldest first: of two that match, it adopts. */
function adopterOf(pod: Pod, supervised: NamespaceView['supervised']): Supervised | undefined {
  const index = indexOf(supervised);
  return labelsOf(pod.labels)
    .flatMap((label) => index.get(label) ?? [])
    .filter(([, { selector }]) => selects(selector, pod.labels))
    .sort(([one], [other]) => one - other)[0]?.[1];
}

/** F4: does the resource hold this pod out? A removed breaker's pods are held by the default activator (A1). */
function enforces(owner: Supervised, strategy: string | undefined): boolean {
  if (!owner.enforcing) return false;
  const breaker = owner.resolved?.breakers.find(({ name }) => name === strategy);
  return breaker === undefined || breaker.mode === 'enforce';
}
