/**
 * The life of a pod under Kubervisor is that of a circuit breaker, one circuit a pod. The state is written on the pod and
 * nowhere else, so every service that reads the pod knows it, and none has to be asked.
 *
 *   closed     `traffic=yes`: in traffic. A pod begins here when it is adopted.
 *   open       `traffic=no`: taken out by a breaker, waiting. `breakAt` says since when, `retryCount` how often, `strategy` by
 *              which breaker, and with that which activator brings it back.
 *   half-open  `traffic=yes` with a recent `activatedAt`: back in traffic, on probation. Nothing but time tells it from closed:
 *              when the probation is over it is closed without an edit. A pod that is broken again has its count raised.
 *   paused     `traffic=pause`: out of traffic and left alone, for a person to look into. Only a person ends it.
 *
 * A breaker alone takes pods out (closed or half-open → open). An activator alone ends what a breaker began (open → half-open,
 * paused or gone). The controller adopts, releases, and lets go of what nobody enforces; it never takes a pod out. So only one
 * service lowers what is available, and the two that act at once cannot together cross a floor.
 *
 * Being killed is no state: the pod is gone, and its owning controller makes another, which begins at closed.
 */
import type { EDITS } from './codec.ts';

export type LifeCycleState = 'closed' | 'open' | 'half-open' | 'paused';

/** Before adoption a pod has no state, and after its end neither. */
export type Place = LifeCycleState | 'unmanaged' | 'gone';

export interface Transition {
  from: readonly Place[];
  to: Place;
  /** What is written; none where time alone, or the end of the pod, makes the change. */
  edit?: keyof typeof EDITS;
  by: 'controller' | 'breaker' | 'activator' | 'person' | 'time';
  when: string;
}

/** Every way from one place to another. `stampBreakAt` stays in its place: it mends a mark. */
export const LIFE_CYCLE: readonly Transition[] = [
  { from: ['unmanaged'], to: 'closed', edit: 'adopt', by: 'controller', when: 'the pod matches the Service (F1)' },
  {
    from: ['unmanaged'],
    to: 'unmanaged',
    edit: 'letIn',
    by: 'controller',
    when: 'a selector holds our key, but nobody supervises the Service (F1)',
  },
  {
    from: ['closed', 'half-open'],
    to: 'open',
    edit: 'break',
    by: 'breaker',
    when: 'judged bad, within the budget (B)',
  },
  { from: ['open'], to: 'open', edit: 'stampBreakAt', by: 'activator', when: 'breakAt is not readable (A7)' },
  {
    from: ['open'],
    to: 'half-open',
    edit: 'activate',
    by: 'activator',
    when: 'its wait is over (A2), the floor needs it (B7), or it may not be killed (A7)',
  },
  { from: ['half-open'], to: 'closed', by: 'time', when: 'its probation is over (A7)' },
  { from: ['open'], to: 'paused', edit: 'pause', by: 'activator', when: 'broken too often, retryAndPause (A4)' },
  { from: ['open'], to: 'gone', by: 'activator', when: 'broken too often, retryAndKill or pauseOverflow (A4, A5)' },
  {
    from: ['open'],
    to: 'half-open',
    edit: 'activate',
    by: 'controller',
    when: 'nobody enforces the break any more (F4)',
  },
  {
    from: ['open', 'paused'],
    to: 'half-open',
    edit: 'activate',
    by: 'person',
    when: 'kubectl kubervisor release (A4)',
  },
  {
    from: ['closed', 'open', 'half-open', 'paused'],
    to: 'unmanaged',
    edit: 'release',
    by: 'controller',
    when: 'it matches no more, or its resource is gone (F2)',
  },
  {
    from: ['closed', 'open', 'half-open', 'paused'],
    to: 'unmanaged',
    edit: 'release',
    by: 'person',
    when: 'npm run release, before an uninstall (F2)',
  },
];
