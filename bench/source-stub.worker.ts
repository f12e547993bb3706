/** A Prometheus that costs nothing: one answer for so many pods, whatever is asked. In a thread, so that who asks does not wait for itself. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { pods } = workerData as { pods: readonly string[] };
const now = Date.now() / 1000;
const body = JSON.stringify({
  status: 'success',
  data: {
    resultType: 'vector',
    // Alike but not the same, as of a healthy fleet.
    result: pods.map((pod, index) => ({ metric: { pod }, value: [now, String(100 + (index % 7))] })),
  },
});

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => response.setHeader('content-type', 'application/json').end(body));
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
