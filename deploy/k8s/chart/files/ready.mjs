// Asks every replica of every service whether it is ready, for half a minute at most.
import { resolve } from 'node:dns/promises';

const domain = process.argv.at(-1);
const until = Date.now() + 30_000;

/** What keeps it from being well; nothing if nothing does. */
async function look() {
  const problems = [];
  let leaders = 0;
  for (const component of ['controller', 'breaker', 'activator', 'detector']) {
    const addresses = await resolve(`kubervisor-${component}.${domain}`).catch(() => []);
    if (addresses.length === 0) problems.push(`${component}: no pod is ready`);
    for (const address of addresses) {
      const { ready, checks } = await fetch(`http://${address}:8080/readyz`, { signal: AbortSignal.timeout(5000) })
        .then((answer) => answer.json())
        .catch((error) => ({ ready: false, checks: { http: error.message } }));
      console.log(`${component} ${address}: ${JSON.stringify(checks)}`);
      if (!ready) problems.push(`${component} ${address} is not ready`);
      if (checks.leader === 'this one leads') leaders += 1;
    }
  }
  if (leaders !== 1) problems.push(`${leaders} controllers lead`);
  return problems;
}

let problems = await look();
while (problems.length > 0 && Date.now() < until) {
  await new Promise((done) => setTimeout(done, 2000));
  problems = await look();
}
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
