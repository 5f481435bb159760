import { createHash } from 'node:crypto';
import type { AccountId, EncryptionKey, ServiceId, ServiceName } from '../../src/domain/ids.js';
import type { Subscription } from '../../src/domain/subscription.js';

export const bytesOf = (label: string, length: number): Buffer =>
  createHash('shake256', { outputLength: length }).update(label).digest();

export const accountOf = (label: string, prefix = 0x05): AccountId =>
  Buffer.concat([Buffer.from([prefix]), bytesOf(`account ${label}`, 32)]) as AccountId;

export const tokenOf = (label: string): ServiceId =>
  bytesOf(`token ${label}`, 32).toString('hex') as ServiceId;

/** A well-formed subscription whose signature nobody will check; `changes` replaces fields. */
export function makeSubscription(label: string, changes: Partial<Subscription> = {}): Subscription {
  const account = changes.account ?? accountOf(label);
  return {
    account,
    service: 'apns' as ServiceName,
    serviceId: tokenOf(label),
    serviceData: null,
    namespaces: [0],
    wantData: true,
    encryptionKey: bytesOf(`key ${label}`, 32) as EncryptionKey,
    authorisation: {
      ed25519Key: account[0] === 0x05 ? bytesOf(`ed25519 ${label}`, 32) : null,
      subaccount: null,
      signature: bytesOf(`signature ${label}`, 64),
      signedAtSeconds: 1_700_000_000,
    },
    ...changes,
  };
}
