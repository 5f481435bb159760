import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { createAuthority, createServiceAccount, createTokenKey } from './certificates.js';
import { startApnsStandIn, type ApnsStandIn } from './providers/apns-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from './providers/fcm-stand-in.js';
import { OauthStandIn } from './providers/oauth-stand-in.js';
import type { SessionAccount, SessionDevice } from './session-client.js';
import {
  startStorageNetwork,
  type StorageNetwork,
  type StorageNetworkOptions,
} from './storage-network/network.js';
import type { StoredMessage } from './storage-network/stored-message.js';

export interface WorldOptions {
  readonly network?: StorageNetworkOptions;
  readonly databaseUrl?: string;
  /** Keep every push for the test to look at. Default true. */
  readonly record?: boolean;
  /** Merged over the sections of the configuration file. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Everything around the server: a network, Apple, Google, and a configuration file that points at them. */
export interface World {
  readonly directory: string;
  readonly configFile: string;
  readonly network: StorageNetwork;
  readonly apns: ApnsStandIn;
  readonly fcm: FcmStandIn;
  /** The key that clients seal onion requests for; the server has made it at its first start. */
  onionPublicKey(): Promise<Buffer>;
  close(): Promise<void>;
}

export const TOPIC = 'com.loki-project.loki-messenger';

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-world-'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const tokenKey = createTokenKey();
  const record = options.record ?? true;
  const oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri);
  oauth.trust(account);
  const apns = await startApnsStandIn({ certificate, topic: TOPIC, tokenKey, record });
  const { isAccessTokenGood } = oauth;
  const fcm = await startFcmStandIn({ certificate, projectId: account.projectId, isAccessTokenGood, record });
  const network = await startStorageNetwork(options.network);

  await writeFile(join(directory, 'ca.pem'), authority.certPem);
  await writeFile(join(directory, 'apns.p8'), tokenKey.p8Pem);
  await writeFile(join(directory, 'firebase.json'), account.json);
  const more = options.config ?? {};
  const sections: Record<string, Record<string, unknown>> = {
    http: { port: 0 },
    admin: { port: 0 },
    database: options.databaseUrl === undefined ? { dataDir: 'data' } : { url: options.databaseUrl },
    keys: { server: 'keys/server.x25519', onion: ['keys/onion.x25519'] },
    session: { oxend: network.oxendAddress },
    notifiers: {
      apns: {
        type: 'apns',
        topic: TOPIC,
        sandbox: false,
        keyFile: 'apns.p8',
        keyId: tokenKey.keyId,
        teamId: tokenKey.teamId,
        endpoint: apns.endpoint,
        caFile: 'ca.pem',
      },
      firebase: {
        type: 'firebase',
        serviceAccountFile: 'firebase.json',
        endpoint: fcm.endpoint,
        caFile: 'ca.pem',
      },
    },
    log: { level: 'info' },
  };
  for (const [name, section] of Object.entries(more)) sections[name] = { ...sections[name], ...section };
  const configFile = join(directory, 'waggle.yaml');
  await writeFile(configFile, stringify(sections));

  return {
    directory,
    configFile,
    network,
    apns,
    fcm,
    async onionPublicKey() {
      const key = await readKeyFile(join(directory, 'keys/onion.x25519'));
      if (!key.ok) throw new Error(key.error.message);
      return key.value.publicKey;
    },
    async close() {
      network.close();
      await Promise.all([apns.close(), fcm.close(), oauth.close()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A message as a client leaves it at the swarm; its hash is as random as a real one. */
export function makeMessage(
  account: SessionAccount | Buffer,
  text: string | Buffer,
  namespace = 0,
): StoredMessage {
  const nowMs = Date.now();
  return {
    account: Buffer.isBuffer(account) ? account : account.id,
    namespace,
    hash: randomBytes(32).toString('base64').replace('=', ''),
    data: Buffer.from(text),
    timestampMs: nowMs,
    expiryMs: nowMs + 14 * 24 * 3600 * 1000,
  };
}

export const nowInSeconds = (): number => Math.floor(Date.now() / 1000);

/** Posts a plain subscribe or unsubscribe as the device's platform writes it. */
export async function postPlain(
  httpAddress: string,
  path: '/subscribe' | '/unsubscribe',
  device: SessionDevice,
  requests: readonly Record<string, unknown>[],
): Promise<unknown> {
  const answer = await fetch(httpAddress + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: new Uint8Array(device.body(requests)),
  });
  return answer.json();
}
