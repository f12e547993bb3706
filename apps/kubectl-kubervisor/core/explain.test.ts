import { describe, expect, test } from '@jest/globals';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { explain, explainView, type ExplainInput } from './explain.ts';
import { ago, broken, NOW, pod, resource, SERVICE } from './pods.fixture.ts';

const others = [pod('b'), pod('c'), pod('d')];
const told = (one: Pod, change: Partial<ExplainInput> = {}) => {
  const view = explain({
    pod: one,
    read: resource(),
    missingOwner: undefined,
    service: SERVICE,
    fleet: [one, ...others],
    now: NOW,
    ...change,
  });
  expect(explainView.parse(JSON.parse(JSON.stringify(view)))).toEqual(view);
  return view;
};
const sentences = (...of: Parameters<typeof told>): string[] => told(...of).sentences;

test('a pod that is out: since when, by whom, why, how often, when it comes back, and what the floor leaves', () => {
  const { sentences: said, next, inTraffic } = told(broken('a', { retryCount: 2 }));
  expect(said).toEqual([
    'a is out of traffic: taken out by the breaker slow of the KubervisorService cart, 5s ago (2026-03-01T11:59:55.000Z).',
    'Why: p99 2.4 s, limit 1 s (observed 2.4, limit 1, score 2.4).',
    'It was taken out twice of late, less what was forgiven.',
    'It comes back in 15s (2026-03-01T12:00:15.000Z), by the activator of slow (retryAndKill, period 10 s × 2).',
    '3 of the 4 pods of the fleet are in traffic; slow may take out 1 more (floor 2).',
  ]);
  expect(next[0]).toMatch(/^kubectl kubervisor release a -n shop/);
  expect(inTraffic).toBe(false);
});

test('what holds it is told with its sentence', () => {
  const status = {
    pods: [
      { name: 'a', uid: 'uid-of-a', state: 'broken' as const, heldBy: 'EvictionRefused', nextActionTime: ago(-60) },
    ],
  };
  expect(sentences(broken('a', { retryCount: 4, seconds: 600 }), { read: resource({}, status) })).toEqual(
    expect.arrayContaining([
      'It is to be evicted in 60s (2026-03-01T12:01:00.000Z), for it was taken out more than 3 times (maxRetryCount), by the activator of slow (retryAndKill, period 10 s × 4).',
      'What holds it: a PodDisruptionBudget does not allow the eviction now (EvictionRefused).',
    ]),
  );
});

test('A7: one that may never be killed comes back, and it is said why', () => {
  const exempt = sentences(broken('a', { retryCount: 4, exempt: true }));
  expect(exempt.join('\n')).toMatch(/would be evicted .* but is exempt: it comes back in \d+/);
  expect(exempt).toContain('A person exempted it: it is never broken and never killed.');
  expect(sentences(broken('a', { retryCount: 4, owned: false })).join('\n')).toMatch(/but nothing would replace it/);
});

test('a paused pod waits for a person', () => {
  const { sentences: said, next } = told(broken('a', { traffic: 'pause', seconds: 7200 }));
  expect(said[0]).toMatch(/^a is paused, out of traffic, since it was taken out by the breaker slow .* 120m ago/);
  expect(said).toContain('It stays so until a person brings it back.');
  expect(next[0]).toContain('release a');
});

test('V4: one that came back is on probation, and not judged for a while', () => {
  const back = pod('a', { annotations: { [ANNOTATION.activatedAt]: ago(10), [ANNOTATION.retryCount]: '1' } });
  const view = told(back);
  expect(view.sentences).toEqual([
    'a is back in traffic, on probation for 25s more (the KubervisorService cart).',
    'It was taken out once of late, less what was forgiven.',
    'It is not judged for 20s more: it became ready, or came back, too recently (gracePeriod).',
    '4 of the 4 pods of the fleet are in traffic; slow may take out 2 more (floor 2).',
  ]);
  expect(view).toMatchObject({ pod: { state: 'half-open', probationUntil: ago(-25) }, judgedFrom: ago(-20) });
});

describe('a pod in traffic, or not for another reason', () => {
  test.each<[string, Pod, Partial<ExplainInput>, RegExp]>([
    ['closed', pod('a'), {}, /^a is in traffic of the Service cart, supervised by the KubervisorService cart\.$/],
    ['F3: not ready', pod('a', { ready: false }), {}, /^a is not Ready, so it gets no traffic; it is neither judged/],
    ['ending', pod('a', { terminating: true }), {}, /^a is ending/],
    ['F1: without the label', pod('a', { labels: { [LABEL.traffic]: '' } }), {}, /until then it gets no traffic/],
    ['F1: not adopted yet', pod('a', { labels: { [LABEL.name]: '' } }), {}, /not adopted yet/],
    [
      'nobody’s',
      pod('a', { labels: { [LABEL.name]: '' } }),
      { read: undefined, service: undefined },
      /^No KubervisorService supervises a/,
    ],
    [
      'F2: of a resource that is gone',
      pod('a'),
      { read: undefined, missingOwner: 'cart' },
      /cart, which does not exist: the controller releases it/,
    ],
    ['its Service is gone', pod('a'), { service: undefined }, /whose Service cart does not exist/],
  ])('%s', (_, one, change, pattern) => expect(sentences(one, change)[0]).toMatch(pattern));

  test('not active: its label says nothing', () => {
    const view = told(broken('a'), { service: { ...SERVICE, selector: { app: 'cart' } } });
    expect(view.inTraffic).toBe(true);
    expect(view.sentences[0]).toContain('so it gets traffic all the same');
    expect(view.sentences).toContain('Nothing enforces this any more: the controller brings it back at once.');
    expect(view.next.join()).toContain('kubectl kubervisor activate cart');
  });

  test('the resource: a dry run, panic, a spec that breaks a rule', () => {
    const at = { lastTransitionTime: ago(9) };
    const status = {
      conditions: [
        { type: 'Degraded', status: 'True' as const, reason: 'FleetAnomalous', message: '6 of 8 bad.', ...at },
      ],
      pods: [{ name: 'a', uid: 'uid-of-a', state: 'wouldBeBroken' as const }],
    };
    expect(sentences(pod('a'), { read: resource({ mode: 'dryRun' }, status) })).toEqual(
      expect.arrayContaining([
        'In the dry run it would be out now.',
        'The mode of cart is dryRun: it decides and reports, and breaks nobody.',
        'cart is degraded, FleetAnomalous: 6 of 8 bad.',
      ]),
    );
    expect(sentences(pod('a'), { read: resource({ breakers: [] }) }).join('\n')).toMatch(
      /breaks a rule, so nothing is evaluated: spec\.breakers/,
    );
  });

  test('F4: one breaker that does not enforce holds nobody out, and says that it takes nobody', () => {
    const { spec } = resource().resource as { spec: { breakers: object[] } };
    const read = (mode: string) => resource({ breakers: spec.breakers.map((one) => ({ ...one, mode })) });
    expect(sentences(broken('a'), { read: read('dryRun') })).toEqual(
      expect.arrayContaining([
        'Nothing enforces this any more: the controller brings it back at once.',
        '3 of the 4 pods of the fleet are in traffic; slow only decides and reports (floor 2).',
      ]),
    );
    expect(sentences(pod('a'), { read: read('disabled') }).join('\n')).toContain('slow rests (disabled)');
  });

  test('set by hand: no reason, and no time', () => {
    const byHand = pod('a', { labels: { [LABEL.traffic]: 'no' } });
    expect(sentences(byHand)).toEqual(
      expect.arrayContaining(['No reason stands on it: somebody set the label by hand.']),
    );
  });
});
