/** What went wrong, in a sentence, and what a person can do about it. */
import { ApiError } from '@kubervisor/runtime/kubernetes/api-server';
import { NoKubeconfig } from '@kubervisor/runtime/kubernetes/kubeconfig';
import { CRD_NAME } from '@kubervisor/shared/crd/manifest';

/** Nothing more to look up: exit status 1. */
export class Failure extends Error {
  readonly next: string;
  constructor(problem: string, next: string) {
    super(problem);
    this.next = next;
  }
}

/** Where Kubervisor is not installed. */
export const notInstalled = (url: string): Failure =>
  new Failure(
    `Kubervisor is not installed on ${url}: there is no ${CRD_NAME}`,
    'install it (its controller installs the definition at start), or name another cluster with --context',
  );

/** `doing`: what was tried, as an infinitive: `list KubervisorServices in shop`. `url`: of the API server. */
export function failureOf(error: unknown, doing: string, url: string): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof NoKubeconfig) return new Failure(error.message, 'see which there are: kubectl config view');
  if (!(error instanceof ApiError)) return new Failure((error as Error).message, 'kubectl kubervisor --help');
  const { status, message, reason } = error;
  if (status === 0)
    return new Failure(
      `the API server at ${url} does not answer (${reason})`,
      'is it the right cluster, and is it up? kubectl cluster-info; another one: --context NAME',
    );
  if (status === 401)
    return new Failure(
      `the API server at ${url} does not know who you are`,
      'log in anew, or name another account: --context NAME',
    );
  if (status === 403)
    return new Failure(
      `this account may not ${doing}: ${message}`,
      'ask whoever administers the cluster for that right, or name another account: --context NAME',
    );
  if (status === 429 || status >= 500)
    return new Failure(`the API server at ${url} could not ${doing}: ${message}`, 'try again in a moment');
  return new Failure(`could not ${doing}: ${message}`, 'kubectl kubervisor --help');
}
