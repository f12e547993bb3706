/** What `npx @kubervisor/detector-kit check` accepts, the detector service accepts: both are set on the same plug-ins. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import { evaluationResponse, type EvaluationRequest } from '@kubervisor/shared/detection/service';
import { ordinary, VARIANTS } from '../../libs/detector-kit/core/questions.ts';
import { BROKEN, ODD, serve, type Plugin, type Served } from '../../libs/detector-kit/plugins.fixture.ts';
import { check } from '../../libs/detector-kit/shell/check.ts';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';

let service: DetectorService;
let served: Served | undefined;
beforeEach(async () => {
  service = await createDetectorService(
    readConfig(detectorConfig, { HTTP_HOST: '127.0.0.1', HTTP_PORT: '0', DETECTOR_ALLOW: '127.0.0.1:*' }),
    { log: createLogger('detector', 'silent'), metrics: createMetrics('detector') },
  );
});
afterEach(async () => {
  await served?.close();
  await service.stop();
});

/** Everything that the service has to say against the plug-in, asked as the check asks. */
async function complaints(plugin: Partial<Plugin>, timeoutMilliseconds: number): Promise<string[]> {
  served = await serve(plugin);
  const asked = { parameters: {}, timeoutMilliseconds };
  const said: string[] = [];
  for (const question of [ordinary(asked), ...Object.values(VARIANTS).flatMap((variant) => variant(asked))]) {
    const request: EvaluationRequest = { ...question, kind: 'detector', detector: { url: served.url } };
    const answer = await service.server.inject({ method: 'POST', url: '/v1/verdicts', payload: request });
    const { error, ignored, warnings } = evaluationResponse.parse(answer.json());
    said.push(...(error ? [error.reason] : []), ...Object.keys(ignored), ...warnings);
    if (said.length > 0) break;
  }
  await served.close();
  return said;
}

/** The check is the stricter: of these the service says nothing, for it does not ask, or copes. */
const UNSEEN = new Set([
  'health',
  'content-type',
  'one-line',
  // It reads /v1/info whatever type it is said to be of; asks one question at a time here; knows no later field and asks nothing unsound.
  'info',
  'at-once',
  'unknown-fields',
  'asked-again',
  'refuses-nonsense',
  'refuses-other-shape',
  'refuses-other-version',
  'refuses-parameters',
  'still-answers',
]);

test('a sound plug-in: the check is content, and so is the service', async () => {
  expect(await complaints({}, 15_000)).toEqual([]);
});

describe.each([...BROKEN, ...ODD])('a plug-in that $what', ({ plugin, breaks, isLate }) => {
  test('what the service does not take the check does not either', async () => {
    // The service's is long where it is not waited out: each time a thread that checks the parameters is started within it.
    const said = await complaints(plugin(), isLate ? 200 : 15_000);
    served = await serve(plugin());
    const { ok } = await check(served.url, { timeoutMilliseconds: isLate ? 200 : 5000 });
    if (said.length > 0) expect(ok).toBe(false);
    else expect(UNSEEN).toContain(breaks);
  });
});
