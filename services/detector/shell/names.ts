/** What names resolve to. Two ways, for a Service's name must not lead elsewhere by a CNAME, and only a DNS answer tells. */
import { promises as dns } from 'node:dns';

export interface Names {
  /** Of a fully qualified name. `alias`: it is a CNAME, as of a Service of type ExternalName. Throws errors with a `code`. */
  service(name: string): Promise<{ addresses: string[]; alias: boolean }>;
  /** Of any name, as the system resolves it (hosts file, search domains). Throws errors with a `code`. */
  host(name: string): Promise<string[]>;
}

/** `servers`: DNS servers in place of the system's. */
export function systemNames(servers?: readonly string[]): Names {
  const resolver = new dns.Resolver({ timeout: 1000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const isAlias = async (name: string) => (await orNone(resolver.resolveCname(name))).length > 0;
  return {
    async service(name) {
      // Before and after the addresses, or a Service that turns into an ExternalName in between would pass.
      if (await isAlias(name)) return { addresses: [], alias: true };
      const [v4, v6] = await Promise.all([orNone(resolver.resolve4(name)), orNone(resolver.resolve6(name))]);
      return { addresses: [...v4, ...v6], alias: await isAlias(name) };
    },
    async host(name) {
      return (await dns.lookup(name, { all: true })).map(({ address }) => address);
    },
  };
}

/** No such record is an empty answer; that DNS itself failed is an error. */
async function orNone(answer: Promise<string[]>): Promise<string[]> {
  try {
    return await answer;
  } catch (error) {
    if (['ENODATA', 'ENOTFOUND'].includes((error as { code?: string }).code ?? '')) return [];
    throw error;
  }
}
