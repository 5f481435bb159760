import { createHash } from 'node:crypto';
import type { RandomBytes } from '../crypto/sodium.js';
import type { UwpxAccountId, UwpxDeviceId } from './port.js';

/**
 * The account id of a client of the first generation, which names its accounts by their bare JID: nothing between the
 * two, no folding of case. UWPX itself makes its account ids this way. Source: spec uwpx-push, 5.2.
 */
export const accountIdOfBareJid = (deviceId: UwpxDeviceId, bareJid: string): UwpxAccountId =>
  sha256Hex(deviceId + bareJid) as UwpxAccountId;

/** The name under which the C++ server keeps the node of an account in Redis. Source: spec uwpx-push, 5.1. */
export const redisAccountKey = (deviceId: string, accountId: string): string =>
  sha256Hex(`${deviceId}_${accountId}`);

/** `localpart@domain`; a JID without local part is its domain. Source: RFC 7622, 3.1. */
export const domainOfBareJid = (bareJid: string): string => {
  const [address = ''] = bareJid.split('/', 1);
  return address.slice(address.indexOf('@') + 1);
};

const NODE_LENGTH = 15;
const SECRET_LENGTH = 32;

/** Node and secret of a new account: 89 and 190 bits. Source: spec uwpx-push, 5.3. */
export const createCredentials = (randomBytes: RandomBytes): { node: string; secret: string } => ({
  node: randomText(randomBytes, NODE_LENGTH),
  secret: randomText(randomBytes, SECRET_LENGTH),
});

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Bytes from here on would make some characters more likely than others. */
const UNBIASED_BYTES = 256 - (256 % alphabet.length);

function randomText(randomBytes: RandomBytes, length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length)) {
      if (byte < UNBIASED_BYTES) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}

const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');
