/** What is read of others: /metrics, /proc, and the lines of a log. */
import { describe, expect, test } from '@jest/globals';
import { inspectorUrl } from './live-heap.ts';
import { quantileOf, readMetrics, sumOf } from './metrics.ts';
import { connectionsIn, residentIn, waitedIn } from './proc.ts';
import { readLogs } from './samples.ts';

describe('/metrics', () => {
  const text = `# HELP kubervisor_rounds_total Rounds.
# TYPE kubervisor_rounds_total counter
kubervisor_rounds_total{kind="evaluate",outcome="completed"} 40
kubervisor_rounds_total{kind="evaluate",outcome="missing"} 2
kubervisor_rounds_total{kind="activate",outcome="missing"} 1
process_resident_memory_bytes 1.5e+08
age_bucket{le="0.1",kind="evaluate"} 98
age_bucket{le="1",kind="evaluate"} 99
age_bucket{le="+Inf",kind="evaluate"} 100
told{text="a \\"b\\", c"} 7`;
  const samples = readMetrics(text);

  test('are read with their labels, and summed over what is not asked for', () => {
    expect(sumOf(samples, 'process_resident_memory_bytes')).toBe(1.5e8);
    expect(sumOf(samples, 'kubervisor_rounds_total', { outcome: 'missing' })).toBe(3);
    expect(sumOf(samples, 'nothing')).toBe(0);
    expect(samples.find(({ name }) => name === 'told')?.labels['text']).toBe('a \\"b\\", c');
  });

  test('a share of a histogram is at most the bound of its bucket', () => {
    expect(quantileOf(samples, 'age', 0.5)).toBe(0.1);
    expect(quantileOf(samples, 'age', 0.99)).toBe(1);
    expect(quantileOf(samples, 'age', 1)).toBe(Infinity);
    expect(quantileOf(samples, 'nothing', 0.5)).toBeUndefined();
  });
});

describe('/proc', () => {
  test('resident memory in MB', () => {
    expect(residentIn('Name:\tnode\nVmRSS:\t  204800 kB\nThreads:\t11')).toBe(200);
    expect(residentIn('Name:\tnode')).toBeNaN();
  });

  test('seconds in which something waited for a CPU', () => {
    expect(waitedIn('some avg10=99.61 avg60=99.05 avg300=97.99 total=3350772849\nfull avg10=0.00 total=0')).toBeCloseTo(
      3350.77,
    );
  });

  test('connections of a server: those that are established at its own port', () => {
    const row = (local: string, remote: string, state: string): string =>
      `   1: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  0 0 12345`;
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue',
      row('0100007F:107E', '00000000:0000', '0A'),
      row('0100007F:107E', '0100007F:C350', '01'),
      row('0100007F:C350', '0100007F:107E', '01'),
      row('0100007F:107E', '0100007F:C351', '06'),
    ].join('\n');
    expect(connectionsIn(table, 4222)).toBe(1);
  });
});

test('in a log every error and every line that is none of it counts, but for what the inspector says', () => {
  const listening = 'Debugger listening on ws://127.0.0.1:4711/5e0f';
  const log = [
    { text: listening },
    { text: 'For help, see: https://nodejs.org/learn/getting-started/debugging' },
    { text: 'Debugger attached.' },
    { level: 'info', msg: 'started' },
    { level: 'warn', msg: 'watch broke' },
    { level: 'warn', msg: 'watch broke' },
    { level: 'error', msg: 'round failed' },
    { level: 'fatal', msg: 'uncaught exception' },
    { text: '(node:1) MaxListenersExceededWarning: Possible EventTarget memory leak detected.' },
  ];
  const { errors, warnings } = readLogs([{ name: 'breaker-0', log }]);
  expect(errors).toEqual([
    'breaker-0: {"level":"error","msg":"round failed"}',
    'breaker-0: {"level":"fatal","msg":"uncaught exception"}',
    'breaker-0: (node:1) MaxListenersExceededWarning: Possible EventTarget memory leak detected.',
  ]);
  expect([...warnings]).toEqual([['breaker-0: watch broke', 2]]);
  expect(inspectorUrl([listening])).toBe('ws://127.0.0.1:4711/5e0f');
});
