import { describe, expect, test } from '@jest/globals';
import { verdictRequest } from '@kubervisor/shared/detection/contract';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import { pluginRequest } from './plugin-request.ts';

describe('what a plug-in is asked', () => {
  const request: EvaluationRequest = {
    apiVersion: 'detector.kubervisor.io/v1',
    evaluationId: 'round-1/quality',
    timeoutMilliseconds: 4800,
    service: { namespace: 'shop', name: 'cart' },
    breaker: 'quality',
    parameters: {},
    pods: [
      { name: 'cart-1', uid: 'u1', ip: '10.1.2.3', node: 'n1', revision: '7d9', readySince: '2026-01-01T00:00:00Z' },
    ],
    kind: 'detector',
    detector: { url: 'http://secret' },
  };

  test('is contract v1 to the letter: pods as they are, the parameters of the resource, and nothing of where it is asked', () => {
    const asked = pluginRequest(request, { minClickRate: 0.02 }, 4700);
    expect(asked).toEqual(verdictRequest.strict().parse(asked));
    expect(asked).toMatchObject({ parameters: { minClickRate: 0.02 }, pods: request.pods, timeoutMilliseconds: 4600 });
    expect(JSON.stringify(asked)).not.toContain('secret');
  });

  test.each([
    [1000, 900],
    [100, 80],
    [0.5, 1],
    [-3, 1],
  ])('with %d ms left it is given %d', (remaining, given) => {
    expect(pluginRequest(request, {}, remaining).timeoutMilliseconds).toBe(given);
  });
});
