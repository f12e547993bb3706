/** Judges answers: a small one at once, a large one in the side thread, where it holds up nobody else. */
import { failure, type Answer, type Fault, type Result } from '../core/answer.ts';
import { judgeAnswer, type Answered } from '../core/judge-answer.ts';
import type { SideThread } from './side-thread.ts';
import type { Refusal } from './turns.ts';

/** Never throws. `signal`: the deadline. */
export type Judging = (answered: Answered, signal: AbortSignal) => Promise<Result<Answer>>;

/** In characters: at worst 25 ms of a processor, and of a Prometheus what it says of 1500 pods. */
export const SMALL_LENGTH = 128 * 1024;

const WHY: Record<Refusal, [reason: Fault['reason'], message: string]> = {
  late: ['Timeout', 'it is a large one, and could not be read in time'],
  crowded: ['Timeout', 'it is a large one, and too many of them wait to be read'],
  dismissed: ['BadAnswer', 'it takes more to read than it may'],
};

export const createJudging =
  (thread: SideThread): Judging =>
  async (answered, signal) => {
    const { kind, namespace, pods, text } = answered;
    if (text.length <= SMALL_LENGTH) return judgeAnswer(answered);
    const slim = { ...answered, pods: pods.map(({ name, uid }) => ({ name, uid })) };
    const asked = await thread.ask('judge', namespace, slim, text.length, signal);
    if ('answer' in asked) return asked.answer;
    const peer = kind === 'customService' || kind === 'detector' ? 'the plug-in' : 'Prometheus';
    const [reason, why] = WHY[asked.refused];
    return failure(reason, `the answer of ${peer} was not judged: ${why}`);
  };
