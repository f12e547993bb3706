import { describe, expect, test } from '@jest/globals';
import { readMatrix, readVector } from './prometheus-answer.ts';

const vector = (result: unknown, more: object = {}) =>
  readVector(200, JSON.stringify({ status: 'success', data: { resultType: 'vector', result }, ...more }));

describe("Prometheus's answer", () => {
  test.each([
    ['0.5', 0.5],
    ['1e+06', 1e6],
    ['-3', -3],
    ['0', 0],
    ['+Inf', Infinity],
    ['-Inf', -Infinity],
    ['NaN', NaN],
  ])('reads the sample %s', (text, value) => {
    const read = vector([{ metric: { pod: 'a' }, value: [1, text] }]);
    expect(read).toEqual({
      ok: true,
      value: { samples: [{ labels: { pod: 'a' }, value }], histograms: 0, warnings: [] },
    });
  });

  test('an empty vector has no samples', () => {
    expect(vector([])).toEqual({ ok: true, value: { samples: [], histograms: 0, warnings: [] } });
  });

  test('counts native histograms, which have no single value', () => {
    const read = vector([{ metric: {}, histogram: [1, { count: '2' }] }]);
    expect(read).toMatchObject({ ok: true, value: { samples: [], histograms: 1 } });
  });

  test('passes warnings on, bounded and each on one line', () => {
    const read = vector([], { warnings: ['a\nb\u001b[31m', 1, 'x'.repeat(9000)], infos: ['i'] });
    expect(read.ok && read.value.warnings).toEqual(['a b [31m', 'x'.repeat(512), 'i']);
  });

  test.each(['scalar', 'matrix', 'string'])('V1: a %s is BadAnswer', (resultType) => {
    const text = JSON.stringify({ status: 'success', data: { resultType, result: [1, '2'] } });
    expect(readVector(200, text)).toMatchObject({ ok: false, fault: { reason: 'BadAnswer' } });
  });

  test('V1: a query that Prometheus refuses is QueryFailed, with its type of error and none of its text', () => {
    const refuse = (errorType: unknown) =>
      readVector(400, JSON.stringify({ status: 'error', errorType, error: 'secret: parse error at char 3' }));
    expect(refuse('bad_data')).toEqual({
      ok: false,
      fault: { reason: 'QueryFailed', message: 'Prometheus refused the query: bad_data' },
    });
    for (const foreign of ['secret', 7, undefined]) {
      expect(refuse(foreign)).toMatchObject({ fault: { message: 'Prometheus refused the query: unknown error' } });
    }
  });

  test.each<[string, number, string, string]>([
    ['no JSON', 200, 'secret <html>', 'BadAnswer'],
    ['an empty body', 200, '', 'BadAnswer'],
    ['null', 200, 'null', 'BadAnswer'],
    ['an array', 200, '["secret"]', 'BadAnswer'],
    ['no data', 200, '{"status":"success"}', 'BadAnswer'],
    ['an unknown type', 200, '{"status":"success","data":{"resultType":"secret","result":[]}}', 'BadAnswer'],
    ['no result', 200, '{"status":"success","data":{"resultType":"vector","result":{}}}', 'BadAnswer'],
    [
      'a series that is none',
      200,
      '{"status":"success","data":{"resultType":"vector","result":["secret"]}}',
      'BadAnswer',
    ],
    ['a login page', 403, '<html>secret', 'BadStatus'],
    ['a redirect', 302, '', 'BadStatus'],
    [
      'a success with a bad status',
      500,
      '{"status":"success","data":{"resultType":"vector","result":[]}}',
      'BadStatus',
    ],
  ])('V1: %s is a fault that repeats nothing of it', (_name, status, text, reason) => {
    const read = readVector(status, text);
    expect(read).toMatchObject({ ok: false, fault: { reason } });
    expect(JSON.stringify(read)).not.toContain('secret');
  });

  test.each([[[1, '']], [[1, 'secret']], [[1, 5]], [[1]], ['5'], [[1, '0x10']], [[1, ' 1']]])(
    'V1: the sample %j is BadAnswer',
    (value) => {
      const read = vector([{ metric: {}, value }]);
      expect(read).toMatchObject({ ok: false, fault: { reason: 'BadAnswer' } });
    },
  );

  test('V1: labels that are no texts are BadAnswer', () => {
    expect(vector([{ metric: { pod: 1 }, value: [1, '1'] }])).toMatchObject({ ok: false });
    expect(vector([{ value: [1, '1'] }])).toMatchObject({ ok: false });
  });

  test('takes 10,000 series in a moment', () => {
    const result = Array.from({ length: 10_000 }, (_, n) => ({
      metric: { pod: `cart-${n}`, code: '500' },
      value: [1, String(n)],
    }));
    const started = performance.now();
    const read = vector(result);
    expect(read.ok && read.value.samples.length).toBe(10_000);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("Prometheus's answer to a query over a range", () => {
  const matrix = (result: unknown, more: object = {}) =>
    readMatrix(200, JSON.stringify({ status: 'success', data: { resultType: 'matrix', result }, ...more }), 16);

  test('has points by time, some of which may be no numbers', () => {
    const values = [
      [1700000000, '1'],
      [1700000030.5, 'NaN'],
      [1700000060, '+Inf'],
    ];
    expect(matrix([{ metric: { pod: 'a' }, values }], { warnings: ['slow'] })).toEqual({
      ok: true,
      value: {
        series: [
          {
            labels: { pod: 'a' },
            points: [
              { atSeconds: 1700000000, value: 1 },
              { atSeconds: 1700000030.5, value: NaN },
              { atSeconds: 1700000060, value: Infinity },
            ],
          },
        ],
        histograms: 0,
        warnings: ['slow'],
      },
    });
    expect(matrix([])).toEqual({ ok: true, value: { series: [], histograms: 0, warnings: [] } });
  });

  test('counts native histograms, also those that were floats before', () => {
    const histograms = [[1, { count: '2' }]];
    const read = matrix([
      { metric: {}, histograms },
      { metric: {}, values: [[1, '1']], histograms },
    ]);
    expect(read).toMatchObject({ ok: true, value: { series: [], histograms: 2 } });
  });

  test.each<[string, unknown]>([
    ['a series that is none', ['secret']],
    ['a series without values', [{ metric: {} }]],
    ['labels that are no texts', [{ metric: { pod: 1 }, values: [] }]],
    ['a point that is none', [{ metric: {}, values: ['secret'] }]],
    ['a sample that is no number', [{ metric: {}, values: [[1, 'secret']] }]],
    ['a time that is none', [{ metric: {}, values: [['secret', '1']] }]],
  ])('V1: %s is BadAnswer that repeats nothing of it', (_name, result) => {
    const read = matrix(result);
    expect(read).toMatchObject({ ok: false, fault: { reason: 'BadAnswer' } });
    expect(JSON.stringify(read)).not.toContain('secret');
  });

  test.each(['vector', 'scalar', 'string', 'secret'])('V1: a %s is BadAnswer', (resultType) => {
    const read = readMatrix(200, JSON.stringify({ status: 'success', data: { resultType, result: [] } }), 16);
    expect(read).toEqual({
      ok: false,
      fault: { reason: 'BadAnswer', message: 'the answer of Prometheus is no matrix' },
    });
  });

  test('D: more points than were asked for are not taken: pairs of a million of them would take all memory', () => {
    const values = (points: number) => Array.from({ length: points }, (_, second) => [second, '1']);
    expect(matrix([{ metric: {}, values: values(16) }])).toMatchObject({ ok: true });
    expect(matrix([{ metric: {}, values: values(17) }])).toEqual({
      ok: false,
      fault: { reason: 'BadAnswer', message: 'the answer of Prometheus has more points than were asked for' },
    });
  });

  test.each([[[5, 5]], [[5, 4]]])('V1: points at %j s, which have no slope, are no answer', (times) => {
    expect(matrix([{ metric: {}, values: times.map((second) => [second, '1']) }])).toEqual({
      ok: false,
      fault: { reason: 'BadAnswer', message: 'the answer of Prometheus has points that are not in the order of time' },
    });
  });

  test('V1: refusals and bad statuses are those of an instant query', () => {
    const refusal = JSON.stringify({ status: 'error', errorType: 'timeout', error: 'secret' });
    expect(readMatrix(503, refusal, 16)).toEqual(readVector(503, refusal));
    expect(readMatrix(302, '', 16)).toMatchObject({ fault: { reason: 'BadStatus' } });
  });
});
