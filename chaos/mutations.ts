/** Rules that may be taken away, to show that the run would tell. What is written here is what the bundler makes of libs/shared/policy/claim. */
import { mutateService, type ServiceName } from '@kubervisor/testing/services';

interface Mutation {
  services: readonly ServiceName[];
  from: string;
  to: string;
}

export const MUTATIONS = {
  /** W3: whoever holds a claim starts patches for as long as it likes. */
  deadline: { services: ['breaker', 'activator'], from: 'CLAIM_LIFE = 3e3;', to: 'CLAIM_LIFE = 1e9;' },
  /** W1: a claim without a fact is not waited out. */
  wait: { services: ['controller'], from: 'CLAIM_EXPIRY = CLAIM_LIFE + PATCH_TIMEOUT;', to: 'CLAIM_EXPIRY = 0;' },
} as const satisfies Record<string, Mutation>;

export async function mutate(name: keyof typeof MUTATIONS): Promise<void> {
  const { services, from, to } = MUTATIONS[name];
  for (const service of services) await mutateService(service, (code) => code.replace(from, to));
}
