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

  // `superviseNamespace` lists the oldest first: of two that match, it adopts.
  const adopter = [...supervised.values()].find(matches);
  if (adopter !== undefined) {
    return {
      edit: EDITS.adopt(pod, { name: adopter.resource.name }),
      reason: 'Adopted',
      resource: adopter,
      ...(lacksTraffic && pod.owner !== undefined && { templateWithoutLabel: true }),
    };
  }
  if (marks.traffic === 'no' || marks.traffic === 'pause') return { edit: EDITS.release(pod), reason: 'Orphaned' };
  const activated = activatedSelectors.find(({ selector }) => selects(selector, pod.labels));
  if (lacksTraffic && activated !== undefined) {
    return {
      edit: EDITS.letIn(pod),
      reason: 'Adopted',
      withoutSupervisor: { name: activated.service, uid: activated.uid },
    };
  }
  return undefined;
}

/** F4: does the resource hold this pod out? A removed breaker's pods are held by the default activator (A1). */
function enforces(owner: Supervised, strategy: string | undefined): boolean {
  if (!owner.enforcing) return false;
  const breaker = owner.resolved?.breakers.find(({ name }) => name === strategy);
  return breaker === undefined || breaker.mode === 'enforce';
}
