/** Which kubeconfig a command for people uses, found as kubectl finds it. */
import { delimiter, join } from 'node:path';

/** None is named, or the one that is named is not there. */
export class NoKubeconfig extends Error {
  override name = 'NoKubeconfig';
}

/** The files, of which the first says most; none: the account of the pod that it runs in. `exists`: whether there is such a file. */
export function kubeconfigFiles(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  exists: (file: string) => boolean,
): string[] {
  if (given !== undefined) {
    if (!exists(given)) throw new NoKubeconfig(`--kubeconfig ${given}: there is no such file`);
    return [given];
  }
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) {
    const there = listed.filter(exists);
    if (there.length === 0) throw new NoKubeconfig(`KUBECONFIG=${listed.join(delimiter)}: there is no such file`);
    return there;
  }
  const own = join(env['HOME'] ?? '', '.kube', 'config');
  if (exists(own)) return [own];
  if ((env['KUBERNETES_SERVICE_HOST'] ?? '') !== '') return [];
  throw new NoKubeconfig('no cluster: name one with --kubeconfig FILE or KUBECONFIG');
}
