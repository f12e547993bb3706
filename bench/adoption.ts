/** F1: a fleet that nobody knows gets a supervisor; from the creation of the resource to the last label. */
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { EDITS, guardedPatch, type Edit } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub } from './detector-stub.ts';
import { mean, type Figure } from './figures.ts';
import { createFleet, leave, patchAll, supervise, type Stage } from './stage.ts';

const PODS = 1000;

/** As it was before anybody knew it. */
const unknown: Edit = { labels: { [LABEL.name]: null, [LABEL.traffic]: null }, annotations: {} };

export async function adoption(stage: Stage): Promise<Figure[]> {
  const count = stage.quick ? 200 : PODS;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  stage.progress(`a fleet of ${count}`);
  // Without our key in its selector: so no endpoint changes with the labels, and what is measured is the labelling.
  const fleet = await createFleet(stage, namespace, 'adoption', { replicas: count, activated: false });
  const isAdopted = ({ labels }: Pod): boolean => labels[LABEL.name] === fleet.name && labels[LABEL.traffic] === 'yes';
  const isUnknown = ({ labels }: Pod): boolean => labels[LABEL.name] === undefined;

  const bare = async (): Promise<number> => {
    const done = fleet.when(count, isAdopted);
    const milliseconds = await patchAll(stage, fleet.pods(), (pod) =>
      guardedPatch(pod, EDITS.adopt(pod, { name: fleet.name })),
    );
    await done;
    await forget();
    return milliseconds / 1000;
  };
  const forget = async (): Promise<void> => {
    const done = fleet.when(count, isUnknown);
    await patchAll(stage, fleet.pods(), (pod) => guardedPatch(pod, unknown));
    await done;
  };

  try {
    stage.progress('the bound');
    const before = await bare();
    const services = await startServices(stage, { namespaces: [namespace] });
    let ours: number;
    try {
      stage.progress('Kubervisor');
      await ready(stage, namespace);
      const done = fleet.when(count, isAdopted, 300_000);
      const begun = performance.now();
      await supervise(stage, fleet, { evaluationPeriod: 5, customService: stub.address });
      ours = ((await done) - begun) / 1000;
      await leave(stage, fleet);
    } finally {
      await services.stop();
    }
    await forget();
    stage.progress('the bound again');
    const after = await bare();
    return [
      {
        what: `${count} pods adopted`,
        unit: 's',
        value: ours,
        bound: { what: `${count} bare PATCHes`, value: mean([before, after]) },
        target: { ratio: 1.5 },
      },
    ];
  } finally {
    await fleet.remove();
    await stub.close();
  }
}

/** A leader that has a resource to say something about leads. */
async function ready(stage: Stage, namespace: string): Promise<void> {
  const probe = { namespace, name: 'probe' };
  await supervise(stage, probe, { customService: 'nobody' });
  for (;;) {
    const { status } = await stage.kubernetes.api.read<{ status?: { conditions?: unknown[] } }>(
      pathIn(PATHS.kubervisorServices, namespace, probe.name),
    );
    if (status?.conditions !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await leave(stage, probe);
}
