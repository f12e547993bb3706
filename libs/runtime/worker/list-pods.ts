/** The fresh list that a decision rests on (B5). */
import type { ResourceRef } from '@kubervisor/shared/events/common';
import { selectorString, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Kubernetes } from '../kubernetes/client.ts';
import { problemOf } from './problem.ts';
import type { RoundContext } from './round.ts';

/** Undefined where it could not be had: that is logged, and told among the errors of the round. */
export async function listPods(
  { resource, selector }: { resource: ResourceRef; selector: Selector },
  purpose: string,
  kubernetes: Pick<Kubernetes, 'listPods'>,
  { log }: RoundContext,
  errors: string[],
): Promise<Pod[] | undefined> {
  try {
    return await kubernetes.listPods(resource.namespace, selectorString(selector));
  } catch (error) {
    log.error({ err: error, purpose }, 'pods could not be listed');
    errors.push(`list of pods for ${purpose}: ${problemOf(error)}`);
    return undefined;
  }
}
