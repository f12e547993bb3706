import { expect, test } from '@jest/globals';
import { ago, broken, NOW, pod, resource } from './pods.fixture.ts';
import { printHistory, printList, printPods, printWhole } from './print.ts';
import { getView, resourceView, viewPods, viewResource, viewWhole } from './views.ts';

const plain = { colored: false, wide: false, namespaces: false, now: NOW };
const status = {
  available: 3,
  floor: 2,
  podCount: { nbPodsManaged: 5, nbPodsBreaked: 1, nbPodsPaused: 1 },
  conditions: [
    { type: 'Ready', status: 'True' as const, reason: 'Reconciled', message: 'fine.', lastTransitionTime: ago(9) },
    { type: 'Active', status: 'True' as const, reason: 'SelectorActivated', lastTransitionTime: ago(9) },
    { type: 'Degraded', status: 'False' as const, reason: 'Healthy', lastTransitionTime: ago(9) },
  ],
  breakers: [
    { name: 'slow', floor: 2, result: 'anomalous', anomalous: 1, broken: 1, withheld: 0, lastEvaluationTime: ago(3) },
  ],
};
const fleet = [pod('c'), broken('b'), broken('a', { traffic: 'pause', seconds: 600 }), pod('d', { ready: false })];

test('the list, as it is read', () => {
  const views = [viewResource(resource({}, status)), viewResource(resource({ mode: 'dryRun' }))];
  views.forEach((view) => expect(resourceView.parse(view)).toEqual(view));
  expect(printList(views, plain)).toBe(
    [
      'NAME   SERVICE   MODE      ACTIVE    AVAILABLE   FLOOR   OUT   PAUSED   HEALTH    AGE',
      'cart   cart      enforce   True      3/5         2       1     1        Healthy   24h',
      'cart   cart      dryRun    Unknown   -           -       -     -        Unknown   24h',
    ].join('\n'),
  );
});

test('one resource, its breakers and its pods: who is out comes first', () => {
  const view = viewWhole(resource({}, status), fleet, NOW);
  expect(getView.parse(view)).toEqual(view);
  expect(printWhole(view, plain)).toBe(
    [
      'cart supervises the Service cart in shop',
      '3 of 5 Ready pods in traffic, floor 2; 1 out, 1 paused; mode enforce',
      'Ready: True Reconciled: fine.',
      'Active: True SelectorActivated',
      'Degraded: False Healthy',
      '',
      'BREAKER   KIND        MODE      FLOOR   LAST   RESULT      BAD   BROKEN   WITHHELD   MESSAGE',
      'slow      threshold   enforce   2       3s     anomalous   1     1        0          -',
      '',
      'POD   STATE                   BREAKER   SINCE   BREAKS   NEXT    HELD BY   REASON',
      'a     paused                  slow      10m     1        -       -         p99 2.4 s, limit 1 s',
      'b     out                     slow      5s      1        in 5s   -         p99 2.4 s, limit 1 s',
      'c     in traffic              -         -       -        -       -         -',
      'd     in traffic, not ready   -         -       -        -       -         -',
    ].join('\n'),
  );
});

test('colours where they are asked for, and columns that stand under their heads all the same', () => {
  const rows = viewPods(fleet, resource(), NOW);
  const colored = printPods(rows, { ...plain, colored: true });
  expect(colored).toContain('\u001b[');

  expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(printPods(rows, plain));
});

test('what others wrote does not steer the terminal', () => {
  const evil = viewPods([pod('a\u001b[2J\nb')], resource(), NOW);

  expect(printPods(evil, plain)).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
});

test('history: the oldest first, a dry run told as one, and that there is more', () => {
  const fact = { pod: 'a', uid: 'u', enforced: true, actor: 'breaker' as const, breaker: 'slow', message: 'p99 2.4 s' };
  const facts = [
    { ...fact, type: 'pod-broken' as const, reason: 'Anomalous' as const, at: ago(70) },
    { ...fact, type: 'pod-activated' as const, reason: 'WaitOver' as const, at: ago(10), enforced: false },
  ];
  expect(printHistory({ namespace: 'shop', name: 'cart', facts, more: true, unreadable: 0 }, plain)).toBe(
    [
      'TIME                       AGO   WHAT                    POD   BREAKER   REASON      MESSAGE',
      '2026-03-01T11:58:50.000Z   70s   broken                  a     slow      Anomalous   p99 2.4 s',
      '2026-03-01T11:59:50.000Z   10s   dry run: brought back   a     slow      WaitOver    p99 2.4 s',
      'Older facts are kept: --limit shows more.',
    ].join('\n'),
  );
});
