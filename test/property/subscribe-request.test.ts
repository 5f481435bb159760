import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeByteField } from '../../src/codec/byte-field.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { BELDEX_PREFIX } from '../simulators/legacy-brands.js';
import { createTestService, VECTOR_NOW_SECONDS } from '../unit/http/harness.js';

const device = new SessionDevice('ios', undefined, undefined, 'test');
const valid = device.subscription(SessionAccount.user(), VECTOR_NOW_SECONDS);

/** A valid request with some fields replaced by anything, or gone. */
const damaged = fc
  .dictionary(fc.constantFrom(...Object.keys(valid), 'subaccount', 'subaccount_sig'), fc.jsonValue())
  .chain((changes) =>
    fc
      .subarray(Object.keys(valid))
      .map((gone) =>
        Object.fromEntries(Object.entries({ ...valid, ...changes }).filter(([name]) => !gone.includes(name))),
      ),
  );

function expectAnswer(answer: unknown): void {
  const fields = Object.keys(answer as object);
  expect([...fields].sort()).toEqual(fields);
  if ('error' in (answer as object)) {
    expect(answer).toEqual({ error: expect.any(Number) as number, message: expect.any(String) as string });
    expect(JSON.stringify(answer)).not.toContain('internal error');
  } else {
    expect(answer).toMatchObject({ success: true });
  }
}

describe('requests', () => {
  it('of arbitrary bytes are answered and never throw', async () => {
    const { service } = createTestService();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expectAnswer(await service.handle('subscribe', Buffer.from(bytes)));
      }),
      { numRuns: 300 },
    );
  });

  it('of arbitrary JSON are answered in kind: objects by objects, arrays by arrays', async () => {
    const { service } = createTestService();
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.constantFrom('subscribe' as const, 'unsubscribe' as const),
        async (value, kind) => {
          const answer = await service.handle(kind, Buffer.from(JSON.stringify(value)));
          expect(Array.isArray(answer)).toBe(Array.isArray(value));
          if (Array.isArray(value)) expect(answer).toHaveLength(value.length);
          for (const element of [answer].flat()) expectAnswer(element);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('with damaged fields are refused or taken, never an internal error', async () => {
    const { service } = createTestService();
    await fc.assert(
      fc.asyncProperty(damaged, async (request) => {
        expectAnswer(await service.handle('subscribe', Buffer.from(JSON.stringify(request))));
      }),
      { numRuns: 500 },
    );
  });
});

describe('accounts', () => {
  it('of users are taken with the one key that they are made of, in every network, and with no other', async () => {
    const { service } = createTestService();
    const seed = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.constantFrom(0x05, BELDEX_PREFIX),
        fc.nat(255),
        async (bytes, prefix, flip) => {
          const account = SessionAccount.user(bytes, prefix);
          const request = device.subscription(account, VECTOR_NOW_SECONDS);
          const ask = (changed: object): Promise<unknown> =>
            service.handle('subscribe', Buffer.from(JSON.stringify({ ...request, ...changed })));
          expect(await ask({})).toMatchObject({ success: true });
          const key = Buffer.from(account.key.publicKey);
          key[flip >> 3] = (key[flip >> 3] ?? 0) ^ (1 << (flip & 7));
          expect(await ask({ session_ed25519: key.toString('hex') })).toMatchObject({ error: 4 });
          const other = SessionAccount.user(bytes, prefix ^ 0x05 ^ BELDEX_PREFIX);
          expect(await ask({ pubkey: other.hex })).toEqual({
            error: 4,
            message: 'Signature verification failed',
          });
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('byte fields', () => {
  const field = fc
    .constantFrom(32, 33, 36, 64)
    .chain((count) =>
      fc.uint8Array({ minLength: count, maxLength: count }).map((bytes) => Buffer.from(bytes)),
    );

  it('come back from hex of either case and from base64 with any padding', () => {
    fc.assert(
      fc.property(field, fc.nat({ max: 5 }), (bytes, padding) => {
        const hex = bytes.toString('hex');
        const base64 = bytes.toString('base64').replaceAll('=', '');
        for (const text of [hex, hex.toUpperCase(), base64 + '='.repeat(padding)]) {
          expect(decodeByteField(text, bytes.length)).toEqual(bytes);
        }
      }),
    );
  });

  it('are of the wanted size or nothing', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 140 }),
        fc.constantFrom(32, 33, 36, 64),
        (text, count) => {
          const decoded = decodeByteField(text, count);
          expect(decoded === null || decoded.length === count).toBe(true);
        },
      ),
    );
  });
});
