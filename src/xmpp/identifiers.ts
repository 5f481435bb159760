import { createHash } from 'node:crypto';
import type { RandomBytes } from '../crypto/sodium.js';

/**
 * How p2 names a device of an account, or a room that it joined from there: 40 hex digits. It travels to the phone,
 * which computes it for each of its accounts; the address itself is not stored. Source: spec xmpp-push, 6.3.
 */
export const p2Hash = (bareJid: string, deviceId: string): string =>
  createHash('sha1').update(`${bareJid}\0${deviceId}`).digest('hex');

/** 12 characters of base64, as p2's. */
export const newP2Node = (randomBytes: RandomBytes): string => randomBytes(9).toString('base64');

/** 24 characters of base64, as p2's. */
export const newP2Secret = (randomBytes: RandomBytes): string => randomBytes(18).toString('base64');

/** 64 hex digits: length and alphabet of the original's, but of real randomness. Source: spec xmpp-push, 5.3. */
export const newV1Secret = (randomBytes: RandomBytes): string => randomBytes(32).toString('hex');

/** Names one run of a command; never used again. */
export const newV1SessionId = (randomBytes: RandomBytes): string => randomBytes(18).toString('base64url');
