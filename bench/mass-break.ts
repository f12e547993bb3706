/** W6: half of a fleet is named at once, and the floor allows it; from the answer of the plug-in to the last label `no`. */
import { EDITS, guardedPatch } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub } from './detector-stub.ts';
import { mean, type Figure } from './figures.ts';
import { createFleet, leave, patchAll, supervise, type Stage } from './stage.ts';

const PODS = 1000;
const TIMES = 3;

const isOut = ({ labels }: Pod): boolean => labels[LABEL.traffic] === 'no';
const isIn = ({ labels }: Pod): boolean => labels[LABEL.traffic] === 'yes';

export async function massBreak(stage: Stage): Promise<Figure[]> {
  const count = stage.quick ? 200 : PODS;
  const half = count / 2;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  stage.progress(`a fleet of ${count}`);
  const fleet = await createFleet(stage, namespace, 'mass-break', { replicas: count });

  const bringBack = async (): Promise<void> => {
    const back = fleet.when(count, isIn);
    await patchAll(stage, fleet.pods().filter(isOut), (pod) =>
      guardedPatch(pod, EDITS.activate(pod, { at: Date.now() })),
    );
    await back;
  };
  const bare = async (): Promise<number> => {
    const observation = { reason: 'named by the benchmark', score: 2 };
    const milliseconds = await patchAll(stage, fleet.pods().slice(0, half), (pod) =>
      guardedPatch(pod, EDITS.break(pod, { breaker: 'bench', at: Date.now(), retryCount: 1, observation })),
    );
    await fleet.when(half, isOut);
    await bringBack();
    return milliseconds / 1000;
  };

  try {
    stage.progress('the bound');
    const bounds = [await bare()];
    const ours: number[] = [];
    const services = await startServices(stage, { namespaces: [namespace] });
    try {
      await supervise(stage, fleet, { evaluationPeriod: 1, customService: stub.address });
      await fleet.when(count, (pod) => pod.labels[LABEL.name] === fleet.name, 300_000);
      for (let time = 1; time <= TIMES; time++) {
        stage.progress(`Kubervisor, ${time} of ${TIMES}`);
        const question = await stub.next();
        const names = fleet
          .pods()
          .slice(0, half)
          .map(({ name }) => name);
        const out = fleet.when(half, isOut, 300_000);
        // What the first round could not do within its claim the next one does.
        stub.standing = names;
        const answered = question.answer(names);
        ours.push(((await out) - answered) / 1000);
        stub.standing = [];
        await stub.next().then((next) => next.answer([]));
        await bringBack();
      }
      await leave(stage, fleet);
    } finally {
      await services.stop();
    }
    stage.progress('the bound again');
    bounds.push(await bare());
    return [
      {
        what: `${half} of ${count} pods broken, mean of ${TIMES}`,
        unit: 's',
        value: mean(ours),
        bound: { what: `${half} bare PATCHes`, value: mean(bounds) },
        target: { ratio: 1.5 },
      },
    ];
  } finally {
    await fleet.remove();
    await stub.close();
  }
}
