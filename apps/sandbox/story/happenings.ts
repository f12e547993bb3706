/** What happened between two looks, in words: the lines that a person reads. */
import type { PodScene, Scene } from './scene.ts';

export interface Happening {
  seconds: number;
  tone: 'bad' | 'good' | 'note';
  text: string;
}

/** `cart-5d9c7b8f4-x2k9p` → `x2k9p`. */
export const shortName = (name: string): string => name.slice(name.lastIndexOf('-') + 1);

export function happenings(before: Scene, after: Scene): Happening[] {
  const { seconds } = after;
  const told: Happening[] = [];
  const tell = (tone: Happening['tone'], text: string): void => void told.push({ seconds, tone, text });
  const was = new Map(before.pods.map((pod) => [pod.name, pod]));
  const is = new Set(after.pods.map(({ name }) => name));

  tellFaults(
    after.pods.filter((pod) => pod.fault !== undefined && was.has(pod.name) && was.get(pod.name)?.fault === undefined),
    after.pods.filter((pod) => pod.fault === undefined && was.get(pod.name)?.fault !== undefined),
    tell,
  );
  for (const pod of after.pods) {
    const earlier = was.get(pod.name);
    if (earlier === undefined) tell('note', `${shortName(pod.name)} is new`);
    else tellPod(earlier, pod, tell);
  }
  for (const { name } of before.pods) if (!is.has(name)) tell('note', `${shortName(name)} is gone`);

  const [then, now] = [before.degraded, after.degraded];
  // Before its first evaluation Kubervisor has not made the pods its own, and what it says of none of them tells nothing.
  if (before.result === undefined) return told;
  if (now !== undefined && now.reason !== then?.reason)
    tell('note', `${now.reason === 'FleetAnomalous' ? 'nobody is touched: ' : ''}${now.reason}: ${now.message}`);
  else if (now !== undefined && now.message !== then?.message) tell('note', now.message);
  if (now === undefined && then !== undefined) tell('good', `${then.reason} is over`);
  return told;
}

type Tell = (tone: Happening['tone'], text: string) => void;

const MOST_NAMED = 3;
const named = (pods: readonly PodScene[]): string =>
  pods.length > MOST_NAMED ? `${pods.length} pods` : pods.map(({ name }) => shortName(name)).join(', ');

/** What befalls many at once is one line. */
function tellFaults(failing: readonly PodScene[], healed: readonly PodScene[], tell: Tell): void {
  const [first] = failing;
  if (first !== undefined)
    tell('bad', `${named(failing)} ${failing.length > 1 ? 'answer' : 'answers'} ${first.fault} from now on`);
  if (healed.length > 0) tell('good', `${named(healed)} ${healed.length > 1 ? 'are' : 'is'} healed`);
}

function tellPod(before: PodScene, after: PodScene, tell: Tell): void {
  const name = shortName(after.name);
  if (after.traffic !== before.traffic) {
    if (after.traffic === 'no') tell('bad', `${name} is taken out: ${after.reason ?? 'no reason given'}`);
    else if (after.traffic === 'pause') tell('bad', `${name} is set aside for a person`);
    else if (after.traffic === 'yes') tell('good', `${name} gets another try`);
  }
  if (after.inSlice !== before.inSlice)
    tell(after.inSlice ? 'good' : 'note', `${name} ${after.inSlice ? 'is in' : 'has left'} the EndpointSlice`);
}
