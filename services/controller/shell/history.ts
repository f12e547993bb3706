/**
 * GET /history?namespace=…&name=…&limit=…: the facts of one resource, read from the stream, so that any replica answers, leader or not,
 * and a restart forgets nothing.
 *
 * Who may read it: whoever reaches this port, as with /metrics; the API server's proxy does not pass on who asks. What it tells is names
 * of pods and breakers, figures and reasons, never a secret. So NetworkPolicies keep others away, and for people the right to it is
 * `get` of `services/proxy` on the controller's Service. A question is bounded in what it reads (MAX_HISTORY) and there are few at once,
 * so that nobody who asks often keeps the leader from its work.
 */
import type { FastifyInstance } from 'fastify';
import { HttpError, parseBody } from '@kubervisor/runtime/http/server';
import { BusFault, type Bus } from '@kubervisor/runtime/nats/bus';
import { historyQuery, readHistory, type History } from '@kubervisor/shared/events/history';

const AT_ONCE = 4;

export function serveHistory(server: FastifyInstance, bus: Pick<Bus, 'lastFacts' | 'status'>): void {
  let underWay = 0;
  server.get('/history', async (request, reply): Promise<History> => {
    const { limit, ...resource } = parseBody(historyQuery, request.query);
    if (underWay >= AT_ONCE) {
      void reply.header('retry-after', '1');
      throw new HttpError(503, 'Busy', `${AT_ONCE} histories are being read already: ask again in a second`);
    }
    underWay += 1;
    try {
      return readHistory(resource, await bus.lastFacts(resource, limit));
    } catch (error) {
      if (!(error instanceof BusFault)) throw error;
      const state = bus.status();
      const why = state.ready ? error.message : state.problem;
      throw new HttpError(503, 'Unavailable', `the facts are in NATS, which cannot be read now: ${why}`);
    } finally {
      underWay -= 1;
    }
  });
}
