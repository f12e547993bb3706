/** What reaches the API server while ten Services are evaluated once a second and all of them are well: the lease, and nothing else. */
import { readFileSync } from 'node:fs';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { startCountingProxy } from '@kubervisor/testing/kubernetes/counting-proxy';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub } from './detector-stub.ts';
import type { Figure } from './figures.ts';
import { purposeOf, summaryOf, type Purpose } from './requests.ts';
import { createFleet, leave, supervise, type Fleet, type Stage } from './stage.ts';

const SERVICES = 10;
const PODS_EACH = 5;
const SECONDS = 60;
/** For adoption, the first status of each and its Event. */
const SETTLE = 10_000;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export async function atRest(stage: Stage): Promise<Figure[]> {
  const seconds = stage.quick ? 15 : SECONDS;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  const proxy = await startCountingProxy(readFileSync(stage.cluster.kubeconfig, 'utf8'));
  const fleets: Fleet[] = [];
  try {
    stage.progress(`${SERVICES} fleets of ${PODS_EACH}`);
    for (let index = 0; index < SERVICES; index++)
      fleets.push(await createFleet(stage, namespace, `rest-${index}`, { replicas: PODS_EACH }));
    const services = await startServices(stage, { namespaces: [namespace], kubeconfig: proxy.kubeconfig });
    try {
      for (const fleet of fleets) await supervise(stage, fleet, { customService: stub.address });
      for (const fleet of fleets) await fleet.when(PODS_EACH, (pod) => pod.labels[LABEL.name] === fleet.name);
      await pause(SETTLE);
      stage.progress(`${seconds} seconds of rest`);
      const from = proxy.asked.length;
      const evaluatedBefore = stub.asked;
      await pause(seconds * 1000);
      const requests = proxy.asked.slice(from);
      const evaluations = stub.asked - evaluatedBefore;
      for (const fleet of fleets) await leave(stage, fleet);
      // Silence where nothing runs, or where nothing comes by, proves nothing.
      if (evaluations < seconds) throw new Error(`only ${evaluations} evaluations in ${seconds} s`);
      if (!requests.some((request) => purposeOf(request) === 'lease'))
        throw new Error('no renewal of the lease came through the counting proxy');

      const rateOf = (purpose: Purpose): number => {
        const found = requests.filter((request) => purposeOf(request) === purpose);
        if (purpose === 'other') for (const line of summaryOf(found)) stage.progress(line);
        return found.length / seconds;
      };
      return [
        { what: 'evaluations meanwhile', unit: '/s', value: evaluations / seconds },
        { what: 'renewals of the lease', unit: '/s', value: rateOf('lease') },
        { what: 'watches opened anew', unit: '/s', value: rateOf('watch') },
        { what: 'all other requests', unit: '/s', value: rateOf('other'), target: { atMost: 0 } },
      ];
    } finally {
      await services.stop();
    }
  } finally {
    for (const fleet of fleets) await fleet.remove();
    await proxy.close();
    await stub.close();
  }
}
