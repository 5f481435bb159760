import { badValue, type ClientError } from '../domain/errors.js';
import { isUserAccount, type AccountId, type UserPrefixes } from '../domain/ids.js';
import type { Subaccount } from '../domain/subscription.js';
import { ed25519ToX25519, verifyEd25519 } from './sodium.js';

/**
 * What a client signs to let us watch an account, and how it is checked. The same signature goes on to the storage
 * nodes, which check it again. Source: spec session-push-v2, section 6.
 */
export interface SwarmSigner {
  readonly account: AccountId;
  /** 32 bytes, present exactly for users' accounts. */
  readonly ed25519Key: Buffer | null;
  readonly subaccount: Subaccount | null;
  readonly signature: Buffer;
}

const FLAG_READ = 1;
const FLAG_ANY_PREFIX = 8;
const TAG_BYTES = 36;
const TAG_KEY_OFFSET = 4;

/** Rebuilt from decoded values, so it does not depend on the encoding that the request used. */
export function monitorText(
  account: AccountId,
  signedAtSeconds: number,
  wantData: boolean,
  namespaces: readonly number[],
): Buffer {
  return Buffer.from(
    `MONITOR${account.toString('hex')}${signedAtSeconds}${wantData ? '1' : '0'}${namespaces.join(',')}`,
    'latin1',
  );
}

export function unsubscribeText(account: AccountId, signedAtSeconds: number): Buffer {
  return Buffer.from(`UNSUBSCRIBE${account.toString('hex')}${signedAtSeconds}`, 'latin1');
}

/**
 * 4.2 step 6: a user's account is its prefix and the X25519 form of its Ed25519 key, in every network (spec bchat-push,
 * section 4). Nothing to check for other accounts.
 */
export function accountKeyProblem(
  account: AccountId,
  ed25519Key: Buffer | null,
  userPrefixes: UserPrefixes,
): ClientError | null {
  const isUser = isUserAccount(account, userPrefixes);
  if (ed25519Key === null) return isUser ? notConvertible : null;
  const x25519Key = ed25519ToX25519(ed25519Key);
  if (x25519Key === null) return notConvertible;
  return isUser && x25519Key.equals(account.subarray(1)) ? null : mismatch;
}

/**
 * null when the text is signed as it must be. With a subaccount the account key signs the tag and the key in the tag
 * signs the text. `accountKeyProblem` must have been asked before: the key is taken as the account's.
 */
export function signatureProblem(signer: SwarmSigner, text: Buffer): ClientError | null {
  const accountKey = signer.ed25519Key ?? signer.account.subarray(1);
  if (signer.subaccount === null) {
    return verifyEd25519(signer.signature, text, accountKey)
      ? null
      : badValue('Signature verification failed');
  }
  const { tag, signature: tagSignature } = signer.subaccount;
  const flags = tag[1] ?? 0;
  if ((flags & FLAG_READ) === 0) {
    return badValue('Invalid subaccount: this subaccount does not have read permission');
  }
  if ((flags & FLAG_ANY_PREFIX) === 0 && tag[0] !== signer.account[0]) {
    return badValue('Invalid subaccount: subaccount and main account have mismatched network prefix');
  }
  if (tag.length !== TAG_BYTES || !verifyEd25519(tagSignature, tag, accountKey)) {
    return badValue('Subaccount auth signature verification failed');
  }
  return verifyEd25519(signer.signature, text, tag.subarray(TAG_KEY_OFFSET))
    ? null
    : badValue('Subaccount main signature verification failed');
}

const notConvertible = badValue('Failed to convert session_ed25519 to x25519 pubkey');
const mismatch = badValue(
  'account_id/session_ed25519 mismatch: session_ed25519 does not convert to given account_id',
);
