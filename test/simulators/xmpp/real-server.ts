/** Somebody with an account at a server. */
export interface Account {
  readonly name: string;
  readonly password: string;
  /** name@domain */
  readonly jid: string;
}

/** A component that the server lets in. */
export interface ComponentSecret {
  readonly domain: string;
  readonly secret: string;
}

/** What a server has on record of one device to be woken: a client's `<enable/>` that is still in force. */
export interface PushRegistration {
  /** Whom the server publishes to. */
  readonly jid: string;
  readonly node: string | null;
  readonly secret: string | null;
}

export interface RealServerSettings {
  /** The domain of the accounts. Default: localhost. */
  readonly domain?: string;
  /** Default: push.localhost, with some secret. */
  readonly components?: readonly ComponentSecret[];
}

/**
 * A real XMPP server as a process of ours: on ports of 127.0.0.1 that it keeps over restarts, with its files in a
 * directory that is thrown away. Clients log in without TLS; there are no connections to other servers.
 */
export interface RealXmppServer {
  readonly kind: 'prosody' | 'ejabberd';
  readonly domain: string;
  readonly clientPort: number;
  readonly componentPort: number;
  /** The first one of the settings. */
  readonly component: ComponentSecret;
  readonly isRunning: boolean;
  /** A new account; without a name, one that nobody has yet. The server is running. */
  addAccount(name?: string): Promise<Account>;
  /** The server's own record, as stored: not what it does, but what it would do after a restart as well. */
  registrations(account: Account): Promise<readonly PushRegistration[]>;
  /** In an orderly way (SIGTERM); resolves when it is gone. */
  stop(): Promise<void>;
  /** As in a crash (SIGKILL). */
  kill(): Promise<void>;
  /** Again, after `stop` or `kill`: same ports, same files. Resolves when it takes connections. */
  start(): Promise<void>;
  /** `stop` and `start`. */
  restart(): Promise<void>;
  /** It does nothing from here on, but its connections stay open (SIGSTOP); until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Everything it has logged. */
  log(): Promise<string>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

export const defaultSettings = {
  domain: 'localhost',
  components: [{ domain: 'push.localhost', secret: 'h5-secret' }],
} as const;

/** Names for accounts, never the same twice in this process. */
let accounts = 0;

export function newAccount(domain: string, name?: string): Account {
  accounts += 1;
  const chosen = name ?? `user${accounts}`;
  return { name: chosen, password: `password-of-${chosen}`, jid: `${chosen}@${domain}` };
}
