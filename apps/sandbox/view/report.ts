/** How the story ended: an object for machines, a few lines for people. */
import type { Act, Progress } from '../story/story.ts';

export interface Report {
  held: boolean;
  /** From the start of the demo to the end of the story; told again, from the end of the last telling. */
  seconds: number;
  acts: {
    title: string;
    held: boolean;
    seconds: number;
    claims: { text: string; held: boolean }[];
    failure?: string;
  }[];
  figures: {
    requests: number;
    badAnswers: number;
    /** From the fault to the pod's leaving the EndpointSlice. */
    outAfterSeconds: number | null;
    /** From its healing to its return. */
    backAfterSeconds: number | null;
    /** What status said of the common cause. */
    reason: string | null;
  };
}

const tenth = (seconds: number): number => Math.round(seconds * 10) / 10;

/** `played`: the acts that were begun; a story that was cut short did not hold. `since`: when it began; with the demo unless told. */
export function reportOf(
  acts: readonly Act[],
  played: readonly Progress[],
  {
    requests,
    bad,
    reason,
    seconds,
    since = 0,
  }: { requests: number; bad: number; reason: string | undefined; seconds: number; since?: number },
): Report {
  /** Until the claim of an act was true for the first time. */
  const secondsUntil = (place: number, text: RegExp): number | null => {
    const claim = acts[place]?.then.findIndex((one) => text.test(one.text)) ?? -1;
    const first = played[place]?.firstHeld[claim];
    return first === undefined ? null : tenth(first - (played[place]?.startedAt ?? 0));
  };
  return {
    held: played.length === acts.length && played.every(({ outcome }) => outcome === 'held'),
    seconds: tenth(seconds - since),
    acts: played.map((progress, place) => {
      const act = acts[place];
      return {
        title: act?.title ?? '',
        held: progress.outcome === 'held',
        seconds: tenth((progress.endedAt ?? seconds) - progress.startedAt),
        claims: (act?.then ?? []).map(({ text }, claim) => ({ text, held: progress.claims[claim] === true })),
        ...(progress.failure !== undefined && { failure: progress.failure }),
      };
    }),
    figures: {
      requests,
      badAnswers: bad,
      outAfterSeconds: secondsUntil(1, /left the EndpointSlice/),
      backAfterSeconds: secondsUntil(2, /back in the EndpointSlice/),
      reason: reason ?? null,
    },
  };
}

export function summaryOf({ held, seconds, acts, figures }: Report): string[] {
  const failed = acts.find((act) => !act.held);
  if (!held)
    return [
      failed === undefined
        ? `The story was cut short after ${seconds} s.`
        : `The story did not hold. Act "${failed.title}": ${failed.failure ?? 'cut short'}`,
    ];
  return [
    `The story held, in ${seconds} s: ${figures.requests} requests, ${figures.badAnswers} bad answers.`,
    `The failing pod was out after ${figures.outAfterSeconds} s, and back ${figures.backAfterSeconds} s after it was healed.`,
    `When most failed nobody was touched: ${figures.reason ?? ''}`,
  ];
}
