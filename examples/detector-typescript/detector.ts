import { defineDetector } from '@kubervisor/detector-kit';
import * as z from 'zod';
import { judge } from './judge.ts';
export const detector = defineDetector({
  name: 'max-age',
  version: '1.0.0',
  parameters: z.strictObject({ maxHours: z.number().positive().default(24) }),
  evaluate: ({ pods, parameters }) => pods.map((pod) => judge(pod, parameters.maxHours, Date.now())),
});
if (import.meta.main) await detector.run();
