/**
 * Every machine-readable reason with a sentence for people. The same strings stand in facts, conditions, Kubernetes Events,
 * logs and as metric labels. Adding one here is all that is needed to use it.
 */

/** Why a round did not do something that it might have done (`withheld`). */
export const WITHHELD = {
  FloorReached: 'the break would take the available pods under the floor of its breaker',
  FleetAnomalous: 'more of the fleet is bad than panicThreshold allows: the cause is common, nobody is broken',
  NotConfirmed: 'bad in too few of the last evaluations (confirm)',
  GracePeriod: 'the pod became ready, or came back, too recently to be judged',
  NotReady: 'the pod is not ready, so it has no traffic to lose',
  AlreadyOut: 'the pod is out of traffic already',
  Exempt: 'a person set kubervisor/exempt on the pod',
  SharedPods: 'another enforcing KubervisorService selects the pod too',
  NotOfFleet: 'the pod is gone, ending, or not owned by this resource',
  Deadline: 'the claim ran out before the pod could be patched',
  Changed: 'the pod changed between the list and the patch',
  Gone: 'the pod was gone when it was to be patched',
  PatchFailed: 'the API server refused or did not answer the patch',
  WaitNotOver: 'the pod waits for its time to come back',
  ConcurrentActivations: 'maxConcurrentActivations pods are on probation already',
  KillInProgress: 'another pod of the Service that was killed is not gone yet',
  UnderFloor: 'fewer pods are available than the floor: nobody is killed',
  NoOwner: 'the pod has no owning controller: nothing would replace it, so it is not killed',
  EvictionRefused: 'a PodDisruptionBudget does not allow the eviction now',
  PauseLimit: 'maxPauseCount pods are paused already, and pauseOverflow is hold',
  Paused: 'the pod waits for a person: kubectl kubervisor release',
} as const;
export type WithheldReason = keyof typeof WITHHELD;

/** Why a pod changed its place. */
export const TRANSITIONS = {
  Anomalous: 'the breaker judged the pod bad',
  WaitOver: 'the wait of the activator is over',
  FloorRestored: 'fewer pods were available than the floor, so the pod came back early',
  RetriesExhausted: 'the pod was broken more often than maxRetryCount',
  PauseOverflow: 'the pod was broken too often and maxPauseCount pods are paused already',
  KillNotPossible: 'the pod may not be killed, so it came back after maxPeriod',
  Adopted: 'the pod matches the Service, so it got our labels',
  NotEnforced: 'its resource or breaker does not enforce (any more), so it holds nobody out',
  Orphaned: 'its resource is gone, so the pod was released',
  NoLongerSelected: 'the pod does not match the Service any more, so it was released',
  UnreadableBreakAt: 'breakAt was missing or not readable: the pod counts as broken now',
} as const;
export type TransitionReason = keyof typeof TRANSITIONS;

/** Reasons of the conditions Ready, Active and Degraded. */
export const CONDITIONS = {
  Reconciled: 'the resource is valid and its Service was found',
  InvalidSpec: 'the spec breaks a rule that the CRD should have refused',
  ServiceNotFound: 'the Service does not exist in this namespace',
  ServiceWithoutSelector: 'the Service selects no pods without our key',
  Conflict: 'an older KubervisorService has this Service',
  FleetTooLarge: 'the fleet does not fit into one message',
  SelectorActivated: 'the selector of the Service holds kubervisor/traffic: "yes"',
  SelectorNotActivated: 'the selector of the Service lacks kubervisor/traffic: "yes": nothing is broken',
  Healthy: 'the last evaluations ended well',
  FleetAnomalous: WITHHELD.FleetAnomalous,
  DetectorFailing: 'a detector could not answer',
  UnderFloor: 'fewer pods are available than the highest enforced floor',
  RoundsMissing: 'no evaluation ended in time: is a breaker there, and NATS?',
  TemplateWithoutLabel: 'pods come without kubervisor/traffic: "yes": write it into the pod template',
  GraceTooShort: 'gracePeriod is shorter than the query looks back',
} as const;
export type ConditionReason = keyof typeof CONDITIONS;

/** Reasons of Kubernetes Events beside the transitions. */
export const EVENTS = {
  PodBroken: 'a pod was taken out of traffic',
  PodActivated: 'a pod came back into traffic',
  PodPaused: 'a pod was set aside for investigation',
  PodKilled: 'a pod was evicted or deleted',
  PodReleased: 'a pod was given back',
  TemplateWithoutLabel: CONDITIONS.TemplateWithoutLabel,
  SelectorWithoutSupervisor: 'a selector holds our key, but no KubervisorService supervises the Service',
  FleetAnomalous: CONDITIONS.FleetAnomalous,
} as const;
export type EventReason = keyof typeof EVENTS;

/** Why a release leaves a Service's selector as it is though it holds our key. */
export const LEFT = {
  OnlyKey:
    'its selector has no key but ours: without it the Service would select nobody and keep the endpoints of today for ever; pods with kubervisor/traffic: "yes" go on to get its traffic',
  OtherValue:
    'its selector asks for another value than "yes": without the key it would lead to all pods; it selects nobody from now on',
} as const;
export type LeftReason = keyof typeof LEFT;

/** Why a detector could not answer; the message beside it never repeats a foreign body. */
export const DETECTOR_ERRORS = {
  Timeout: 'no answer within the time-out',
  Unreachable: 'no connection to the detector or source',
  AddressRefused: 'the address is not one a detector may connect to (DETECTOR_ALLOW)',
  BadStatus: 'the answer was not 2xx',
  BadAnswer: 'the answer was not of the agreed shape',
  TooLarge: 'the answer was larger than allowed',
  InvalidParameters: 'the parameters of the resource do not fit the schema of the plug-in',
  QueryFailed: 'the source refused the query',
  UnknownSource: 'no source of this name',
  // Of a detector service older than its breaker.
  NotSupported: 'this version of the detector service does not answer this kind',
  SourceResting: 'the source failed too often and is given a rest',
} as const;
export type DetectorErrorReason = keyof typeof DETECTOR_ERRORS;
