import { createHash } from 'node:crypto';
import { keyText, type DeviceKey } from '../xmpp-devices/device.js';
import type { DeviceChange, DeviceOffer } from '../xmpp-devices/port.js';
import { bigintArray, booleanArray, byteaArray, textArray } from './binary-arrays.js';
import { StoreQueryError } from './errors.js';
import type { Parameter } from './statement.js';

/** `character_not_in_repertoire`: what PostgreSQL itself says of a zero byte. */
const NOT_TEXT = '22021';

/** PostgreSQL holds no zero byte, and UTF-8 no half of a surrogate pair: it would silently become another character. */
const unstorable = /[\0\p{Surrogate}]/u;
export const isStorable = (text: string): boolean => !unstorable.test(text);

/** Under which a device is found: its key may be too long for an index. */
export const keyHashOf = (key: DeviceKey): Buffer => createHash('sha256').update(keyText(key)).digest();

export const keyOfChange = (change: DeviceChange): DeviceKey =>
  change.kind === 'register' ? change.offer.key : change.key;

/** Alone, before it joins others in a statement. */
export function checkChange(change: DeviceChange, statement: string): void {
  if (!textsOf(change).every((text) => text === null || isStorable(text))) {
    throw new StoreQueryError(statement, NOT_TEXT, null);
  }
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
    bigintArray(batch.map((change) => (change.kind === 'token-died' ? Math.ceil(change.sinceMs) : 0))),
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

function textsOf(change: DeviceChange): readonly (string | null)[] {
  const offer: DeviceOffer | null = change.kind === 'register' ? change.offer : null;
  return [
    keyText(keyOfChange(change)),
    typeOf(change),
    tokenOf(change),
    offer?.node ?? null,
    offer?.accountDomain ?? null,
  ];
}
