/** The service as it is released: one file, and beside it the thread's own. */
import { expect, test } from '@jest/globals';
import { askDetector } from '@kubervisor/runtime/http/detector-client';
import { startService } from '@kubervisor/testing/services';
import { createPeers } from './shell/peers.fixture.ts';

test('what is judged and checked in the thread beside is so in the bundle too', async () => {
  const verdicts = JSON.stringify({ verdicts: [{ pod: 'cart-1', outcome: 'anomalous' }] });
  const info = JSON.stringify({ name: 'judge', version: '1', parameters: { required: ['limit'] } });
  const peers = createPeers();
  const port = await peers.serve((request, response) =>
    response.end(request.method === 'GET' ? info : verdicts + ' '.repeat(1_000_000)),
  );
  const service = await startService('detector', 'detector-1', { DETECTOR_ALLOW: '127.0.0.1:*' });
  try {
    const url = `http://127.0.0.1:${port}`;
    const ask = (parameters: object) =>
      askDetector(
        service.url,
        {
          apiVersion: 'detector.kubervisor.io/v1',
          evaluationId: 'round-1',
          timeoutMilliseconds: 20_000,
          service: { namespace: 'shop', name: 'cart' },
          breaker: 'errors',
          parameters: {},
          pods: [{ name: 'cart-1', uid: 'u1' }],
          kind: 'detector',
          detector: { url, parameters },
        },
        21_000,
      );
    expect(await ask({ limit: 1 })).toMatchObject({ verdicts: [{ outcome: 'anomalous' }], warnings: [] });
    expect(await ask({})).toMatchObject({ verdicts: [], error: { reason: 'InvalidParameters' } });
  } finally {
    await service.stop();
    await peers.close();
  }
}, 60_000);
