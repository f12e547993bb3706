import { describe, expect, test } from '@jest/globals';
import { createMetrics, defineMetrics, type MetricDefinition } from './metrics.ts';

describe('metrics', () => {
  test('are declared as data and typed by it', async () => {
    const definitions = defineMetrics({
      breaks: { type: 'counter', name: 'kubervisor_breaks_total', help: 'Breaks.', labels: ['reason'] },
      wait: { type: 'histogram', name: 'kubervisor_wait_seconds', help: 'Waits.', buckets: [1, 2] },
      leader: { type: 'gauge', name: 'kubervisor_leader', help: 'Whether it leads.' },
    });
    const metrics = createMetrics('breaker');
    const { breaks, wait, leader } = metrics.declare(definitions);
    breaks.inc({ reason: 'Anomalous' }, 2);
    // @ts-expect-error a label that was not declared
    expect(() => breaks.inc({ pod: 'x' })).toThrow();
    wait.observe(1.5);
    leader.set(1);
    const text = await metrics.registry.metrics();
    expect(text).toContain('kubervisor_breaks_total{reason="Anomalous"} 2');
    expect(text).toContain('kubervisor_wait_seconds_bucket{le="2"} 1');
    expect(text).toContain('kubervisor_leader 1');
    expect(text).toContain('kubervisor_build_info{component="breaker"');
    expect(text).toContain('process_cpu_seconds_total');
  });

  test('two services in one process do not share a registry', async () => {
    const [one, other] = [createMetrics('one'), createMetrics('other')];
    expect(await one.registry.metrics()).not.toContain('component="other"');
    expect(await other.registry.metrics()).toContain('component="other"');
  });

  test.each<[string, Partial<MetricDefinition>]>([
    ['must be kubervisor_ and snake case', { name: 'breaks_total' }],
    ['must be kubervisor_ and snake case', { name: 'kubervisor_Breaks_total' }],
    ['a counter ends in _total', { name: 'kubervisor_breaks' }],
    ['only a counter ends in _total', { type: 'gauge' }],
    ['a histogram ends in its unit', { type: 'histogram', name: 'kubervisor_wait' }],
    ['label pod names a pod', { labels: ['pod'] }],
    ['label uid names a pod', { labels: ['reason', 'uid'] }],
    ['only a histogram has buckets', { buckets: [1] }],
    ['needs a help text', { help: ' ' }],
  ])('a definition is refused: %s', (problem, change) => {
    const definition = { type: 'counter', name: 'kubervisor_breaks_total', help: 'Breaks.', ...change } as const;
    expect(() => defineMetrics({ definition })).toThrow(problem);
  });
});
