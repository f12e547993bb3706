/**
 * How much of a process's heap is alive: what is left after a collection. Asked of Node's inspector, so that nothing in the service has
 * to be made for it. What the heap holds between two collections is mostly garbage and says nothing about a leak.
 */

export interface Inspector {
  /** Bytes, with the buffers that it holds. */
  liveHeap(): Promise<number>;
  close(): void;
}

/** For NODE_OPTIONS: a free port, on loopback. */
export const INSPECTED = '--inspect=127.0.0.1:0';
const LISTENING = /^Debugger listening on (ws:\S+)/;
/** What an inspected process writes beside its log. */
const ITS_LINES = [LISTENING, /^For help, see: https:\/\/nodejs\.org\//, /^Debugger (ending|attached)/];

export const inspectorUrl = (lines: readonly string[]): string | undefined =>
  lines.map((line) => LISTENING.exec(line)?.[1]).find((url) => url !== undefined);
export const isOfInspector = (line: string): boolean => ITS_LINES.some((pattern) => pattern.test(line));

export async function connectInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  let counter = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as {
      id?: number;
      result?: unknown;
      error?: { message: string };
    };
    const asked = waiting.get(id ?? -1);
    waiting.delete(id ?? -1);
    if (error === undefined) asked?.resolve(result);
    else asked?.reject(new Error(`inspector: ${error.message}`));
  });
  const lost = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('inspector: the connection ended'));
    waiting.clear();
  };
  socket.addEventListener('close', lost);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error(`inspector: no connection to ${url}`)));
  });
  const ask = <T>(method: string): Promise<T> =>
    new Promise<unknown>((resolve, reject) => {
      if (socket.readyState !== WebSocket.OPEN) return reject(new Error('inspector: the connection ended'));
      const id = (counter += 1);
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ id, method }));
    }) as Promise<T>;
  return {
    async liveHeap() {
      await ask('HeapProfiler.collectGarbage');
      const { usedSize, backingStorageSize = 0 } = await ask<{ usedSize: number; backingStorageSize?: number }>(
        'Runtime.getHeapUsage',
      );
      return usedSize + backingStorageSize;
    },
    close: () => socket.close(),
  };
}
