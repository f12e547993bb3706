/** For one long piece of work on a cluster that may be busy, restarting or away for a while: tries until the answer is one for good. */
import { ApiError, pause, type ApiServer, type RequestOptions } from '../kubernetes/api-server.ts';
import { backoffDelay } from '../kubernetes/backoff.ts';

export interface Persistence {
  api: ApiServer;
  signal: AbortSignal;
  /** One line for people, once for each trouble that is waited out. */
  trouble(message: string): void;
}

/** With the waits between them about half a minute: a restart of an API server. */
const TRIES = 9;

const mayPass = ({ status }: ApiError): boolean => status === 0 || status === 429 || status >= 500;

/** Throws the last ApiError. What was sent may have been done though nobody answered: it must be safe to send it again. */
export async function persist<T>({ signal, trouble }: Persistence, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 0; ;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ApiError) || !mayPass(error) || ++failures >= TRIES) throw error;
      trouble(error.message);
      await pause(backoffDelay(failures, Math.random(), error.retryAfterSeconds), signal);
    }
  }
}

/** Undefined where there is no such object. */
export const findPersistently = <T>(how: Persistence, path: string): Promise<T | undefined> =>
  persist(how, () => how.api.find<T>(path, { signal: how.signal }));

const PAGE = 500;
/** Pages that are older than the API server's history are of no use: the list is begun anew. */
const EXPIRED = 410;
const BEGINNINGS = 5;

/** All of it, page by page: a list of a whole cluster in one answer is a burden on the API server and takes longer than anybody waits. */
export async function listPersistently<Raw, Item>(
  how: Persistence,
  path: string,
  query: RequestOptions['query'],
  read: (raw: Raw) => Item,
): Promise<Item[]> {
  for (let beginnings = 1; ; beginnings++) {
    const items: Item[] = [];
    try {
      for (let next: string | undefined = ''; next !== undefined;) {
        const page: { metadata?: { continue?: string }; items: Raw[] } = await persist(how, () =>
          how.api.read(path, { query: { ...query, limit: PAGE, continue: next }, signal: how.signal }),
        );
        items.push(...page.items.map(read));
        next = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
      }
      return items;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== EXPIRED || beginnings >= BEGINNINGS) throw error;
    }
  }
}
