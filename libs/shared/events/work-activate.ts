/** Controller → one activator: look at who is out of this Service now. It names the Service, never pods (W1). */
import * as z from 'zod';
import * as common from './common.ts';
import { defineEvent } from './envelope.ts';

export const workActivate = defineEvent(
  'work.activate',
  1,
  z.object({
    ...common.work,
    /** A5: kills that were refused before; the leader remembers when the next may be tried, for pods hold no mark of it. */
    refusedKills: z.array(z.object({ uid: z.string(), refusals: z.int().min(1), nextAttempt: common.time })),
  }),
);

export type WorkActivate = z.infer<typeof workActivate.data>;
