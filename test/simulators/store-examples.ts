import { createHash } from 'node:crypto';
import {
  parseAccountId,
  parseEncryptionKey,
  parseServiceId,
  parseServiceName,
} from '../../src/domain/ids.js';
import type { AccountId, EncryptionKey, ServiceId, ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Subscription } from '../../src/domain/subscription.js';

const bytesOf = (seed: string, length: number): Buffer =>
  createHash('shake256', { outputLength: length }).update(seed).digest();

function sure<Value>(value: Value | null): Value {
  if (value === null) throw new Error('a bad example');
  return value;
}

export const accountOf = (seed: string): AccountId => sure(parseAccountId(bytesOf(`account ${seed}`, 33)));
export const encryptionKeyOf = (seed: string): EncryptionKey =>
  sure(parseEncryptionKey(bytesOf(`key ${seed}`, 32)));
export const serviceIdOf = (seed: string): ServiceId =>
  sure(parseServiceId(bytesOf(`id ${seed}`, 32).toString('hex')));
export const serviceNamed = (name: string): ServiceName => sure(parseServiceName(name));

/** A subscription that differs from every other seed's; bytes are random-looking, signatures are not valid ones. */
export function exampleSubscription(
  seed: string,
  changes: Partial<Subscription> = {},
  signedAtSeconds = 1_700_000_000,
): Subscription {
  return {
    account: accountOf(seed),
    service: serviceNamed('apns'),
    serviceId: serviceIdOf(seed),
    namespaces: [0, 2, 3, 4, 5],
    wantData: true,
    encryptionKey: encryptionKeyOf(seed),
    serviceData: null,
    authorisation: {
      ed25519Key: bytesOf(`ed25519 ${seed}`, 32),
      subaccount: null,
      signature: bytesOf(`signature ${seed}`, 64),
      signedAtSeconds,
    },
    ...changes,
  };
}

export function examplePush(seed: string, changes: Partial<Push> = {}): Push {
  return {
    service: serviceNamed('apns'),
    account: accountOf(seed),
    device: { serviceId: serviceIdOf(seed), serviceData: null },
    content: { kind: 'sealed', payload: bytesOf(`payload ${seed}`, 296) },
    priority: 'high',
    expiresAtMs: Date.now() + 3_600_000,
    dedupeKey: bytesOf(`dedupe ${seed}`, 16),
    receivedAtMs: Date.now(),
    attempts: 0,
    outboxId: null,
    ...changes,
  };
}
