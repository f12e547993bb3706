/** Certificates for tests with real TLS, made anew each time by openssl: none lies in the project, and none expires there. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeFolder } from './child.ts';
import { findProgram } from './install.ts';

export interface Identity {
  /** PEM. */
  cert: string;
  /** PEM, without a passphrase. */
  key: string;
}

export interface Authority {
  /** PEM of its own certificate. */
  ca: string;
  /** For a server or a client; `names`: the DNS names and addresses that a server has. */
  issue(commonName: string, names?: readonly string[]): Identity;
}

export function createAuthority(commonName = 'authority of a test'): Authority {
  const own = create(commonName, ['basicConstraints = critical, CA:TRUE']);
  return {
    ca: own.cert,
    issue(name, names = []) {
      const alternatives = names.map((one) => `${/^[\d.]+$|:/.test(one) ? 'IP' : 'DNS'}:${one}`);
      return create(
        name,
        [
          'basicConstraints = critical, CA:FALSE',
          ...(alternatives.length === 0 ? [] : [`subjectAltName = ${alternatives.join(', ')}`]),
        ],
        own,
      );
    },
  };
}

/** Signed by `issuer`, else by itself. */
function create(commonName: string, extensions: readonly string[], issuer?: Identity): Identity {
  const openssl = findProgram({ name: 'openssl', variable: 'OPENSSL', package: 'openssl' });
  const folder = makeFolder('certificates');
  const file = (name: string) => join(folder, name);
  try {
    // The whole of it: what the machine's own configuration adds is not the same everywhere.
    const config = [
      '[req]',
      'prompt = no',
      'distinguished_name = name',
      '[name]',
      `CN = ${commonName}`,
      '[extensions]',
    ];
    writeFileSync(file('config'), [...config, ...extensions, ''].join('\n'));
    const signing = issuer === undefined ? [] : ['-CA', file('ca.crt'), '-CAkey', file('ca.key')];
    if (issuer !== undefined) {
      writeFileSync(file('ca.crt'), issuer.cert);
      writeFileSync(file('ca.key'), issuer.key, { mode: 0o600 });
    }
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const to = ['-config', file('config'), '-extensions', 'extensions', '-keyout', file('key'), '-out', file('crt')];
    execFileSync(openssl, ['req', '-x509', ...kind, ...signing, ...to], { stdio: ['ignore', 'ignore', 'pipe'] });
    return { cert: readFileSync(file('crt'), 'utf8'), key: readFileSync(file('key'), 'utf8') };
  } finally {
    removeFolder(folder);
  }
}
