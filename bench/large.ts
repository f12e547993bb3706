/**
 * One fleet of 5,000 pods as large as they are in production: adopted, half of it broken at once, all of it back, and what the services
 * weigh then. A mass break takes more than one claim of 3 s, and so more than one round.
 */
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { changeDeployment } from '@kubervisor/testing/kubernetes/workload';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub } from './detector-stub.ts';
import type { Figure } from './figures.ts';
import { createFleet, leave, supervise, type Stage } from './stage.ts';

const PODS = 5000;
/** Characters of an annotation that nobody reads: with it a pod is some 6 kB, as one with probes, volumes and environment. */
const PADDING = 3500;
/** Longer than a mass break may take, so that nothing but its own rounds carries it on. Seconds. */
const PERIOD = 20;
const WITHIN = 300_000;
const MEGABYTE = 1024 * 1024;

const isOut = ({ labels }: Pod): boolean => labels[LABEL.traffic] === 'no';
const isIn = ({ labels }: Pod): boolean => labels[LABEL.traffic] === 'yes';

export async function large(stage: Stage): Promise<Figure[]> {
  const count = stage.quick ? 200 : PODS;
  const half = count / 2;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  const fleet = await createFleet(stage, namespace, 'large', { replicas: 0, activated: false });
  const figures: Figure[] = [];
  const measured = (what: string, unit: Figure['unit'], value: number): void => {
    figures.push({ what, unit, value });
    stage.progress(`${what}: ${value.toFixed(1)} ${unit}`);
  };
  const seconds = (from: number, to: number): number => (to - from) / 1000;
  try {
    stage.progress(`a fleet of ${count}`);
    const annotations = { 'example.org/padding': 'x'.repeat(PADDING) };
    await changeDeployment(stage.kubernetes, fleet, { template: { metadata: { annotations } } });
    await fleet.scale(count);
    // With our key in its selector from now on: so its endpoints change with every label, as in production.
    await stage.kubernetes.api.request('PATCH', `/api/v1/namespaces/${namespace}/services/${fleet.name}`, {
      body: { spec: { selector: { [LABEL.traffic]: 'yes' } } },
      contentType: 'application/merge-patch+json',
    });
    const services = await startServices(stage, { namespaces: [namespace] });
    try {
      const adopted = fleet.when(count, (pod) => isIn(pod) && pod.labels[LABEL.name] === fleet.name, WITHIN);
      let begun = performance.now();
      await supervise(stage, fleet, {
        evaluationPeriod: PERIOD,
        customService: stub.address,
        activator: { period: PERIOD, jitter: 0 },
      });
      measured(`${count} pods adopted`, 's', seconds(begun, await adopted));

      const bad = fleet
        .pods()
        .slice(0, half)
        .map(({ name }) => name);
      const question = await stub.next();
      const out = fleet.when(half, isOut, WITHIN);
      stub.standing = bad;
      const asked = stub.asked;
      begun = question.answer(bad);
      measured(`${half} of ${count} pods broken`, 's', seconds(begun, await out));
      stage.progress(`in ${stub.asked - asked + 1} evaluations`);

      stub.standing = [];
      begun = performance.now();
      measured(
        `${half} of ${count} pods back, a wait of ${PERIOD} s included`,
        's',
        seconds(begun, await fleet.when(count, isIn, WITHIN)),
      );

      for (const process of services.processes) {
        const [, bytes] = /^process_resident_memory_bytes (\S+)/m.exec(await process.metrics()) ?? [];
        measured(`memory of the ${process.service}`, 'MB', Number(bytes) / MEGABYTE);
      }
      await leave(stage, fleet);
    } finally {
      await services.stop();
    }
    return figures;
  } finally {
    await fleet.remove();
    await stub.close();
  }
}
