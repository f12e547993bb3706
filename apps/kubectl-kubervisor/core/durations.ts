/** Spans of time as kubectl writes them: `45s`, `3m20s`, `5h`, `12d`. Milliseconds; what is over counts as none. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const and = (large: string, rest: number, unit: string): string => (rest === 0 ? large : `${large}${rest}${unit}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return and(`${minutes}m`, seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 48) return `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}

export const ago = (time: string | undefined, now: number): string =>
  time === undefined ? '' : span(now - Date.parse(time));

/** `in 12s`, or `now` where the moment is come. */
export function ahead(time: string | undefined, now: number): string {
  if (time === undefined) return '';
  const left = Date.parse(time) - now;
  // Rounded up: "in 0s" would say that it is come.
  return left <= 0 ? 'now' : `in ${span(Math.ceil(left / 1000) * 1000)}`;
}
