/** Scenes for tests: a fleet that is well, and what is to be different in it. */
import { FLEET_SIZE } from '../shop/manifests.ts';
import type { PodScene, Scene } from './scene.ts';

const LETTERS = 'abcdefgh';
export const podName = (place: number): string => `cart-5d9c7b8f4-x2k9${LETTERS[place] ?? '?'}`;

export const podScene = (place: number, different: Partial<PodScene> = {}): PodScene => ({
  name: podName(place),
  ready: true,
  traffic: 'yes',
  inSlice: true,
  fault: undefined,
  reason: undefined,
  backIn: undefined,
  onProbation: false,
  requestsPerSecond: 12.4,
  badPercent: 0,
  ...different,
});

/** `pods`: what is different of some, by place. */
export const sceneOf = ({
  pods = {},
  ...different
}: Partial<Omit<Scene, 'pods'>> & { pods?: Record<number, Partial<PodScene>> } = {}): Scene => ({
  seconds: 0,
  pods: Array.from({ length: FLEET_SIZE }, (_, place) => podScene(place, pods[place])),
  available: FLEET_SIZE,
  floor: 5,
  result: 'ok',
  degraded: undefined,
  shoppers: { requestsPerSecond: 99.6, badPercent: 0 },
  ...different,
});
