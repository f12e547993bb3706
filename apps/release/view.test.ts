import { expect, test } from '@jest/globals';
import type { ReleaseReport } from '@kubervisor/runtime/release/release';
import { presenter, question, summaryOf } from './view.ts';

const report = (change: Partial<ReleaseReport> = {}): ReleaseReport => ({
  ok: true,
  dryRun: false,
  namespaces: [],
  stopped: [],
  paused: [],
  services: [],
  pods: { found: 0, out: 0, paused: 0, released: 0, failed: [] },
  problems: [],
  notes: [],
  kept: { kubervisorServices: 0 },
  ...change,
});
const breaker = { namespace: 'kv', name: 'breaker', component: 'breaker', replicas: 3, selector: 'run=breaker' };

test('when all is done: what was done, what a manifest would undo, and what stays', () => {
  const text = summaryOf(
    report({
      stopped: [breaker],
      services: [{ namespace: 'shop', name: 'cart', result: 'removed' }],
      pods: { found: 5, out: 2, paused: 1, released: 5, failed: [] },
      kept: { kubervisorServices: 2 },
    }),
    false,
  );
  expect(text).toContain('Nothing is left: 1 selector without our key, 5 pods released, 1 Deployment at 0 replicas.');
  expect(text).toContain('Take kubervisor/traffic out of the manifests');
  expect(text).toContain('What stays: 2 KubervisorServices');
  expect(text).toContain('kubectl delete customresourcedefinition kubervisorservices.kubervisor.k8s.io');
});

test('of some namespaces the definition is not to be deleted: it would take the others with it', () => {
  const text = summaryOf(report({ namespaces: ['a', 'b'] }), false);
  expect(text).toContain('kubectl delete kubervisorservices --all --namespace b');
  expect(text).not.toContain('customresourcedefinition');
});

test('when it is not: each problem with its next step, how to undo the stop, and no word of deletion', () => {
  const text = summaryOf(
    report({
      ok: false,
      stopped: [breaker],
      paused: [{ namespace: 'kv', name: 'by-lag' }],
      problems: [{ problem: 'it rains', next: 'wait' }],
    }),
    false,
  );
  expect(text).toContain('kubectl annotate scaledobject by-lag --namespace kv autoscaling.keda.sh/paused-replicas-');
  expect(text).toContain('Not done: it rains.\n  Next: wait');
  expect(text).toContain('kubectl scale deployment breaker --namespace kv --replicas 3');
  expect(text).not.toContain('Nothing is left');
  expect(text).not.toContain('kubectl delete');
});

test('a dry run says what would happen', () => {
  const text = summaryOf(
    report({
      dryRun: true,
      services: [{ namespace: 'shop', name: 'cart', result: 'wouldRemove' }],
      pods: { found: 3, out: 1, paused: 1, released: 0, failed: [] },
    }),
    false,
  );
  expect(text).toContain('shop/cart: the key would go out of its selector');
  expect(text).toContain('nothing was changed; 3 pods would be released, 2 of them out of traffic (1 paused)');
});

test('a person is asked with what it means: who is out gets traffic again', () => {
  const found = {
    workloads: [breaker, { ...breaker, name: 'idle', replicas: 0 }],
    services: [],
    pods: 3,
    out: 1,
    paused: 0,
  };
  expect(question(found)).toBe(
    'This will stop kv/breaker, take the key out of 0 selectors, release 3 pods, 1 of them out of traffic. ' +
      'Those that are out get traffic again at once. Go on? [y/N] ',
  );
});

const shown = (isTerminal: boolean) => {
  let text = '';
  let now = 0;
  const view = presenter({ write: (part) => (text += part), isTerminal, colored: isTerminal }, () => now);
  return { view, text: () => text, pass: (milliseconds: number) => void (now += milliseconds) };
};

test('progress: on a terminal one line that changes, elsewhere a line now and then, without colours', () => {
  const terminal = shown(true);
  for (const settled of [0, 1, 2]) terminal.view.pods({ settled, of: 2 });
  expect(terminal.text().split('\n')).toHaveLength(2);
  const plain = shown(false);
  plain.view.pods({ settled: 0, of: 900 });
  for (let settled = 1; settled < 900; settled++) plain.view.pods({ settled, of: 900 });
  plain.pass(5000);
  plain.view.pods({ settled: 900, of: 900 });
  expect(plain.text()).toBe('  pods     0 of 900 released\n  pods     900 of 900 released\n');
  plain.view.trouble('later');
  expect(plain.text()).not.toContain('\u001b');
});
