import { readKeyFile, readOrCreateKeyFile } from '../crypto/key-file.js';
import type { X25519KeyPair } from '../crypto/x25519.js';
import { acquireInstanceLock } from '../lifecycle/lock.js';
import { StartError } from './start-error.js';
import type { Surroundings } from './surroundings.js';

export interface Identity {
  /** Towards storage nodes and oxend. */
  readonly server: X25519KeyPair;
  /** Towards clients; several are tried in turn. */
  readonly onion: readonly X25519KeyPair[];
  /** Of these hosts (lower case) this one is tried first. */
  readonly onionByHost: ReadonlyMap<string, X25519KeyPair>;
  /** 32 bytes that seal the secrets of XMPP and UWPX devices; null where none are served. */
  readonly registrations: Buffer | null;
}

/**
 * Who we are. Keys that are missing are made, at the first start. Two processes with one server key would silence each
 * other at the storage nodes (spec oxenmq, 1.2), so a second one does not start.
 */
export async function openIdentity(around: Surroundings): Promise<Identity> {
  const { keys, xmpp, uwpx } = around.config;
  const server = await openKey(keys.server, around);
  const onion = await Promise.all(keys.onion.map((path) => openKey(path, around)));
  const onionByHost = new Map<string, X25519KeyPair>();
  for (const { host, path } of keys.onionByHost) onionByHost.set(host, await openOldKey(path));
  const isSealing = xmpp.enabled || uwpx.enabled;
  const registrations = isSealing ? await openSecret(keys.registrations, around) : null;
  const lock = await acquireInstanceLock(keys.server);
  if (!lock.ok) throw new StartError(`another process uses the key ${keys.server}`);
  around.parts.add(() => lock.value.release());
  return { server, onion, onionByHost, registrations };
}

async function openKey(path: string, { randomBytes, log }: Surroundings): Promise<X25519KeyPair> {
  const opened = await readOrCreateKeyFile(path, randomBytes);
  if (!opened.ok) throw new StartError(opened.error.message);
  const { pair, created } = opened.value;
  if (created) log.info({ file: path, publicKey: pair.publicKey.toString('hex') }, 'made a new key');
  return pair;
}

/** A key without a public half, in a file of the same form. */
async function openSecret(path: string, { randomBytes, log }: Surroundings): Promise<Buffer> {
  const opened = await readOrCreateKeyFile(path, randomBytes);
  if (!opened.ok) throw new StartError(opened.error.message);
  const { pair, created } = opened.value;
  if (created) log.info({ file: path }, 'made a new key');
  return pair.secretKey;
}

/** A key that clients know already: a new one in its place would be of use to none of them. */
async function openOldKey(path: string): Promise<X25519KeyPair> {
  const read = await readKeyFile(path);
  if (!read.ok) throw new StartError(`keys.onionByHost: ${read.error.message}`);
  return read.value;
}
