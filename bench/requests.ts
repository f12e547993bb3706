/** What a request to the API server is for, as far as a fleet at rest is concerned. Pure. */

import type { Asked } from '@kubervisor/testing/kubernetes/counting-proxy';

/** `lease`: what a leader cannot do without. `watch`: one that ran out and is opened anew, every few minutes. */
export type Purpose = 'lease' | 'watch' | 'other';

export function purposeOf({ url }: Asked): Purpose {
  const { pathname, searchParams } = new URL(url, 'http://server');
  if (searchParams.get('watch') === 'true') return 'watch';
  return pathname.startsWith('/apis/coordination.k8s.io/') ? 'lease' : 'other';
}

/** `kubervisor-controller PATCH /apis/…/status`, each once, with how often; the most frequent first. */
export function summaryOf(requests: readonly Asked[]): string[] {
  const counts = new Map<string, number>();
  for (const { who, method, url } of requests) {
    const line = `${who} ${method} ${new URL(url, 'http://server').pathname}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one).map(([line, count]) => `${count} × ${line}`);
}
