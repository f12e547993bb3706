/** The two servers that the demo does not bring along. */
import { findProgram } from '@kubervisor/testing/servers/install';

export interface Programs {
  natsServer: string;
  prometheus: string;
}

const WANTED = {
  natsServer: { name: 'nats-server', variable: 'NATS_SERVER', package: 'nats-server' },
  prometheus: { name: 'prometheus', variable: 'PROMETHEUS', package: 'prometheus' },
};

const NEXT_STEP = `Install what is missing, then run this again:
  Debian, Ubuntu   sudo apt-get install nats-server prometheus   (as root this is done for you)
  macOS            brew install nats-server prometheus
  by hand          https://github.com/nats-io/nats-server/releases  https://prometheus.io/download
                   and name them: NATS_SERVER=/path/nats-server PROMETHEUS=/path/prometheus`;

/** Finds or installs both. Throws one error that names all that is missing, and the next step. */
export function findPrograms(find: typeof findProgram = findProgram): Programs {
  const problems: string[] = [];
  const path = (program: (typeof WANTED)[keyof typeof WANTED]): string => {
    try {
      return find(program);
    } catch (error) {
      problems.push((error as Error).message);
      return '';
    }
  };
  const programs = { natsServer: path(WANTED.natsServer), prometheus: path(WANTED.prometheus) };
  if (problems.length > 0) throw new Error([...problems, NEXT_STEP].join('\n'));
  return programs;
}
