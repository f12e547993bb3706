/** What is the matter with which source, for those who operate it: readiness, a metric, and a line in the log when it changes. */
import type { Logger } from '@kubervisor/runtime/logs';
import type { Fault } from '../core/answer.ts';
import type { Source } from './prometheus.ts';

export const SOURCE_STATES = ['well', 'resting', 'unusable'] as const;
export type SourceState = (typeof SOURCE_STATES)[number];

export interface SourceStates {
  /** What is wrong with the files of a named source; undefined: nothing (any more). */
  files(name: string, problem: string | undefined): void;
  /** A source rests because of `fault`, or, undefined, is back. */
  turned(source: Source, fault: Fault | undefined): void;
  /** Of the named ones that are not well. They do not make the detector unready: each is the trouble of its own users alone. */
  checks(): Record<string, string>;
}

/** `count`: how many sources of that name (one), or, name '', of those named by address, are in the state. */
export function createSourceStates(
  log: Logger,
  count: (source: string, state: SourceState, sources: number) => void,
): SourceStates {
  const unusable = new Map<string, string>();
  const resting = new Map<string, Fault>();
  let addressesResting = 0;

  const stateOf = (name: string): SourceState =>
    unusable.has(name) ? 'unusable' : resting.has(name) ? 'resting' : 'well';
  const tell = (name: string) => {
    for (const state of SOURCE_STATES) count(name, state, stateOf(name) === state ? 1 : 0);
  };

  return {
    files(name, problem) {
      if (problem === undefined) {
        if (unusable.delete(name)) log.info({ source: name }, 'the files of the source can be used again');
      } else {
        unusable.set(name, problem);
        log.warn({ source: name, problem }, 'files of the source cannot be used, so it is not asked');
      }
      tell(name);
    },
    turned({ name, destination }, fault) {
      const fields = { source: name ?? destination.url.host, reason: fault?.reason, problem: fault?.message };
      if (fault === undefined) log.info(fields, 'the rest of the source is over');
      else log.warn(fields, 'the source is given a rest');
      if (name === undefined) {
        addressesResting += fault === undefined ? -1 : 1;
        count('', 'resting', addressesResting);
        return;
      }
      if (fault === undefined) resting.delete(name);
      else resting.set(name, fault);
      tell(name);
    },
    checks: () => ({
      ...Object.fromEntries(
        [...resting].map(([name, { reason, message }]) => [`source ${name}`, `resting: ${reason}, ${message}`]),
      ),
      ...Object.fromEntries([...unusable].map(([name, problem]) => [`source ${name}`, problem])),
    }),
  };
}
