/** What people read: lines as things happen, and what it came to. */
import type { Found, ReleaseListeners, ReleaseReport, ServiceReport } from '@kubervisor/runtime/release/release';
import { kedaCommand } from '@kubervisor/runtime/release/processes';
import { createColors } from 'picocolors';

export interface Output {
  write(text: string): unknown;
  /** A terminal: colours, and a line that is written over. */
  isTerminal: boolean;
  colored: boolean;
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`;

const outOf = ({ out, paused }: Pick<Found, 'out' | 'paused'>): string =>
  out + paused === 0 ? '' : `, ${out + paused} of them out of traffic${paused === 0 ? '' : ` (${paused} paused)`}`;

export const question = (found: Found): string => {
  const running = found.workloads.filter(({ replicas }) => replicas > 0);
  const what = [
    ...(running.length === 0
      ? []
      : [`stop ${running.map(({ namespace, name }) => `${namespace}/${name}`).join(', ')}`]),
    `take the key out of ${count(found.services.length, 'selector')}`,
    `release ${count(found.pods, 'pod')}${outOf(found)}`,
  ].join(', ');
  const back = found.out + found.paused === 0 ? '' : ' Those that are out get traffic again at once.';
  return `This will ${what}.${back} Go on? [y/N] `;
};

/** Milliseconds between two lines of progress where no line can be written over. */
const EVERY = 5000;

export function presenter(
  { write, isTerminal, colored }: Output,
  now: () => number,
): Omit<ReleaseListeners, 'confirm'> {
  const { green, yellow, dim } = createColors(colored);
  let passing = false;
  let last = -Infinity;
  const say = (text: string): void => {
    write(`${passing ? '\r\u001b[K' : ''}${text}\n`);
    passing = false;
  };
  /** Progress: on a terminal one line that changes. */
  const pass = (text: string, isLast: boolean): void => {
    if (isTerminal) {
      write(`\r\u001b[K${text}${isLast ? '\n' : ''}`);
      passing = !isLast;
    } else if (isLast || now() - last >= EVERY) {
      last = now();
      write(`${text}\n`);
    }
  };
  return {
    found(found) {
      say(
        `  found    ${count(found.workloads.length, 'Deployment')} of ours, ${count(found.services.length, 'Service')} with our key, ` +
          `${count(found.pods, 'pod')} with marks of ours${outOf(found)}`,
      );
    },
    stopping: ({ namespace, name, replicas }) =>
      say(`  stop     ${namespace}/${name}, which had ${count(replicas, 'replica')}`),
    waiting: (pods) =>
      say(dim(`  wait     until ${count(pods.length, 'pod')} of ours ${pods.length === 1 ? 'is' : 'are'} gone`)),
    watchingLease: ({ namespace, name }, seconds) =>
      say(dim(`  watch    the Lease ${namespace}/${name} for ${seconds} s: does a controller renew it?`)),
    service: (service) => say(serviceLine(service, { green, yellow })),
    pods: ({ settled, of }) => pass(`  pods     ${settled} of ${of} released`, settled === of),
    trouble: (message) => say(yellow(`  again    ${message}`)),
  };
}

const WORDS: Record<ServiceReport['result'], string> = {
  removed: 'the key is out of its selector',
  wouldRemove: 'the key would go out of its selector',
  left: 'left as it is',
  gone: 'was deleted meanwhile',
  failed: 'not changed',
};

function serviceLine(
  { namespace, name, result, message }: ServiceReport,
  { green, yellow }: { green(text: string): string; yellow(text: string): string },
): string {
  const tell = result === 'removed' ? green : result === 'failed' || result === 'left' ? yellow : String;
  return `  Service  ${namespace}/${name}: ${tell(WORDS[result])}${message === undefined ? '' : `: ${message}`}`;
}

export function summaryOf(report: ReleaseReport, colored: boolean): string {
  const { green, red, bold } = createColors(colored);
  const { pods, dryRun, ended, problems, notes, kept, stopped, paused, services } = report;
  const lines: string[] = [];
  if (dryRun && problems.length === 0) {
    lines.push(...services.map((service) => serviceLine(service, { green: String, yellow: String })));
    lines.push('', bold(`Dry run: nothing was changed; ${count(pods.found, 'pod')} would be released${outOf(pods)}.`));
  } else if (ended === 'declined') lines.push('', 'Nothing was changed.');
  else if (report.ok) {
    const removed = services.filter(({ result }) => result === 'removed').length;
    lines.push(
      '',
      green(
        `Nothing is left: ${count(removed, 'selector')} without our key, ${count(pods.released, 'pod')} released` +
          `${stopped.length === 0 ? '' : `, ${count(stopped.length, 'Deployment')} at 0 replicas`}.`,
      ),
    );
  }
  for (const { problem, next } of problems) lines.push('', `${red('Not done:')} ${problem}.`, `  Next: ${next}`);
  if (problems.length > 0 && stopped.length > 0)
    lines.push(
      '',
      'Stopped meanwhile; to undo that:',
      ...stopped.map(
        ({ namespace, name, replicas }) =>
          `  kubectl scale deployment ${name} --namespace ${namespace} --replicas ${replicas}`,
      ),
      ...paused.map(({ namespace, name }) => `  ${kedaCommand(name, namespace, 'resume')}`),
    );
  if (notes.length > 0) lines.push('', ...notes);
  if (report.ok && !dryRun && services.some(({ result }) => result === 'removed'))
    lines.push(
      '',
      'Take kubervisor/traffic out of the manifests of those Services too: Helm, Argo CD or Flux would put it back.',
    );
  if (report.ok && !dryRun) {
    const { namespaces } = report;
    lines.push(
      '',
      `What stays: ${kept.kubervisorServices === undefined ? 'KubervisorServices' : count(kept.kubervisorServices, 'KubervisorService')} and their definition. To delete ${namespaces.length === 0 ? 'them as well' : 'the former as well'}:`,
    );
    // The definition takes the KubervisorServices of all namespaces with it.
    if (namespaces.length === 0)
      lines.push('  kubectl delete customresourcedefinition kubervisorservices.kubervisor.k8s.io');
    else
      lines.push(
        ...namespaces.map((namespace) => `  kubectl delete kubervisorservices --all --namespace ${namespace}`),
      );
  }
  return lines.join('\n');
}
