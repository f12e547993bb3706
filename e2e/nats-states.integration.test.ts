/**
 * What a person finds who looks at a process while NATS is not as it should be: /readyz says in a sentence what is wrong and what mends
 * it, the log says it once, /healthz stays 200 (the kubelet restarts nothing), and when it is mended the process goes on by itself (W7).
 * There is no API server here, so nobody leads: what the leader makes of each state is in nats-leader.kubernetes.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { connectBus } from '@kubervisor/runtime/nats/bus';
import { authorizationConfig } from '@kubervisor/runtime/nats/permissions';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { startTcpProxy, type TcpProxy } from '@kubervisor/testing/servers/tcp-proxy';
import { startService, type ServiceName, type ServiceProcess } from '@kubervisor/testing/services';
import { pino } from 'pino';

const PROCESSES = ['controller', 'breaker', 'activator'] as const satisfies ServiceName[];
const isBad = ({ level }: Record<string, unknown>): boolean => ['warn', 'error', 'fatal'].includes(String(level));
/** In which a state is looked at: whatever is tried again and again would fill the log in it. */
const STATE = 3000;

let folder: string;
let nats: NatsServer;
/** How often the server was begun anew. */
let restarts = 0;
const restart: NatsServer['restart'] = (options) => {
  restarts += 1;
  return nats.restart(options);
};
let proxy: TcpProxy;
let processes: ServiceProcess[] = [];

/** A kubeconfig that leads nowhere. */
const KUBECONFIG = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'none',
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
  clusters: [{ name: 'none', cluster: { server: 'http://127.0.0.1:1' } }],
  users: [{ name: 'none', user: {} }],
});
const writePassword = (service: string, password: string): void => writeFileSync(join(folder, service), password);
const envOf = (service: ServiceName, url: string): Record<string, string> => ({
  KUBECONFIG: join(folder, 'kubeconfig'),
  NATS_URL: url,
  NATS_USER: service,
  NATS_PASSWORD_FILE: join(folder, service),
  LEASE_NAMESPACE: 'default',
  DETECTOR_URL: 'http://127.0.0.1:1',
});

/** As the leader does. */
async function ensure(): Promise<void> {
  const bus = await connectBus({ url: nats.url, name: 'test' }, pino({ level: 'silent' }));
  try {
    await bus.ensure(1);
  } finally {
    await bus.close();
  }
}
async function admin<T>(act: (nc: NatsConnection) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: nats.url });
  try {
    return await act(nc);
  } finally {
    await nc.close();
  }
}

const readyz = async ({ url }: ServiceProcess): Promise<string> => {
  const answer = await fetch(`${url}/readyz`);
  const { checks } = (await answer.json()) as { checks: Record<string, string> };
  // The others are about what is not there in this test.
  if (checks['nats'] === undefined) throw new Error(JSON.stringify(checks));
  return checks['nats'];
};
async function says(process: ServiceProcess, what: string | RegExp, within = 12_000): Promise<void> {
  for (const end = performance.now() + within; ; await delay(50)) {
    const said = await readyz(process);
    if (typeof what === 'string' ? said === what : what.test(said)) return;
    if (performance.now() > end) throw new Error(`${process.name}: /readyz says "${said}", not ${String(what)}`);
  }
}
const allSay = (what: string | RegExp, within?: number) =>
  Promise.all(processes.map((process) => says(process, what, within)));

/** From the first word of the state to the end of a while in it: what each process logged of it. `from`: the line that each is read from. */
async function state(
  begin: () => Promise<void> | void,
  sentence: string | RegExp,
  mend: () => Promise<void> | void,
  of: readonly ServiceProcess[] = processes,
  from: readonly number[] = processes.map(({ log }) => log.length),
): Promise<void> {
  const before = restarts;
  try {
    await begin();
    await Promise.all(of.map((process) => says(process, sentence)));
    await delay(STATE);
    for (const process of of) {
      const { status } = await fetch(`${process.url}/healthz`);
      expect([process.name, status]).toEqual([process.name, 200]);
      // It says what it said, not one thing now and another then.
      await says(process, sentence, 0);
    }
  } finally {
    await mend();
  }
  await allSay('ok');
  for (const [index, process] of processes.entries()) {
    const lines = process.log.slice(from[index]);
    const told = (msg: string) => lines.filter((line) => line['msg'] === msg);
    const notReady = told('NATS is not ready').map(({ problem }) => String(problem));
    const bad = lines.filter((line) => isBad(line) && /NATS|stream|consumer/.test(String(line['msg'])));
    expect(bad.map(({ msg }) => msg)).toEqual(notReady.map(() => 'NATS is not ready'));
    // Of each server: the connection to the last one is lost, this one cannot be had while it starts, what is wrong, and then streams are
    // missing. How many of them somebody saw hangs on the machine; nobody says more.
    const tooMany = notReady.length > 4 * Math.max(1, restarts - before);
    expect({ of: process.name, notReady, tooMany }).toMatchObject({ tooMany: false });
    expect(told('NATS is ready').length).toBeLessThanOrEqual(notReady.length + 1);
    expect(lines.filter(({ level }) => level === 'fatal')).toEqual([]);
    if (!of.includes(process)) continue;
    expect(notReady).toContainEqual(expect.stringMatching(sentence));
    expect(told('NATS is ready').length).toBeGreaterThanOrEqual(1);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kubervisor-nats-states-'));
  writeFileSync(join(folder, 'kubeconfig'), KUBECONFIG);
  for (const service of PROCESSES) writePassword(service, `${service}'s`);
  nats = await startNats();
  proxy = await startTcpProxy({ host: '127.0.0.1', port: nats.port });
  processes = await Promise.all(
    PROCESSES.map((service) => startService(service, `${service}-0`, envOf(service, `nats://127.0.0.1:${proxy.port}`))),
  );
}, 120_000);
afterAll(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await proxy.close();
  await nats.stop();
  rmSync(folder, { recursive: true });
}, 30_000);

const workers = () => processes.filter(({ service }) => service !== 'controller');

describe('W7: one state after the other, no process restarted', () => {
  let pids: number[];
  beforeAll(() => void (pids = processes.map(({ pid }) => pid)));
  afterEach(() => expect(processes.map(({ pid }) => pid)).toEqual(pids));

  test('empty: workers say which consumer is missing and who makes it; a standby controller lacks nothing', async () => {
    const [controller] = processes;
    await state(
      () => undefined,
      /^consumer (breaker|activator) of KUBERVISOR_WORK is missing on NATS: the leading controller makes it within 10 s; if not, look whether one runs/,
      ensure,
      workers(),
      // They told it as soon as they were started.
      processes.map(() => 0),
    );
    await says(controller!, 'ok');
  });

  test('wiped', async () => {
    await state(
      () => restart({ wipe: true }),
      /^consumer (breaker|activator) of KUBERVISOR_WORK is missing on NATS/,
      ensure,
      workers(),
    );
  });

  test('the consumer alone deleted while work is waited for', async () => {
    await state(
      () =>
        admin(async (nc) => {
          for (const consumer of ['breaker', 'activator'])
            await nc.request(`$JS.API.CONSUMER.DELETE.KUBERVISOR_WORK.${consumer}`);
        }),
      /^consumer (breaker|activator) of KUBERVISOR_WORK is missing on NATS/,
      ensure,
      workers(),
    );
  });

  test('older than needed', async () => {
    const age = (said: Buffer): Buffer =>
      Buffer.from(said.toString('latin1').replace(/"version":"[^"]+"/, '"version":"2.8.4"'), 'latin1');
    await state(
      () => {
        proxy.rewrite(age);
        proxy.cut();
      },
      'nats-server 2.8.4 is too old, nothing is done with it: 2.9.0 or newer is needed',
      () => {
        proxy.rewrite(undefined);
        proxy.cut();
      },
    );
  });

  test('without JetStream', async () => {
    await state(
      () => restart({ jetstream: false }),
      /^JetStream is not enabled on the NATS server: start it with "-js"/,
      async () => {
        await restart({ jetstream: true });
        await ensure();
      },
    );
  });

  test('without JetStream for our account', async () => {
    const users = JSON.stringify(PROCESSES.map((user) => ({ user, password: `${user}'s` })));
    const without = `accounts {\n OURS { users: ${users} }\n OTHER { jetstream: enabled, users: [{user: x, password: x}] }\n}`;
    await state(
      () => restart({ config: without }),
      /^JetStream is not enabled for our account on the NATS server: "jetstream: enabled"/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('wrong credentials, mended at the server', async () => {
    await state(
      () => restart({ config: authorizationConfig((service) => `not ${service}'s`) }),
      /^the NATS server refuses the credentials \(Authorization Violation\): those of NATS_USER and NATS_PASSWORD_FILE, or of NATS_CREDS/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('wrong credentials, mended in the file', async () => {
    await state(
      async () => {
        for (const service of PROCESSES) writePassword(service, 'old');
        await restart({ config: `${authorizationConfig((service) => `${service}'s`)}` });
      },
      /^the NATS server refuses the credentials/,
      async () => {
        for (const service of PROCESSES) writePassword(service, `${service}'s`);
        await allSay(/^ok$|missing on NATS/);
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('no permission: which subject, once, and not at each attempt', async () => {
    const users = PROCESSES.map((user) => ({
      ...{ user, password: `${user}'s` },
      permissions: { publish: ['$JS.API.STREAM.*.KUBERVISOR_WORK', 'foo'], subscribe: ['_INBOX.>'] },
    }));
    await state(
      () => restart({ config: `authorization: ${JSON.stringify({ users })}` }),
      /^the NATS server does not permit our user to publish to "\$JS\.API\.INFO": add it to the user's permissions$/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('no permission to hear answers: which subject, and not that nobody answers', async () => {
    const users = PROCESSES.map((user) => ({
      ...{ user, password: `${user}'s` },
      permissions: { publish: ['>'], subscribe: [`_INBOX_${user}.>`] },
    }));
    await state(
      () => restart({ config: `authorization: ${JSON.stringify({ users })}` }),
      /^the NATS server does not permit our user to subscribe to "_INBOX\.(controller|breaker|activator)\.>": add it to the user's permissions$/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('no permission to take work: the server says nothing to who asks, and yet it is told', async () => {
    const users = PROCESSES.map((user) => ({
      ...{ user, password: `${user}'s` },
      permissions: { publish: { deny: ['$JS.API.CONSUMER.MSG.NEXT.>'] } },
    }));
    await state(
      async () => {
        await restart({
          config: `authorization: ${JSON.stringify({ users: [...users, { user: 'admin', password: 'a' }] })}\nno_auth_user: admin`,
        });
        await ensure();
      },
      /^the NATS server does not permit our user to publish to "\$JS\.API\.CONSUMER\.MSG\.NEXT\.KUBERVISOR_WORK\.(breaker|activator)"/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
      workers(),
    );
  });

  test('the server wants TLS, and we are not configured for it', async () => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    execFileSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -days 2 -subj /CN=nats`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    );
    await state(
      () => restart({ config: `tls { cert_file: "${cert}", key_file: "${key}" }` }),
      /^no TLS connection to NATS at nats:\/\/127\.0\.0\.1:\d+ \(self-signed certificate\): NATS_CA must name the authority/,
      async () => {
        await restart({ config: '' });
        await ensure();
      },
    );
  });

  test('frozen for longer than its pings, its connections half-open', async () => {
    await state(
      () => nats.freeze(),
      /^the connection to NATS at .* was lost, and is tried again$|^cannot connect to NATS at .*: timeout$/,
      () => nats.thaw(),
    );
  });

  test('away, and back with its files', async () => {
    await state(
      () => nats.kill(),
      /^cannot connect to NATS at nats:\/\/127\.0\.0\.1:\d+: /,
      async () => {
        await restart();
        await ensure();
      },
    );
  });
});

describe('at the start', () => {
  const started: ServiceProcess[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.stop()));
  });
  const start = async (env: Record<string, string>): Promise<ServiceProcess> => {
    const process = await startService('breaker', 'breaker-1', { ...envOf('breaker', nats.url), ...env });
    started.push(process);
    return process;
  };

  test('one of several servers is away, the other refuses: said is what can be mended, once, though the attempts alternate', async () => {
    await restart({ config: 'authorization { user: somebody, password: else }' });
    try {
      const process = await start({ NATS_URL: `nats://127.0.0.1:1,${nats.url}` });
      await says(process, /^the NATS server refuses the credentials/);
      await delay(STATE);
      await says(process, /^the NATS server refuses the credentials/, 0);
      expect(process.log.filter(({ msg }) => msg === 'NATS is not ready').length).toBeLessThanOrEqual(2);
    } finally {
      await restart({ config: '' });
      await ensure();
    }
  });

  test('one of several servers is away: the other does', async () => {
    await says(await start({ NATS_URL: `nats://127.0.0.1:1,${nats.url}` }), 'ok');
  });

  test('a host that DNS does not know yet', async () => {
    const hosts = join(folder, 'hosts.json');
    const preload = join(folder, 'dns.cjs');
    writeFileSync(hosts, '{}');
    // Stands for the resolver of the machine: it knows what is in the file.
    writeFileSync(
      preload,
      `const dns = require('node:dns'), { readFileSync } = require('node:fs'), { lookup } = dns;
       dns.lookup = (host, options, done) => {
         const address = JSON.parse(readFileSync(${JSON.stringify(hosts)}))[host];
         return lookup(address ?? host, options, done);
       };`,
    );
    const process = await start({
      NATS_URL: `nats://nats.invalid:${nats.port}`,
      NODE_OPTIONS: `--require ${preload}`,
    });
    await says(
      process,
      /^the host of NATS_URL nats:\/\/nats\.invalid:\d+ is not known to DNS \(.*\): is the name right/,
    );
    writeFileSync(hosts, JSON.stringify({ 'nats.invalid': '127.0.0.1' }));
    await says(process, 'ok');
    expect(process.log.filter(({ msg }) => msg === 'NATS is not ready')).toHaveLength(1);
  });

  test('TLS is configured, and the server does not offer it', async () => {
    const process = await start({ NATS_CA: join(folder, 'cert.pem') });
    await says(process, /^NATS_CA, NATS_CERT or NATS_KEY asks for TLS, which the NATS server at .* does not offer/);
  });

  test('files of NATS that are not there are errors of the configuration, listed all at once', async () => {
    const missing = join(folder, 'missing');
    const failed = await start({ NATS_CREDS: missing, NATS_CA: folder, NATS_PASSWORD_FILE: missing }).catch(String);
    expect(failed).toContain('breaker: the configuration has 3 problem(s):');
    for (const variable of ['NATS_CREDS', 'NATS_CA', 'NATS_PASSWORD_FILE'])
      expect(failed).toMatch(new RegExp(`${variable}: "[^"]+", must be a file that can be read \\(`));
  });
});
