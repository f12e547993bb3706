/** Carries a decision out. A refused guard means that the object is another by now: it is read, and decided on, again. */
import { ApiError, MEDIA_TYPE } from '@kubervisor/runtime/kubernetes/api-server';
import type { Decision } from '../core/decide.ts';
import type { ActionResult } from '../core/views.ts';
import { failureOf } from '../errors.ts';
import type { Cluster } from './cluster.ts';

const ATTEMPTS = 5;

export interface Target {
  kind: ActionResult['kind'];
  name: string;
  path: string;
}

/** `decide` reads the object fresh and decides on it; undefined: it is gone. A `wait` is the caller's. */
export async function carryOut(
  cluster: Cluster,
  { kind, name, path }: Target,
  dryRun: boolean,
  decide: () => Promise<Decision | undefined>,
): Promise<ActionResult> {
  const of = { kind, namespace: cluster.namespace, name };
  for (let attempt = 1; ; attempt++) {
    const decision = await decide();
    if (decision === undefined)
      return {
        ...of,
        result: 'failed',
        message: `${name} is gone`,
        next: `kubectl kubervisor list -n ${cluster.namespace}`,
        warnings: [],
      };
    switch (decision.do) {
      case 'nothing':
        return { ...of, result: 'unchanged', message: `Nothing to do: ${decision.because}.`, warnings: [] };
      case 'refuse':
        return {
          ...of,
          result: 'failed',
          message: `Not done: ${decision.problem}.`,
          next: decision.next,
          warnings: [],
        };
      case 'wait':
        return {
          ...of,
          result: dryRun ? 'wouldChange' : 'failed',
          message: dryRun
            ? `it waits for ${decision.for}, and then adds the key.`
            : `Not done: waited in vain for ${decision.for}; without it: ${decision.missing.slice(0, 5).join(', ')}.`,
          ...(!dryRun && {
            next: 'is the controller running? kubectl kubervisor version; or wait longer: --timeout SECONDS',
          }),
          warnings: [],
        };
      case 'patch': {
        const done = { ...of, message: `${decision.effect}.`, warnings: [...decision.warnings] };
        if (dryRun) return { ...done, result: 'wouldChange' };
        try {
          await cluster.api.request('PATCH', path, { body: decision.operations, contentType: MEDIA_TYPE.jsonPatch });
          return { ...done, result: 'changed' };
        } catch (error) {
          const refused = error instanceof ApiError && (error.status === 409 || error.status === 422);
          if (refused && attempt < ATTEMPTS) continue;
          const { message, next } = failureOf(
            error,
            `patch the ${kind} ${name} in ${cluster.namespace}`,
            cluster.api.url,
          );
          return { ...of, result: 'failed', message: `Not done: ${message}.`, next, warnings: [] };
        }
      }
    }
  }
}
