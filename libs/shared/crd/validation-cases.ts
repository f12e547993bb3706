/**
 * Specs, good and bad, with what must become of them. Our own validation and the CRD on an API server are held against the same
 * table, and must agree on refusal and on the defaulted result.
 */
export interface ValidationCase {
  title: string;
  /** metadata.name; `cart` where it does not matter. */
  name?: string;
  spec: unknown;
  /** Where the first problem stands, or the spec as it is stored. */
  verdict: { refusedAt: string } | { stored: unknown };
}

const query = { prometheusService: 'prometheus.monitoring:9090', promQL: 'up', podNamekey: 'pod' };
const ACTIVATOR = {
  mode: 'periodic',
  period: 10,
  maxRetryCount: 3,
  maxPauseCount: 1,
  maxPeriod: 300,
  jitter: 0.1,
  killPolicy: 'evict',
  pauseOverflow: 'kill',
};
const BREAKER = { evaluationPeriod: 5, minPodsAvailableCount: 1, panicThreshold: 50 };

const discrete = (fields: object) => ({ ...query, key: 'code', ...fields });
const custom = { name: 'custom', customService: 'judge' };
const withBreakers = (...breakers: unknown[]) => ({ service: 'cart', breakers });
/** A spec whose one breaker has these fields beside its name. */
const withBreaker = (fields: object) => withBreakers({ name: 'one', ...fields });
const withActivator = (fields: unknown) => ({ ...withBreakers(custom), defaultActivator: fields });

const stored = (...breakers: object[]) => ({
  stored: { service: 'cart', mode: 'enforce', breakers: breakers.map((breaker) => ({ ...BREAKER, ...breaker })) },
});
const storedBreaker = (fields: object) => stored({ name: 'one', ...fields });
const storedActivator = (fields: object) => ({
  stored: { ...stored(custom).stored, defaultActivator: { ...ACTIVATOR, ...fields } },
});

const accepted = (title: string, spec: unknown, verdict: { stored: unknown }): ValidationCase => ({
  title,
  spec,
  verdict,
});
const refused = (title: string, spec: unknown, refusedAt: string): ValidationCase => ({
  title,
  spec,
  verdict: { refusedAt },
});
/** Fields of one breaker that are stored as they are. */
const kept = (title: string, fields: object): ValidationCase =>
  accepted(title, withBreaker(fields), storedBreaker(fields));
const breakerRefused = (title: string, fields: object, field: string): ValidationCase =>
  refused(title, withBreaker(fields), field === '' ? 'spec.breakers[0]' : `spec.breakers[0].${field}`);
const activatorRefused = (title: string, fields: unknown, field: string): ValidationCase =>
  refused(title, withActivator(fields), `spec.defaultActivator${field}`);

const goodOrBad = { tolerance: 50, minActivity: 2 };
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

export const VALIDATION_CASES: readonly ValidationCase[] = [
  // Whole resources
  accepted('the least there is', withBreakers(custom), stored(custom)),
  accepted(
    'a 2018 manifest: a discrete value',
    {
      service: 'cart',
      breakers: [
        {
          name: 'http-errors',
          evaluationPeriod: 1.5,
          minPodsAvailableCount: 2,
          minPodsAvailableRatio: 50,
          discreteValueOutOfList: discrete({ goodValues: ['200', '201'], tolerance: 80, minActivity: 50 }),
          activator: { mode: 'retryAndPause', period: 15, maxRetryCount: 1, maxPauseCount: 1 },
        },
      ],
      defaultActivator: { mode: 'periodic', period: 30, maxRetryCount: 5, maxPauseCount: 5 },
    },
    {
      stored: {
        ...stored({
          name: 'http-errors',
          evaluationPeriod: 1.5,
          minPodsAvailableCount: 2,
          minPodsAvailableRatio: 50,
          discreteValueOutOfList: discrete({ goodValues: ['200', '201'], tolerance: 80, minActivity: 50 }),
          activator: { ...ACTIVATOR, mode: 'retryAndPause', period: 15, maxRetryCount: 1, maxPauseCount: 1 },
        }).stored,
        defaultActivator: { ...ACTIVATOR, period: 30, maxRetryCount: 5, maxPauseCount: 5 },
      },
    },
  ),
  accepted(
    'a 2018 manifest: a continuous value',
    withBreaker({ continuousValueDeviation: query }),
    storedBreaker({ continuousValueDeviation: { ...query, maxDeviationPercent: 75 } }),
  ),
  { title: 'a name of 63 characters', name: 'n'.repeat(63), spec: withBreakers(custom), verdict: stored(custom) },
  { title: 'a name with dots', name: 'cart.shop-1', spec: withBreakers(custom), verdict: stored(custom) },
  {
    title: 'a name of 64 characters',
    name: 'n'.repeat(64),
    spec: withBreakers(custom),
    verdict: { refusedAt: 'metadata.name' },
  },
  refused('no spec', undefined, 'spec'),
  refused('a null for the spec', null, 'spec'),
  refused('a text for the spec', 'enforce', 'spec'),
  refused('a list for the spec', [], 'spec'),

  // service, mode
  refused('no service', { breakers: [custom] }, 'spec.service'),
  refused('a null for the service', { service: null, breakers: [custom] }, 'spec.service'),
  refused('an empty service', { service: '', breakers: [custom] }, 'spec.service'),
  refused('a service with capitals', { service: 'Cart', breakers: [custom] }, 'spec.service'),
  refused('a service of another namespace', { service: 'cart.shop', breakers: [custom] }, 'spec.service'),
  refused('a service of 64 characters', { service: 'c'.repeat(64), breakers: [custom] }, 'spec.service'),
  refused('a service with a line break at its end', { service: 'cart\n', breakers: [custom] }, 'spec.service'),
  accepted(
    'a mode',
    { ...withBreakers(custom), mode: 'dryRun' },
    { stored: { ...stored(custom).stored, mode: 'dryRun' } },
  ),
  accepted('a null for the mode: its default', { ...withBreakers(custom), mode: null }, stored(custom)),
  refused('off, which YAML 1.1 reads as false', { ...withBreakers(custom), mode: false }, 'spec.mode'),
  refused('an unknown mode', { ...withBreakers(custom), mode: 'dryrun' }, 'spec.mode'),

  // Unknown fields and nulls
  accepted(
    'unknown fields are pruned',
    { ...withBreakers({ ...custom, color: 'red', minPodsAvailableRation: 3 }), breaker: {} },
    stored(custom),
  ),
  accepted(
    'nulls of optional fields are dropped',
    withBreakers({ ...custom, activator: null, threshold: null, minPodsAvailableRatio: null, evaluationPeriod: null }),
    stored(custom),
  ),
  accepted(
    'a null beside the list that counts',
    withBreaker({ discreteValueOutOfList: discrete({ goodValues: ['200'], badValues: null }) }),
    storedBreaker({ discreteValueOutOfList: discrete({ goodValues: ['200'], ...goodOrBad }) }),
  ),
  refused('a null in a list', withBreakers(custom, null), 'spec.breakers[1]'),
  refused(
    'a null in a list of values',
    withBreaker({ discreteValueOutOfList: discrete({ goodValues: ['200', null] }) }),
    'spec.breakers[0].discreteValueOutOfList.goodValues[1]',
  ),

  // Breakers
  refused('no breakers', { service: 'cart' }, 'spec.breakers'),
  refused('an empty list of breakers', withBreakers(), 'spec.breakers'),
  refused('an object of breakers', { service: 'cart', breakers: { one: custom } }, 'spec.breakers'),
  accepted(
    '64 breakers',
    withBreakers(...many(64, (index) => ({ ...custom, name: `b${index}` }))),
    stored(...many(64, (index) => ({ ...custom, name: `b${index}` }))),
  ),
  refused('65 breakers', withBreakers(...many(65, (index) => ({ ...custom, name: `b${index}` }))), 'spec.breakers'),
  refused('two breakers of one name', withBreakers(custom, custom), 'spec.breakers'),
  refused('a breaker without a name', withBreakers({ customService: 'judge' }), 'spec.breakers[0].name'),
  accepted(
    'a name that is no DNS label but a label value',
    withBreakers({ ...custom, name: 'Http_5xx.rate' }),
    stored({ ...custom, name: 'Http_5xx.rate' }),
  ),
  refused('a name that ends in a dash', withBreakers({ ...custom, name: 'errors-' }), 'spec.breakers[0].name'),
  refused('a name with a space', withBreakers({ ...custom, name: 'http errors' }), 'spec.breakers[0].name'),
  refused('a number for a name', withBreakers({ ...custom, name: 500 }), 'spec.breakers[0].name'),
  breakerRefused('no detector', {}, ''),
  breakerRefused('two detectors', { customService: 'judge', threshold: { ...query, max: 1 } }, ''),
  kept('a period just above the least', { customService: 'judge', evaluationPeriod: 0.011 }),
  breakerRefused('a period of 0.01', { customService: 'judge', evaluationPeriod: 0.01 }, 'evaluationPeriod'),
  kept('a period of a day', { customService: 'judge', evaluationPeriod: 86_400 }),
  breakerRefused(
    'a period of more than a day',
    { customService: 'judge', evaluationPeriod: 86_401 },
    'evaluationPeriod',
  ),
  breakerRefused('a duration for a period', { customService: 'judge', evaluationPeriod: '10s' }, 'evaluationPeriod'),
  kept('a floor of nobody', { customService: 'judge', minPodsAvailableCount: 0, minPodsAvailableRatio: 0 }),
  breakerRefused(
    'a floor below nobody',
    { customService: 'judge', minPodsAvailableCount: -1 },
    'minPodsAvailableCount',
  ),
  breakerRefused('half a pod', { customService: 'judge', minPodsAvailableCount: 1.5 }, 'minPodsAvailableCount'),
  kept('a ratio with decimals', { customService: 'judge', minPodsAvailableRatio: 66.6 }),
  breakerRefused('a ratio above 100', { customService: 'judge', minPodsAvailableRatio: 101 }, 'minPodsAvailableRatio'),
  breakerRefused(
    'a ratio with a sign',
    { customService: 'judge', minPodsAvailableRatio: '50%' },
    'minPodsAvailableRatio',
  ),
  kept('no panic, no grace', { customService: 'judge', panicThreshold: 100, gracePeriod: 0 }),
  breakerRefused('a negative grace', { customService: 'judge', gracePeriod: -1 }, 'gracePeriod'),
  breakerRefused('an unknown mode of a breaker', { customService: 'judge', mode: 'off' }, 'mode'),
  accepted(
    'confirm with one field',
    withBreaker({ customService: 'judge', confirm: { of: 3 } }),
    storedBreaker({ customService: 'judge', confirm: { anomalous: 1, of: 3 } }),
  ),
  breakerRefused(
    'confirm more than there are',
    { customService: 'judge', confirm: { anomalous: 3, of: 2 } },
    'confirm',
  ),
  breakerRefused('confirm more than the default', { customService: 'judge', confirm: { anomalous: 2 } }, 'confirm'),
  breakerRefused('confirm none', { customService: 'judge', confirm: { anomalous: 0 } }, 'confirm.anomalous'),

  // customService
  kept('customService with port and path', { customService: 'judge.shop.svc.cluster.local:8080/bad-pods?fleet=cart' }),
  kept('customService by address', { customService: '10.1.2.3:65535' }),
  breakerRefused('customService with a scheme', { customService: 'http://judge' }, 'customService'),
  breakerRefused('customService with port 0', { customService: 'judge:0' }, 'customService'),
  breakerRefused('customService with port 65536', { customService: 'judge:65536' }, 'customService'),
  breakerRefused('customService with a user', { customService: 'me@judge' }, 'customService'),
  breakerRefused('customService with a space in its path', { customService: 'judge/bad pods' }, 'customService'),
  breakerRefused('an empty customService', { customService: '' }, 'customService'),

  // discreteValueOutOfList, continuousValueDeviation
  accepted(
    'bad values',
    withBreaker({ discreteValueOutOfList: discrete({ badValues: ['500'] }) }),
    storedBreaker({ discreteValueOutOfList: discrete({ badValues: ['500'], ...goodOrBad }) }),
  ),
  accepted(
    'an empty list beside the one that counts',
    withBreaker({ discreteValueOutOfList: discrete({ goodValues: [], badValues: ['500'] }) }),
    storedBreaker({ discreteValueOutOfList: discrete({ goodValues: [], badValues: ['500'], ...goodOrBad }) }),
  ),
  breakerRefused('neither good nor bad values', { discreteValueOutOfList: discrete({}) }, 'discreteValueOutOfList'),
  breakerRefused(
    'empty good values',
    { discreteValueOutOfList: discrete({ goodValues: [] }) },
    'discreteValueOutOfList',
  ),
  breakerRefused(
    'good and bad values',
    { discreteValueOutOfList: discrete({ goodValues: ['200'], badValues: ['500'] }) },
    'discreteValueOutOfList',
  ),
  breakerRefused(
    'numbers for values',
    { discreteValueOutOfList: discrete({ goodValues: [200] }) },
    'discreteValueOutOfList.goodValues[0]',
  ),
  breakerRefused(
    '257 values',
    { discreteValueOutOfList: discrete({ goodValues: many(257, String) }) },
    'discreteValueOutOfList.goodValues',
  ),
  accepted(
    'characters are counted, not UTF-16 units',
    withBreaker({ discreteValueOutOfList: discrete({ goodValues: ['😀'.repeat(256)] }) }),
    storedBreaker({ discreteValueOutOfList: discrete({ goodValues: ['😀'.repeat(256)], ...goodOrBad }) }),
  ),
  breakerRefused(
    'a value of 257 characters',
    { discreteValueOutOfList: discrete({ goodValues: ['😀'.repeat(257)] }) },
    'discreteValueOutOfList.goodValues[0]',
  ),
  breakerRefused(
    'a tolerance above 100',
    { discreteValueOutOfList: discrete({ goodValues: ['200'], tolerance: 100.5 }) },
    'discreteValueOutOfList.tolerance',
  ),
  breakerRefused('no key', { discreteValueOutOfList: { ...query, goodValues: ['200'] } }, 'discreteValueOutOfList.key'),
  breakerRefused(
    'the label of the pod in another spelling',
    { continuousValueDeviation: { prometheusService: 'prometheus', promQL: 'up', podNameKey: 'pod' } },
    'continuousValueDeviation.podNamekey',
  ),
  breakerRefused(
    'an empty query',
    { continuousValueDeviation: { ...query, promQL: '' } },
    'continuousValueDeviation.promQL',
  ),
  breakerRefused(
    'a query of 4097 characters',
    { continuousValueDeviation: { ...query, promQL: 'x'.repeat(4097) } },
    'continuousValueDeviation.promQL',
  ),
  breakerRefused(
    'a Prometheus with a scheme',
    { continuousValueDeviation: { ...query, prometheusService: 'http://prometheus:9090' } },
    'continuousValueDeviation.prometheusService',
  ),
  breakerRefused(
    'no deviation at all',
    { continuousValueDeviation: { ...query, maxDeviationPercent: 0 } },
    'continuousValueDeviation.maxDeviationPercent',
  ),

  // threshold, outlier, trend
  kept('a threshold with one limit', { threshold: { ...query, min: 0 } }),
  kept('a threshold with both limits alike', { threshold: { ...query, max: -1.5, min: -1.5 } }),
  breakerRefused('a threshold without a limit', { threshold: query }, 'threshold'),
  breakerRefused('a threshold with min above max', { threshold: { ...query, max: 1, min: 2 } }, 'threshold'),
  breakerRefused('a text for a limit', { threshold: { ...query, max: '1' } }, 'threshold.max'),
  accepted(
    'an outlier',
    withBreaker({ outlier: query }),
    storedBreaker({
      outlier: { ...query, method: 'mad', direction: 'above', minDeviationPercent: 10, minFleet: 3 },
    }),
  ),
  breakerRefused('an outlier of two', { outlier: { ...query, minFleet: 2 } }, 'outlier.minFleet'),
  breakerRefused('an unknown method', { outlier: { ...query, method: 'sigma' } }, 'outlier.method'),
  breakerRefused('a factor of 0', { outlier: { ...query, factor: 0 } }, 'outlier.factor'),
  accepted(
    'a trend',
    withBreaker({ trend: { ...query, window: 600, maxPerMinute: 0.5 } }),
    storedBreaker({ trend: { ...query, window: 600, maxPerMinute: 0.5, direction: 'above' } }),
  ),
  breakerRefused('a trend without a window', { trend: { ...query, maxPerMinute: 1 } }, 'trend.window'),
  breakerRefused('a flat trend', { trend: { ...query, window: 600, maxPerMinute: 0 } }, 'trend.maxPerMinute'),

  // detector
  kept('a plug-in by url', { detector: { url: 'https://judge.shop:8443/fleet/', timeoutSeconds: 1 } }),
  accepted(
    'a plug-in by Service, with parameters as they stand',
    withBreaker({
      detector: { service: { name: 'judge', port: 8080 }, parameters: { limit: null, deep: { list: [null, {}] } } },
    }),
    storedBreaker({
      detector: {
        service: { name: 'judge', port: 8080, scheme: 'http' },
        parameters: { limit: null, deep: { list: [null, {}] } },
        timeoutSeconds: 5,
      },
    }),
  ),
  breakerRefused('a plug-in nowhere', { detector: {} }, 'detector'),
  breakerRefused(
    'a plug-in at two places',
    { detector: { url: 'http://judge', service: { name: 'judge' } } },
    'detector',
  ),
  breakerRefused('a plug-in of another scheme', { detector: { url: 'file:///etc/passwd' } }, 'detector.url'),
  breakerRefused('a plug-in with a password', { detector: { url: 'http://me:secret@judge' } }, 'detector.url'),
  breakerRefused('a plug-in with a query', { detector: { url: 'http://judge/?a=b' } }, 'detector.url'),
  breakerRefused(
    'a plug-in by Service of another namespace',
    { detector: { service: { name: 'judge.shop' } } },
    'detector.service.name',
  ),
  breakerRefused(
    'a path without a slash',
    { detector: { service: { name: 'judge', path: 'fleet' } } },
    'detector.service.path',
  ),
  breakerRefused(
    'a list for parameters',
    { detector: { url: 'http://judge', parameters: [1] } },
    'detector.parameters',
  ),
  breakerRefused(
    'a time-out under a second',
    { detector: { url: 'http://judge', timeoutSeconds: 0.5 } },
    'detector.timeoutSeconds',
  ),

  // Activators
  accepted('an empty activator', withActivator({}), storedActivator({})),
  accepted('a period above the default cap', withActivator({ period: 600 }), storedActivator({ period: 600 })),
  accepted(
    'a limit as a count',
    withActivator({ maxConcurrentActivations: 2 }),
    storedActivator({ maxConcurrentActivations: 2 }),
  ),
  accepted(
    'a limit as a percentage',
    withActivator({ maxConcurrentActivations: '100%' }),
    storedActivator({ maxConcurrentActivations: '100%' }),
  ),
  ...[0, 10_001, '0%', '101%', '7', '5.5%', ''].map((limit) =>
    activatorRefused(
      `a limit of ${JSON.stringify(limit)}`,
      { maxConcurrentActivations: limit },
      '.maxConcurrentActivations',
    ),
  ),
  activatorRefused('a limit with decimals', { maxConcurrentActivations: 1.5 }, '.maxConcurrentActivations'),
  activatorRefused('a limit that is a list', { maxConcurrentActivations: [1] }, '.maxConcurrentActivations'),
  activatorRefused('an unknown mode of an activator', { mode: 'retryandkill' }, '.mode'),
  activatorRefused('a period of 0', { period: 0 }, '.period'),
  activatorRefused('jitter above the wait', { jitter: 1.1 }, '.jitter'),
  activatorRefused('a negative count of retries', { maxRetryCount: -1 }, '.maxRetryCount'),
  activatorRefused('an unknown way to kill', { killPolicy: 'force' }, '.killPolicy'),
  activatorRefused('a text for an activator', 'periodic', ''),
  refused(
    "a breaker's activator is checked as well",
    withBreakers({ ...custom, activator: { maxConcurrentActivations: '0%' } }),
    'spec.breakers[0].activator.maxConcurrentActivations',
  ),
];
