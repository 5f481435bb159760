import { describe, expect, it } from 'vitest';
import {
  accountKeyProblem,
  monitorText,
  signatureProblem,
  unsubscribeText,
} from '../../../src/crypto/swarm-signature.js';
import { parseAccountId, type AccountId } from '../../../src/domain/ids.js';
import { SessionAccount, SigningKey } from '../../simulators/session-client.js';
import { sessionVectors } from '../http/vectors.js';

function accountId(hex: string): AccountId {
  const account = parseAccountId(Buffer.from(hex, 'hex'));
  if (account === null) throw new Error('no account');
  return account;
}

describe('the signed texts', () => {
  const valid = sessionVectors.signatures.filter((vector) => vector.expect_ok);
  it.each(valid.map((vector) => [vector.name, vector] as const))('vector: %s', (_name, vector) => {
    const request = vector.request as {
      pubkey: string;
      sig_ts: number;
      data?: boolean;
      namespaces?: number[];
    };
    const account = accountId(request.pubkey);
    const text =
      vector.endpoint === 'subscribe'
        ? monitorText(account, request.sig_ts, request.data ?? false, request.namespaces ?? [])
        : unsubscribeText(account, request.sig_ts);
    expect(text.toString()).toBe(vector.signed_message);
  });
});

describe('the key of an account', () => {
  const { alice, bob } = sessionVectors.keys;
  const aliceAccount = accountId(alice?.account_hex ?? '');
  const aliceKey = Buffer.from(alice?.ed25519_pub_hex ?? '', 'hex');
  const users = new Set([0x05, 0xbd]);
  const inNetwork = (prefix: number): AccountId =>
    accountId(Buffer.concat([Buffer.from([prefix]), aliceAccount.subarray(1)]).toString('hex'));

  it('converts to the account', () => {
    expect(accountKeyProblem(aliceAccount, aliceKey, users)).toBeNull();
  });

  it('of another account is a mismatch, what is no key cannot be converted', () => {
    const other = accountKeyProblem(aliceAccount, Buffer.from(bob?.ed25519_pub_hex ?? '', 'hex'), users);
    expect(other?.message).toContain('mismatch');
    for (const bad of [
      Buffer.alloc(32),
      Buffer.alloc(32, 0xff),
      Buffer.from([1, ...Buffer.alloc(31)]),
      Buffer.alloc(31),
    ]) {
      expect(accountKeyProblem(aliceAccount, bad, users)?.message).toContain('Failed to convert');
    }
  });

  it('is judged alike in every network, and belongs to users only', () => {
    expect(accountKeyProblem(inNetwork(0xbd), aliceKey, users)).toBeNull();
    expect(accountKeyProblem(inNetwork(0x03), aliceKey, users)?.message).toContain('mismatch');
    expect(accountKeyProblem(inNetwork(0xbd), null, users)?.message).toContain('Failed to convert');
    expect(accountKeyProblem(inNetwork(0x03), null, users)).toBeNull();
    // A network that is not served has no users here.
    expect(accountKeyProblem(inNetwork(0xbd), null, new Set([0x05]))).toBeNull();
  });
});

describe('a signature', () => {
  const group = SessionAccount.group();
  const account = accountId(group.hex);
  const text = unsubscribeText(account, 1_700_000_000);
  const signature = group.key.sign(text);
  const signer = { account, ed25519Key: null, subaccount: null, signature };

  it('is good for its text only', () => {
    expect(signatureProblem(signer, text)).toBeNull();
    expect(signatureProblem(signer, Buffer.concat([text, Buffer.from('0')]))?.code).toBe(4);
  });

  it('with bytes too many or too few is none, though the library would take it', () => {
    for (const bad of [
      Buffer.concat([signature, Buffer.alloc(1)]),
      signature.subarray(0, 63),
      Buffer.alloc(0),
    ]) {
      expect(signatureProblem({ ...signer, signature: bad }, text)?.message).toBe(
        'Signature verification failed',
      );
    }
  });

  it('under a subaccount is checked in the order: rights, prefix, tag, text', () => {
    const key = new SigningKey();
    const ask = (
      flags: number,
      prefix: number,
      tagSignature: Buffer | null,
      by: SigningKey,
    ): string | null => {
      const member = group.member(key, flags, prefix);
      const subaccount = { tag: member.tag, signature: tagSignature ?? member.tagSignature };
      return signatureProblem({ ...signer, subaccount, signature: by.sign(text) }, text)?.message ?? null;
    };
    const none = Buffer.alloc(64);
    const third = new SigningKey();
    expect(ask(2, 5, none, third)).toContain('read permission');
    expect(ask(1, 5, none, third)).toContain('mismatched network prefix');
    expect(ask(9, 5, none, third)).toBe('Subaccount auth signature verification failed');
    expect(ask(1, 3, Buffer.alloc(65), key)).toBe('Subaccount auth signature verification failed');
    expect(ask(1, 3, null, third)).toBe('Subaccount main signature verification failed');
    expect(ask(1, 3, null, key)).toBeNull();
    expect(ask(9, 5, null, key)).toBeNull();
  });
});
