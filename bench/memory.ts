/** Resident memory of each service: with nothing to do, and with fleets of 1000 and 5000. The bound is a Node process that does nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { startServices } from '@kubervisor/testing/services';
import { startDetectorStub } from './detector-stub.ts';
import type { Figure } from './figures.ts';
import { createFleet, leave, supervise, type Stage } from './stage.ts';

const SIZES = [0, 1000, 5000];
/** Of the load, before it is looked at: so many evaluations, of a second each. */
const EVALUATIONS = 15;
const MEGABYTE = 1024 * 1024;

export async function memory(stage: Stage): Promise<Figure[]> {
  const sizes = stage.quick ? SIZES.slice(0, 2) : SIZES;
  const namespace = await stage.cluster.namespace();
  const stub = await startDetectorStub(namespace);
  const bound = { what: 'idle Node', value: (await idleNode()) / MEGABYTE };
  const fleet = await createFleet(stage, namespace, 'memory', { replicas: 0 });
  const figures: Figure[] = [];
  try {
    for (const size of sizes) {
      stage.progress(`a fleet of ${size}`);
      await fleet.scale(size);
      const services = await startServices(stage, { namespaces: [namespace] });
      try {
        if (size > 0) {
          await supervise(stage, fleet, { evaluationPeriod: 1, customService: stub.address });
          await fleet.when(size, (pod) => pod.labels[LABEL.name] === fleet.name, 300_000);
          for (let evaluation = 0; evaluation < EVALUATIONS; evaluation++)
            await stub.next().then((question) => question.answer([]));
        }
        for (const process of services.processes) {
          const [, bytes] = /^process_resident_memory_bytes (\S+)/m.exec(await process.metrics()) ?? [];
          const what = `${process.service}, ${size === 0 ? 'at rest' : `${size} pods`}`;
          const value = Number(bytes) / MEGABYTE;
          // Told and not judged: how much of it is garbage not yet collected is the collector's choice.
          figures.push({ what, unit: 'MB', value, bound });
        }
        if (size > 0) await leave(stage, fleet);
      } finally {
        await services.stop();
      }
    }
    return figures;
  } finally {
    await fleet.remove();
    await stub.close();
  }
}

/** Bytes, of a process of this very Node that loaded nothing. */
async function idleNode(): Promise<number> {
  const script = 'setTimeout(() => console.log(process.memoryUsage.rss()), 500)';
  const child = spawn(process.execPath, ['--eval', script], { env: {}, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return Number(text);
}
