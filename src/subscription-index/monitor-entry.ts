import { USER_PREFIX } from '../domain/ids.js';
import type { Subscription } from '../domain/subscription.js';

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
const SIGNATURE_KEY = ascii('1:s64:');
const ED25519_KEY = ascii('1:P32:');
const ACCOUNT_KEY = ascii('1:p33:');
const TAG_SIGNATURE_KEY = ascii('1:S64:');
const TAG_KEY = ascii('1:T36:');

/**
 * The bencoded dict with which `monitor.messages` subscribes to one account, in the key order that storage servers
 * require: P S T d n p s t. Source: spec storage-server, 4.1.
 */
export function encodeMonitorEntry(subscription: Subscription): Buffer {
  const { authorisation, account } = subscription;
  const isUser = account[0] === USER_PREFIX;
  const parts: Buffer[] = [ascii('d')];
  if (isUser) {
    if (authorisation.ed25519Key === null) throw new TypeError('a user account needs its Ed25519 key');
    parts.push(ED25519_KEY, authorisation.ed25519Key);
  }
  if (authorisation.subaccount !== null) {
    parts.push(TAG_SIGNATURE_KEY, authorisation.subaccount.signature, TAG_KEY, authorisation.subaccount.tag);
  }
  let middle = subscription.wantData ? '1:di1e1:nl' : '1:nl';
  for (const namespace of subscription.namespaces) middle += `i${namespace}e`;
  parts.push(ascii(`${middle}e`));
  if (!isUser) parts.push(ACCOUNT_KEY, account);
  parts.push(SIGNATURE_KEY, authorisation.signature, ascii(`1:ti${authorisation.signedAtSeconds}ee`));
  return Buffer.concat(parts);
}

/** Where the 36 bytes of the subaccount tag begin in an entry that has one. */
export const tagOffset = (isUser: boolean): number =>
  1 + (isUser ? ED25519_KEY.length + 32 : 0) + TAG_SIGNATURE_KEY.length + 64 + TAG_KEY.length;
