/** For the tests of who writes a plug-in. */
import { DETECTOR_API_VERSION, type JudgedPod, type Verdict } from '@kubervisor/shared/detection/contract';
import { judgeVerdicts, readVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import type { Detector } from './define-detector.ts';
import { check, type CheckOptions, type Report } from './shell/check.ts';

export { check, type CheckOptions, type Finding, type Report } from './shell/check.ts';

export interface Ask {
  /** Names, or pods with what the detector looks at. */
  pods: readonly (string | (Partial<JudgedPod> & { name: string }))[];
  parameters?: Record<string, unknown>;
  timeoutMilliseconds?: number;
}

/**
 * Asks as Kubervisor does, without a port, and answers what Kubervisor would make of it: a verdict for each pod, by its name. Rejects, with
 * what the detector said, where Kubervisor would get an error.
 */
export async function ask(
  detector: Detector,
  { pods, parameters = {}, timeoutMilliseconds = 5000 }: Ask,
): Promise<Record<string, Verdict>> {
  const fleet = pods.map((pod): JudgedPod => {
    const given = typeof pod === 'string' ? { name: pod } : pod;
    return { uid: `uid-of-${given.name}`, ...given };
  });
  const { statusCode, body } = await detector.inject({
    method: 'POST',
    url: '/v1/verdicts',
    payload: {
      apiVersion: DETECTOR_API_VERSION,
      evaluationId: 'test',
      timeoutMilliseconds,
      service: { namespace: 'test', name: 'test' },
      breaker: 'test',
      parameters,
      pods: fleet,
    },
  });
  if (statusCode !== 200) throw new Error(`the detector answered ${statusCode}: ${body}`);
  const read = readVerdicts(body);
  if ('problem' in read) throw new Error(`the answer ${read.problem}`);
  return Object.fromEntries(judgeVerdicts(read.value, fleet).verdicts.map((verdict) => [verdict.pod, verdict]));
}

/** The conformance check of `npx @kubervisor/detector-kit check`, on a free port of the loopback; the detector is closed after it. */
export async function checkDetector(detector: Detector, options?: CheckOptions): Promise<Report> {
  const url = await detector.listen({ host: '127.0.0.1', port: 0 });
  try {
    return await check(url, options);
  } finally {
    await detector.close();
  }
}
