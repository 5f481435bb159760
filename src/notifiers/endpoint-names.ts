import { lookup as systemLookup, Resolver } from 'node:dns/promises';

/** All addresses of a host name, in any order; rejects (or gives none) when there are none. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

/** Names that mean something only inside somebody's network (RFC 6761, 6762, 8375; ICANN's `internal`). */
const localSuffixes = ['localhost', 'local', 'internal', 'home.arpa', 'lan', 'intranet', 'corp', 'home'];
/** A server list (resolv.conf) that was read longer ago is read again. */
const SERVERS_FRESH_MS = 60_000;
const QUERY_TIMEOUT_MS = 2_000;
const QUERY_TRIES = 2;
/** The system's lookup holds one of the four threads that files need too. */
const SYSTEM_LOOKUPS_AT_ONCE = 2;
const SYSTEM_LOOKUPS_WAITING = 64;

/**
 * Asks the name servers directly: the system's `getaddrinfo` would hold a thread of the pool for as long as a stranger's
 * name server likes to be silent. With `alsoSystem` names that are local or that the servers do not know are looked
 * up by the system (hosts file, mDNS): for operators who allow private networks, and few at a time.
 */
export function nameResolver(alsoSystem: boolean): ResolveName {
  let resolver = newResolver();
  let madeAtMs = performance.now();
  const bySystem = boundedSystemLookup();
  return async (name) => {
    if (alsoSystem && isLocalName(name)) return bySystem(name);
    if (performance.now() - madeAtMs > SERVERS_FRESH_MS) {
      resolver = newResolver();
      madeAtMs = performance.now();
    }
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    return addresses.length === 0 && alsoSystem ? bySystem(name) : addresses;
  };
}

/** `host` in lower case. */
export function isLocalName(host: string): boolean {
  if (!host.includes('.')) return true;
  return localSuffixes.some((suffix) => host.endsWith(`.${suffix}`));
}

const newResolver = (): Resolver => new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });

function boundedSystemLookup(): ResolveName {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (name) => {
    if (running >= SYSTEM_LOOKUPS_AT_ONCE) {
      if (waiting.length >= SYSTEM_LOOKUPS_WAITING) return [];
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return (await systemLookup(name, { all: true })).map(({ address }) => address);
    } finally {
      const next = waiting.shift(); // the place is handed over, so `running` stays
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
