import { createHash } from 'node:crypto';
import { SERVICE_DATA_MAX_BYTES, SERVICE_ID_MAX_BYTES } from '../domain/ids.js';
import { keyText, type DeviceKey } from '../xmpp-devices/device.js';
import type { DeviceChange } from '../xmpp-devices/port.js';
import { bigintArray, booleanArray, byteaArray, textArray } from './binary-arrays.js';
import type { Parameter } from './statement.js';
import { refuseUnstorable, type BoundedValue } from './storable.js';

/** As the table's CHECKs. */
const NODE_MAX_BYTES = 4096;
const P2_MAX_BYTES = 1024;
const TYPE_MAX_BYTES = 100;
const SHA256_BYTES = 32;
const SEALED_MAX_BYTES = 1024;
const DOMAIN_MAX_BYTES = 4096;

/** Under which a device is found: its key may be too long for an index. */
export const keyHashOf = (key: DeviceKey): Buffer => createHash('sha256').update(keyText(key)).digest();

export const keyOfChange = (change: DeviceChange): DeviceKey =>
  change.kind === 'register' ? change.offer.key : change.key;

/** Throws `StoreQueryError` for what the table cannot hold: alone, before it shares a statement with others. */
export function checkChange(change: DeviceChange, statement: string): void {
  const key = keyOfChange(change);
  const ofKey: BoundedValue[] =
    key.kind === 'v1'
      ? [[key.node, 1, NODE_MAX_BYTES]]
      : [
          [key.device, 1, P2_MAX_BYTES],
          [key.channel, 0, P2_MAX_BYTES],
        ];
  const offer = change.kind === 'register' ? change.offer : null;
  refuseUnstorable(statement, [
    ...ofKey,
    [offer === null || key.kind === 'v1' ? null : offer.node, 1, P2_MAX_BYTES],
    [typeOf(change), 1, TYPE_MAX_BYTES],
    [tokenOf(change), 1, SERVICE_ID_MAX_BYTES],
    [offer?.serviceData ?? null, 0, SERVICE_DATA_MAX_BYTES],
    [offer?.secretHash ?? null, SHA256_BYTES, SHA256_BYTES],
    [offer?.sealedSecret ?? null, 1, SEALED_MAX_BYTES],
    [offer?.accountDomain ?? null, 0, DOMAIN_MAX_BYTES],
  ]);
}

/** As `changeDevices` takes them. */
export function changeParameters(batch: readonly DeviceChange[]): Parameter[] {
  const keys = batch.map(keyOfChange);
  const offers = batch.map((change) => (change.kind === 'register' ? change.offer : null));
  return [
    textArray(batch.map(({ kind }) => kind)),
    byteaArray(keys.map(keyHashOf)),
    textArray(offers.map((offer) => offer && nodeOf(offer.key, offer.node))),
    textArray(keys.map((key) => (key.kind === 'p2' ? key.device : null))),
    textArray(keys.map((key) => (key.kind === 'p2' ? key.channel : null))),
    textArray(batch.map(typeOf)),
    textArray(batch.map(tokenOf)),
    byteaArray(offers.map((offer) => offer?.serviceData ?? null)),
    byteaArray(offers.map((offer) => offer?.secretHash ?? null)),
    byteaArray(offers.map((offer) => offer?.sealedSecret ?? null)),
    textArray(offers.map((offer) => offer?.accountDomain ?? null)),
    booleanArray(batch.map((change) => change.kind === 'register' && change.replacesSecret)),
    // Strictly before: of whole milliseconds, before the next whole one.
    bigintArray(
      batch.map((change) =>
        change.kind === 'token-died' ? Math.min(Math.ceil(change.sinceMs), Number.MAX_SAFE_INTEGER) : 0,
      ),
    ),
    bigintArray(batch.map((change) => (change.kind === 'restore' ? 0 : Math.floor(change.nowMs)))),
  ];
}

/** What a client chose is the key; the table holds it once. */
export const nodeOf = (key: DeviceKey, node: string): string => (key.kind === 'v1' ? key.node : node);

function typeOf(change: DeviceChange): string | null {
  switch (change.kind) {
    case 'register':
      return change.offer.type;
    case 'unregister':
      return change.type;
    case 'token-died':
    case 'restore':
      return null;
  }
}

function tokenOf(change: DeviceChange): string | null {
  switch (change.kind) {
    case 'register':
      return change.offer.token;
    case 'token-died':
      return change.token;
    case 'unregister':
    case 'restore':
      return null;
  }
}
