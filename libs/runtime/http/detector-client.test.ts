import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import { Agent } from 'undici';
import { askDetector, MAX_ANSWER_BYTES } from './detector-client.ts';

const evaluation: EvaluationRequest = {
  apiVersion: 'detector.kubervisor.io/v1',
  evaluationId: 'round-1',
  timeoutMilliseconds: 500,
  service: { namespace: 'shop', name: 'cart' },
  breaker: 'slow',
  parameters: {},
  pods: [{ name: 'cart-1', uid: 'u1' }],
  kind: 'customService',
  detector: 'plugin',
};

let server: Server;
async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
afterEach(
  () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
);

const answerWith = (text: string, status = 200): Promise<string> =>
  serve((_request, response) => response.writeHead(status).end(text));

describe('askDetector: V1 whatever goes wrong is an answer, never a throw', () => {
  test('hands over the verdicts', async () => {
    let asked = '';
    const url = await serve((request, response) => {
      request.on('data', (chunk: Buffer) => (asked += chunk.toString()));
      request.on('end', () =>
        response.end(JSON.stringify({ verdicts: [{ pod: 'cart-1', outcome: 'anomalous', score: 2 }] })),
      );
    });
    expect(await askDetector(`${url}/`, evaluation, 1000)).toEqual({
      verdicts: [{ pod: 'cart-1', outcome: 'anomalous', score: 2 }],
      ignored: {},
      warnings: [],
    });
    expect(JSON.parse(asked)).toEqual(evaluation);
  });

  test.each([
    ['no JSON', 'secret <html>'],
    ['another shape', '{"verdicts":[{"pod":1,"outcome":"secret"}]}'],
    ['an unknown outcome', '{"verdicts":[{"pod":"cart-1","outcome":"secret"}]}'],
  ])('%s is BadAnswer', async (_name, body) => {
    const answer = await askDetector(await answerWith(body), evaluation, 1000);
    expect(answer).toMatchObject({ verdicts: [], error: { reason: 'BadAnswer' } });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  test.each([500, 404, 302, 204])('status %d is BadStatus', async (status) => {
    expect((await askDetector(await answerWith('', status), evaluation, 1000)).error?.reason).toBe('BadStatus');
  });

  test('an answer without end is TooLarge', async () => {
    const chunk = ' '.repeat(1024 * 1024);
    const url = await serve((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    const answer = await askDetector(url, evaluation, 20_000);
    expect(answer.error).toEqual({
      reason: 'TooLarge',
      message: `the answer is larger than ${MAX_ANSWER_BYTES} bytes`,
    });
  });

  test('silence, and a body that comes drop by drop, end at the deadline', async () => {
    const silent = await askDetector(await serve(() => undefined), evaluation, 100);
    expect(silent.error?.reason).toBe('Timeout');
    server.closeAllConnections();
    server.close();
    const started = performance.now();
    const url = await serve((request, response) => {
      const timer = setInterval(() => response.write(' '), 10);
      request.on('close', () => clearInterval(timer));
    });
    expect((await askDetector(url, evaluation, 150)).error?.reason).toBe('Timeout');
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('a deadline holds too where no connection is free', async () => {
    const url = await serve(() => undefined);
    const pool = new Agent({ connections: 1 });
    const started = performance.now();
    const first = askDetector(url, evaluation, 1500, pool);
    expect((await askDetector(url, evaluation, 100, pool)).error?.reason).toBe('Timeout');
    expect(performance.now() - started).toBeLessThan(1000);
    expect((await first).error?.reason).toBe('Timeout');
    await pool.destroy();
  });

  test('nobody there is Unreachable', async () => {
    const url = await serve(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    expect((await askDetector(url, evaluation, 1000)).error).toEqual({
      reason: 'Unreachable',
      message: 'no connection to the detector (ECONNREFUSED)',
    });
  });

  test('a kept connection that the other end closes under the request is asked once more', async () => {
    let requests = 0;
    const url = await serve((request, response) => {
      requests += 1;
      if (requests === 1) request.socket.destroy();
      else response.end('{"verdicts":[]}');
    });
    expect((await askDetector(url, evaluation, 1000)).error).toBeUndefined();
    expect(requests).toBe(2);
  });
});
