/** A pod as Kubervisor sees it: the few fields that decisions use. A full pod costs 18 kB of memory, this one well under one. */

/** The shape of a pod as any client hands it over; times are strings (watch) or Dates (list). */
export interface RawPod {
  metadata?: {
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    creationTimestamp?: string | Date;
    deletionTimestamp?: string | Date;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
  };
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    podIP?: string;
    startTime?: string | Date;
    conditions?: { type: string; status: string; lastTransitionTime?: string | Date | null }[];
  };
}

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only the annotations that Kubervisor reads or writes. */
  readonly annotations: Readonly<Record<string, string>>;
  /** False where the pod has no annotations at all: a JSON patch must then create the map. */
  readonly hasAnnotations: boolean;
  readonly terminating: boolean;
  readonly finished: boolean;
  readonly ready: boolean;
  /** Milliseconds since 1970 of the last change of the Ready condition to True; only of ready pods. */
  readonly readySince?: number;
  /** Whether the pod was ever ready; one that never was counts for no floor repair (B7). */
  readonly everReady: boolean;
  readonly createdAt: number;
  readonly ip?: string;
  readonly node?: string;
  /** The owning controller (`controller: true`); without one nothing would replace a killed pod. */
  readonly owner?: { readonly kind: string; readonly name: string; readonly uid: string };
  /** `pod-template-hash` or `controller-revision-hash`: what release the pod is of. */
  readonly revision?: string;
  /** `topology.kubernetes.io/zone`, which the API server copies from the node onto the pod since 1.35; before, nobody may know. */
  readonly zone?: string;
}
