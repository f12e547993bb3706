/**
 * Whose word is the benchmark's (or the soak's): as a plug-in of the 2018 kind (`customService`), and in place of the detector service (DETECTOR_URL).
 * A question can be held, so that nothing of Kubervisor moves while a bound is measured.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';

export interface Question {
  /** Names the bad pods. Returns `performance.now()` from just before the answer is handed to the socket. */
  answer(bad: readonly string[]): number;
}

export interface DetectorStub {
  /** As DETECTOR_URL takes it. */
  readonly url: string;
  /** As `customService` takes it. */
  readonly address: string;
  /** The next question, held. Those that nobody waits for are answered at once, with whoever is `standing`. */
  next(): Promise<Question>;
  standing: readonly string[];
  /** Questions so far. */
  readonly asked: number;
  close(): Promise<void>;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const podList = (bad: readonly string[], namespace: string) => ({
  kind: 'PodList',
  apiVersion: 'v1',
  items: bad.map((name) => ({ metadata: { name, namespace } })),
});

function verdicts(bad: readonly string[], { pods }: EvaluationRequest): EvaluationResponse {
  const isBad = new Set(bad);
  return {
    verdicts: pods.map(({ name, uid }) =>
      isBad.has(name)
        ? { pod: name, uid, outcome: 'anomalous', score: 2, reason: 'named by the benchmark' }
        : { pod: name, uid, outcome: 'ok' },
    ),
    ignored: {},
    warnings: [],
  } as EvaluationResponse;
}

/** `badAt`: in place of whoever is `standing`, by the path that was asked. */
export async function startDetectorStub(
  namespace: string,
  badAt?: (path: string) => readonly string[],
): Promise<DetectorStub> {
  let waiting: ((question: Question) => void) | undefined;
  let asked = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await textOf(request);
    const evaluation = request.method === 'POST' ? (JSON.parse(text) as EvaluationRequest) : undefined;
    const answer: Question['answer'] = (bad) => {
      const body = JSON.stringify(evaluation === undefined ? podList(bad, namespace) : verdicts(bad, evaluation));
      response.setHeader('content-type', 'application/json');
      const at = performance.now();
      response.end(body);
      return at;
    };
    asked += 1;
    const ask = waiting;
    waiting = undefined;
    if (ask === undefined) answer(badAt?.(request.url ?? '') ?? stub.standing);
    else ask({ answer });
  };
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stub: DetectorStub = {
    url: `http://${host}`,
    address: `${host}/bad-pods`,
    standing: [],
    get asked() {
      return asked;
    },
    next: () => new Promise((resolve) => (waiting = resolve)),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return stub;
}
