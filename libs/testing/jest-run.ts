/** Once for each run of Jest: a folder that all its processes share. It goes when the run ends, however that is. */
import { guardFolder, makeFolder } from './servers/child.ts';

export default function begin(): void {
  const folder = makeFolder('run');
  guardFolder(folder);
  process.env['KUBERVISOR_TEST_RUN'] = folder;
}
