import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import {
  accountIdOfBareJid,
  createCredentials,
  domainOfBareJid,
  redisAccountKey,
} from '../../../src/uwpx/identifiers.js';
import type { UwpxDeviceId } from '../../../src/uwpx/port.js';

interface HashVector {
  readonly device_id: UwpxDeviceId;
  readonly bare_jid: string;
  readonly account_id: string;
  readonly sha256_hex: string;
}
const { uwpx: vectors } = JSON.parse(
  readFileSync(new URL('../../vectors/xmpp-push.json', import.meta.url), 'utf8'),
) as { uwpx: Record<'account_id_hash' | 'v1_bare_jid_hash' | 'redis_account_key', HashVector> };

describe('identifiers', () => {
  it('are hashed as the clients and servers of all generations do', () => {
    for (const vector of [vectors.account_id_hash, vectors.v1_bare_jid_hash]) {
      expect(accountIdOfBareJid(vector.device_id, vector.bare_jid)).toBe(vector.sha256_hex);
    }
    const { device_id: deviceId, account_id: accountId, sha256_hex: key } = vectors.redis_account_key;
    expect(redisAccountKey(deviceId, accountId)).toBe(key);
  });

  it('know the domain of a JID', () => {
    expect(domainOfBareJid('someClient@xmpp.uwpx.org')).toBe('xmpp.uwpx.org');
    expect(domainOfBareJid('xmpp.uwpx.org')).toBe('xmpp.uwpx.org');
    expect(domainOfBareJid('a@b.example/with@resource')).toBe('b.example');
  });
});

describe('credentials', () => {
  it('are 15 and 32 characters, of which each is as likely as any other', () => {
    const randomBytes = createRandomBytes();
    const counts = new Map<string, number>();
    for (let round = 0; round < 2_000; round += 1) {
      const { node, secret } = createCredentials(randomBytes);
      if (round < 50) expect(`${node} ${secret}`).toMatch(/^[0-9A-Za-z]{15} [0-9A-Za-z]{32}$/);
      for (const character of node + secret) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    // 94,000 draws of 62: 1,516 of each, give or take 39; here more than seven times that.
    expect(counts.size).toBe(62);
    for (const count of counts.values()) expect(Math.abs(count - 1516)).toBeLessThan(290);
  });

  it('are drawn again where a byte would favour some characters', () => {
    const draws = [Buffer.alloc(15, 255), Buffer.alloc(15, 247), Buffer.alloc(32, 0)];
    const { node, secret } = createCredentials(() => draws.shift() ?? Buffer.alloc(0));
    expect(node).toBe('z'.repeat(15));
    expect(secret).toBe('0'.repeat(32));
  });
});
