/** What a person says to it, and what the environment says where they do not. */
import { kubeconfigFiles, NoKubeconfig } from '@kubervisor/runtime/kubernetes/kubeconfig';
import { readWords, UsageError } from '@kubervisor/runtime/main/command';
import { LEASE_NAME } from '@kubervisor/shared/installation';

export const HELP = `Usage: npm run release -- [options]

Before Kubervisor is uninstalled: stops the Deployments of controller, breaker and activator, takes kubervisor/traffic out of
the selectors of all Services, gives every pod back, and looks whether nothing is left. It needs the API server alone. What it has
done may be done again: after an interruption run it once more.

  --namespace NAME         whose pods and Services; may be given more than once (all)
  --system-namespace NAME  where Kubervisor itself runs (looked for in all)
  --lease NAME             the controllers' LEASE_NAME (${LEASE_NAME})
  --kubeconfig FILE        (KUBECONFIG, else ~/.kube/config, else the account of the pod)
  --context NAME           of the kubeconfig (its current one)
  --dry-run                says what it would do, and does nothing
  --force                  goes on though a controller runs that cannot be stopped from here
  --yes                    asks nothing; where there is no terminal nothing is asked anyway
  --json                   one JSON object on stdout
  -h, --help               this text

Exits 0 if nothing is left (a dry run: if nothing stands in its way), 1 if something is or it could not be done, 2 on bad
arguments, 130 where it was interrupted.`;

export interface Arguments {
  namespaces: string[];
  systemNamespace: string | undefined;
  lease: string;
  /** Empty: the account of the pod that it runs in. */
  kubeconfig: string[];
  context: string | undefined;
  dryRun: boolean;
  force: boolean;
  yes: boolean;
  json: boolean;
  help: boolean;
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** `exists`: whether there is such a file. */
export function readArguments(
  words: string[],
  env: Readonly<Record<string, string | undefined>>,
  exists: (file: string) => boolean,
): Arguments {
  const flag = { type: 'boolean', default: false } as const;
  const options = {
    namespace: { type: 'string', multiple: true, default: [] as string[] },
    'system-namespace': { type: 'string' },
    lease: { type: 'string', default: LEASE_NAME },
    kubeconfig: { type: 'string' },
    context: { type: 'string' },
    'dry-run': flag,
    force: flag,
    yes: flag,
    json: flag,
    help: { ...flag, short: 'h' },
  } as const;
  const { values } = readWords({ args: words, options });
  const named = { namespace: values.namespace, 'system-namespace': values['system-namespace'], lease: values.lease };
  for (const [option, value] of Object.entries(named))
    for (const name of [value ?? []].flat())
      if (!NAME.test(name))
        throw new UsageError(`--${option} ${JSON.stringify(name)}: must be the name of an object of Kubernetes`);
  return {
    namespaces: [...new Set(values.namespace)],
    systemNamespace: values['system-namespace'],
    lease: values.lease,
    kubeconfig: values.help ? [] : kubeconfigOf(values.kubeconfig, env, exists),
    context: values.context,
    dryRun: values['dry-run'],
    force: values.force,
    yes: values.yes,
    json: values.json,
    help: values.help,
  };
}

function kubeconfigOf(...from: Parameters<typeof kubeconfigFiles>): string[] {
  try {
    return kubeconfigFiles(...from);
  } catch (error) {
    throw error instanceof NoKubeconfig ? new UsageError(error.message) : error;
  }
}
