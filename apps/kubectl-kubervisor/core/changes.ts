/** What `watch` says of a change: nothing, where nothing happened that a person would want to know. */
import { marksOf, readReason } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { ReadResource } from './resource.ts';
import { viewResource, type ResourceView } from './views.ts';

const PLACE: Readonly<Record<string, string>> = { yes: 'in traffic', no: 'out', pause: 'paused' };
const place = (pod: Pod): string => PLACE[marksOf(pod).traffic ?? ''] ?? 'not labelled';

export function podChange(before: Pod | undefined, after: Pod | undefined): string | undefined {
  if (after === undefined) return before === undefined ? undefined : `gone, was ${place(before)}`;
  if (before === undefined) return `new, ${place(after)}${after.ready ? '' : ', not ready'}`;
  const marks = marksOf(after);
  const said: string[] = [];
  if (place(before) !== place(after)) {
    const { reason } = readReason(marks.reason ?? '');
    const why =
      marks.traffic === 'yes' || marks.strategy === undefined
        ? ''
        : ` by ${marks.strategy}${reason === '' ? '' : `: ${reason}`}`;
    said.push(`${place(before)} → ${place(after)}${why}`);
  }
  if (before.ready !== after.ready) said.push(after.ready ? 'ready' : 'not ready');
  if (marksOf(before).exempt !== marks.exempt) said.push(marks.exempt ? 'exempt' : 'exempt no more');
  if (!before.terminating && after.terminating) said.push('ending');
  return said.length === 0 ? undefined : said.join(', ');
}

function healthOf({ problem, ready }: ResourceView): string {
  if (problem !== undefined) return `${problem.reason}: ${problem.message}`;
  return ready === 'Unknown' ? 'no status yet: is the controller running?' : 'healthy';
}

export function resourceChange(before: ReadResource | undefined, after: ReadResource | undefined): string | undefined {
  if (after === undefined) return before === undefined ? undefined : 'deleted';
  const now = viewResource(after);
  const health = healthOf(now);
  const floor = `${now.available ?? '?'} in traffic, floor ${now.floor ?? 'none'}`;
  if (before === undefined) return `mode ${now.mode ?? '?'}, ${floor}, ${health}`;
  const was = viewResource(before);
  const said: string[] = [];
  if (was.mode !== now.mode) said.push(`mode ${was.mode ?? '?'} → ${now.mode ?? '?'}`);
  if (was.active !== now.active) said.push(now.active === 'True' ? 'active' : 'not active');
  if (was.available !== now.available || was.floor !== now.floor) said.push(floor);
  // A message alone, as of a count in it, is no change.
  if (was.problem?.reason !== now.problem?.reason || was.ready !== now.ready) said.push(health);
  return said.length === 0 ? undefined : said.join(', ');
}
