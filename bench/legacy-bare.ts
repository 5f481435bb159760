import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/domain/clock.js';
import { connectNodeApn } from '../src/notifiers/apns/node-apn-connector.js';
import { loadServiceAccount } from '../src/notifiers/firebase/service-account.js';
import { requestAccessToken } from '../src/notifiers/firebase/token-grant.js';
import { createTlsContext } from '../src/notifiers/tls-context.js';
import type { GroupKind, People } from './legacy-people.js';
import type { WorldFacts } from './world.js';

export interface BareClientSetup {
  readonly facts: WorldFacts;
  readonly people: People;
  readonly credentials: ProviderCredentials;
}

/** What requests carry to be let in. */
export interface ProviderCredentials {
  readonly apnsAuthorization: string;
  readonly fcmAuthorization: string;
  readonly projectId: string;
}

export interface BarePreparation {
  readonly groups: GroupKind;
  readonly count: number;
  /** Of a message before base64. */
  readonly bytes: number;
}

export interface LegacyBareCalls {
  readonly setup: [BareClientSetup, null];
  /** Who is in the groups, and what is sent to them. */
  readonly prepare: [BarePreparation, null];
  /** To what was prepared, so many groups per second; answers when all is answered: pushes that were taken. */
  readonly run: [number, number];
}

/** Signed, and asked for, as the server does it. */
export async function providerCredentials(facts: WorldFacts): Promise<ProviderCredentials> {
  const { p8Pem: key, keyId, teamId } = facts;
  const connector = connectNodeApn({
    credentials: { kind: 'token', key, keyId, teamId },
    sandbox: false,
    endpoint: null,
    trustAnchors: undefined,
  });
  if (!connector.ok || connector.value.signer === null) throw new Error('no provider token');
  const apnsAuthorization = `bearer ${connector.value.signer.current}`;
  connector.value.shutdown();

  const directory = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  try {
    const path = join(directory, 'firebase.json');
    writeFileSync(path, facts.serviceAccountJson);
    const account = loadServiceAccount(path);
    if (!account.ok) throw new Error(account.error);
    const tls = createTlsContext(undefined);
    const grant = await requestAccessToken({
      account: account.value,
      clock: systemClock,
      timeoutMs: 10_000,
      tls,
    });
    if (grant.kind !== 'granted') throw new Error('no access token');
    const { projectId } = account.value;
    return { apnsAuthorization, fcmAuthorization: `Bearer ${grant.accessToken}`, projectId };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
