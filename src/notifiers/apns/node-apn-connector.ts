import type { ClientHttp2Session } from 'node:http2';
import apn, { type ProviderOptions } from 'node-apn';
import { assertNever } from '../../domain/assert-never.js';
import type { ProviderEndpoint } from '../endpoint.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { createTlsContext, type TlsIdentity } from '../tls-context.js';
import type { PfxCredentials } from './pfx.js';

/**
 * The only file that knows the inside of node-apn. The library prepares and checks the credentials, signs provider
 * tokens and opens sessions; the requests themselves go through our own HTTP/2 client, because `Provider.send` loses
 * `Retry-After`, never replaces a dead connection, breaks requests at a GOAWAY and costs more than it needs to.
 * The inside was read in 8.1.0; the version is pinned, and a change of shape is found at construction.
 */
export interface ApnsConnector {
  openSession(): Promise<ClientHttp2Session>;
  /** Null in certificate mode. */
  readonly signer: TokenSigner | null;
  /** Stops the library's timers. Sessions belong to whoever opened them. */
  shutdown(): void;
}

/** Signs provider tokens (JWT, ES256) for one key. */
export interface TokenSigner {
  readonly current: string;
  /** Makes a new `current`. */
  regenerate(): void;
}

export type ApnsCredentials =
  | { readonly kind: 'token'; readonly key: string; readonly keyId: string; readonly teamId: string }
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | PfxCredentials;

interface LibraryToken {
  readonly generation: number;
  readonly current: string;
  regenerate(generation: number): void;
}

interface LibraryClient {
  readonly config: { address: string; port: number; token: LibraryToken | null };
  session?: ClientHttp2Session | null;
  connect(): Promise<void>;
}

/** The library probes only its newest session and acts on nothing that it finds; ours does that. */
const NEVER_MS = 2 ** 31 - 1;
const SESSION_MEMORY_MEGABYTES = 64;

export interface ConnectorOptions {
  readonly credentials: ApnsCredentials;
  readonly sandbox: boolean;
  /** Null: Apple's own, by `sandbox`. */
  readonly endpoint: ProviderEndpoint | null;
  readonly trustAnchors: string[] | undefined;
}

/** Fails with a text for the operator when the library refuses the credentials. */
export function connectNodeApn(options: ConnectorOptions): Result<ApnsConnector, string> {
  let provider: apn.Provider;
  try {
    provider = new apn.Provider(providerOptions(options));
  } catch (error) {
    return fail(refusalOf(error, options.credentials));
  }
  const client = insideOf(provider);
  if (options.endpoint !== null) {
    // Set afterwards: given at construction, any other host than Apple's counts as the sandbox.
    client.config.address = options.endpoint.host.includes(':')
      ? `[${options.endpoint.host}]`
      : options.endpoint.host;
    client.config.port = options.endpoint.port;
  }
  const token = client.config.token;
  return ok({
    openSession: () => openSession(client),
    signer: token === null ? null : createSigner(token),
    shutdown: () => {
      client.session = null; // the library would wait for it to close in good order, for ever if it is dead
      void provider.shutdown();
    },
  });
}

function providerOptions({ credentials, sandbox, trustAnchors }: ConnectorOptions): ProviderOptions {
  // Whatever the library does not know goes through to http2.connect().
  const options = {
    production: !sandbox,
    connectionRetryLimit: 0,
    heartBeat: NEVER_MS,
    secureContext: createTlsContext(trustAnchors, tlsIdentityOf(credentials)),
    maxSessionMemory: SESSION_MEMORY_MEGABYTES,
    settings: { enablePush: false },
    ...identityOf(credentials),
  };
  return options;
}

function tlsIdentityOf(credentials: ApnsCredentials): TlsIdentity {
  switch (credentials.kind) {
    case 'token':
      return {};
    case 'certificate':
      return { cert: credentials.certificate, key: credentials.key };
    case 'pfx': {
      const { pfx, passphrase } = credentials;
      return { pfx, ...(passphrase === null ? {} : { passphrase }) };
    }
    default:
      return assertNever(credentials);
  }
}

function identityOf(credentials: ApnsCredentials): ProviderOptions {
  if (credentials.kind !== 'token') return tlsIdentityOf(credentials);
  const { key, keyId, teamId } = credentials;
  return { token: { key, keyId, teamId } };
}

/** The library's complaints are good (wrong environment, expired); what it stumbles over is not. */
function refusalOf(error: unknown, credentials: ApnsCredentials): string {
  if (!(error instanceof Error) || error instanceof TypeError) return 'node-apn refused the credentials';
  return credentials.kind === 'pfx' ? `pfxFile: ${error.message}` : error.message;
}

function insideOf(provider: apn.Provider): LibraryClient {
  const { client } = provider as unknown as { client?: Partial<LibraryClient> };
  const token = client?.config?.token;
  const known =
    typeof client?.connect === 'function' &&
    typeof client.config?.address === 'string' &&
    (token === null || typeof token?.regenerate === 'function');
  if (!known) throw new TypeError('node-apn has another inside than 8.1.0: adapt node-apn-connector.ts');
  return client as LibraryClient;
}

async function openSession(client: LibraryClient): Promise<ClientHttp2Session> {
  await client.connect();
  const session = client.session;
  if (session === null || session === undefined) throw new TypeError('node-apn opened no session');
  // On GOAWAY the library destroys the session with the requests under way; on errors it waits for a session that is
  // gone. Our own listeners are added by whoever asked for the session, in the same turn.
  session.removeAllListeners('goaway');
  session.removeAllListeners('error');
  session.removeAllListeners('frameError');
  return session;
}

function createSigner(token: LibraryToken): TokenSigner {
  return {
    get current() {
      return token.current;
    },
    regenerate: () => token.regenerate(token.generation),
  };
}
