/** The thread in which is read what is foreign and may take long, so that it holds up nobody's evaluation. */
import { parentPort } from 'node:worker_threads';
import { checkParameters } from '@kubervisor/runtime/plugin-parameters';
import { readInfo } from '@kubervisor/shared/detection/plugin-answer';
import { judgeAnswer } from '../core/judge-answer.ts';
import type { Job, Jobs, Reply, Task } from './side-thread.ts';

const JOBS: { [J in Job]: (question: Jobs[J]['question']) => Jobs[J]['answer'] } = {
  judge: judgeAnswer,
  parameters({ info, parameters }) {
    const read = readInfo(info);
    return 'problem' in read ? 'noInfo' : checkParameters(read.value.parameters, JSON.parse(parameters));
  },
};

const answer = <J extends Job>({ job, question }: Task<J>): Jobs[J]['answer'] => JOBS[job](question);

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage({ id: task.id, answer: answer(task) } satisfies Reply);
});
