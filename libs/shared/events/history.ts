/**
 * The facts of one resource as the controller tells them to people (GET /history): what happened to its pods, by whom and why. The same
 * schema is what the controller answers by and what kubectl kubervisor reads by.
 */
import * as z from 'zod';
import { DNS_LABEL, LABEL_VALUE } from '../crd/kubervisor-service.ts';
import { decodeEvent } from './envelope.ts';
import { FACTS, podFact, type FactType } from './facts.ts';

/** However many there are: so no question costs more than this. */
export const MAX_HISTORY = 500;
export const DEFAULT_HISTORY = 100;

/** One resource, named in full: no patterns, so nobody reads more of the stream than they name. */
export const historyQuery = z.object({
  namespace: z.string().regex(DNS_LABEL, 'must be the name of a namespace'),
  name: z.string().regex(LABEL_VALUE, 'must be the name of a KubervisorService'),
  limit: z.coerce
    .number(`must be a number from 1 to ${MAX_HISTORY}`)
    .int(`must be a whole number from 1 to ${MAX_HISTORY}`)
    .min(1, `must be a number from 1 to ${MAX_HISTORY}`)
    .max(MAX_HISTORY, `must be a number from 1 to ${MAX_HISTORY}`)
    .default(DEFAULT_HISTORY),
});

export const historyFact = podFact
  .omit({ resource: true })
  .extend({ type: z.enum(Object.keys(FACTS) as [FactType, ...FactType[]]) });

export const history = z.object({
  namespace: z.string(),
  name: z.string(),
  /** The oldest first. */
  facts: z.array(historyFact).max(MAX_HISTORY),
  /** Older ones are kept, but were not asked for. */
  more: z.boolean(),
  /** Messages that this version cannot read. */
  unreadable: z.int().min(0),
});

export type HistoryFact = z.infer<typeof historyFact>;
export type History = z.infer<typeof history>;

/**
 * From the messages of the resource's subject, the oldest first. A subject writes `_` for `.`, so two names may share one: what is of
 * another resource is left out.
 */
export function readHistory(
  { namespace, name }: { namespace: string; name: string },
  { messages, more }: { messages: readonly { subject: string; text: string }[]; more: boolean },
): History {
  const facts: HistoryFact[] = [];
  let unreadable = 0;
  for (const { subject, text } of messages) {
    const type = subject.split('.')[2] ?? '';
    const decoded = Object.hasOwn(FACTS, type) ? decodeEvent(FACTS[type as FactType], text) : undefined;
    if (decoded?.ok !== true) {
      unreadable += 1;
      continue;
    }
    const { resource, ...fact } = decoded.event.data;
    if (resource.namespace === namespace && resource.name === name) facts.push({ type: type as FactType, ...fact });
  }
  return { namespace, name, facts, more, unreadable };
}
