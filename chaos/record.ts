/** All that happens, as lines with the time of day, in a folder that is kept when something went wrong. */
import { createWriteStream, mkdirSync, rmSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';

export interface Record {
  readonly folder: string;
  /** To history.log: faults, changes of pods, claims, rounds. */
  tell(what: string, line: string): void;
  /** The log of one process, as it is. */
  logOf(process: string): (line: string) => void;
  close(keep: boolean): Promise<void>;
}

export function openRecord(folder: string, now: () => Date): Record {
  mkdirSync(folder, { recursive: true });
  const streams = new Map<string, WriteStream>();
  const streamOf = (name: string): WriteStream => {
    let stream = streams.get(name);
    if (stream === undefined) streams.set(name, (stream = createWriteStream(join(folder, name), { flags: 'a' })));
    return stream;
  };
  return {
    folder,
    tell: (what, line) => void streamOf('history.log').write(`${now().toISOString()} ${what.padEnd(8)} ${line}\n`),
    logOf(process) {
      const stream = streamOf(`${process}.log`);
      return (line) => void stream.write(`${line}\n`);
    },
    async close(keep) {
      await Promise.all([...streams.values()].map((stream) => new Promise((resolve) => stream.end(resolve))));
      if (!keep) rmSync(folder, { recursive: true, force: true });
    },
  };
}
