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
 *
 * A user's account goes out as its Ed25519 key alone: the node puts its network's prefix before the X25519 form of it.
 * The Beldex node that is published today puts 05 there like Session's (spec bchat-push, section 5, 4): it refuses the
 * signatures of `bd` accounts (errcode 5) until it is mended. There is no other form in which it would take them.
 */
export function encodeMonitorEntry(subscription: Subscription): Buffer {
  const { authorisation, account } = subscription;
  const { ed25519Key } = authorisation;
  const parts: Buffer[] = [ascii('d')];
  if (ed25519Key !== null) parts.push(ED25519_KEY, ed25519Key);
  if (authorisation.subaccount !== null) {
    parts.push(TAG_SIGNATURE_KEY, authorisation.subaccount.signature, TAG_KEY, authorisation.subaccount.tag);
  }
  let middle = subscription.wantData ? '1:di1e1:nl' : '1:nl';
  for (const namespace of subscription.namespaces) middle += `i${namespace}e`;
  parts.push(ascii(`${middle}e`));
  if (ed25519Key === null) parts.push(ACCOUNT_KEY, account);
  parts.push(SIGNATURE_KEY, authorisation.signature, ascii(`1:ti${authorisation.signedAtSeconds}ee`));
  return Buffer.concat(parts);
}

/** Where the 36 bytes of the subaccount tag begin in an entry that has one. */
export const tagOffset = (hasEd25519Key: boolean): number =>
  1 + (hasEd25519Key ? ED25519_KEY.length + 32 : 0) + TAG_SIGNATURE_KEY.length + 64 + TAG_KEY.length;
