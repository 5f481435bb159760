import { createECDH } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import webpush from 'web-push';
import { encryptWebPush, parseWebPushKeys, WEB_PUSH_PLAINTEXT_MAX_BYTES } from '../../src/crypto/web-push.js';
import { documentedAnswers, judgeAnswer, parseAnswer } from '../../src/notifiers/webpush/answers.js';
import { decodeSubscriberData, encodeSubscriberData } from '../../src/notifiers/webpush/subscriber-data.js';
import { createWebPushReceiver } from '../simulators/web-push-receiver.js';

/** What the package `web-push` encrypts with; it comes without types. */
interface HttpEce {
  decrypt(body: Buffer, parameters: Readonly<Record<string, unknown>>): Buffer;
}
const require = createRequire(import.meta.url);
const ece = createRequire(require.resolve('web-push'))('http_ece') as HttpEce;

const plaintexts = fc.uint8Array({ maxLength: WEB_PUSH_PLAINTEXT_MAX_BYTES, size: 'max' });
const few = { numRuns: 60 };

describe('Web Push encryption', () => {
  it('is opened by the package web-push', () => {
    const pair = createECDH('prime256v1');
    const p256dh = pair.generateKeys();
    fc.assert(
      fc.property(plaintexts, fc.uint8Array({ minLength: 16, maxLength: 16 }), (text, auth) => {
        const keys = parseWebPushKeys(p256dh, Buffer.from(auth));
        if (keys === null) throw new Error('good keys were refused');
        const body = encryptWebPush(Buffer.from(text), keys);
        const opened = ece.decrypt(body, {
          version: 'aes128gcm',
          privateKey: pair,
          authSecret: Buffer.from(auth).toString('base64url'),
        });
        expect(opened.equals(text)).toBe(true);
      }),
      few,
    );
  });

  it('has a receiver in our tests that opens what the package web-push makes', () => {
    const receiver = createWebPushReceiver();
    const vapidDetails = { subject: 'mailto:ops@example.org', ...webpush.generateVAPIDKeys() };
    const keys = { p256dh: receiver.p256dh.toString('base64url'), auth: receiver.auth.toString('base64url') };
    fc.assert(
      fc.property(plaintexts, (text) => {
        const { body } = webpush.generateRequestDetails(
          { endpoint: 'https://push.example.org/1', keys },
          Buffer.from(text),
          { vapidDetails, contentEncoding: 'aes128gcm' },
        );
        // The package sends no body at all for an empty payload.
        if (text.length > 0) expect(receiver.open(body).equals(text)).toBe(true);
      }),
      few,
    );
  });

  it('cannot be opened by anybody else, nor when one bit was changed', () => {
    const receiver = createWebPushReceiver();
    const other = createWebPushReceiver();
    const keys = parseWebPushKeys(receiver.p256dh, receiver.auth);
    if (keys === null) throw new Error('good keys were refused');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(7), (text, at, bit) => {
        const body = encryptWebPush(Buffer.from(text), keys);
        expect(() => other.open(body)).toThrow();
        const index = at % body.length;
        body[index] = (body[index] ?? 0) ^ (1 << bit);
        // The record size is not authenticated; a single record does not need it.
        if (index < 16 || index >= 20) expect(() => receiver.open(body)).toThrow();
      }),
      few,
    );
  });

  it('takes any bytes as keys without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 20 }), (point, auth) => {
        expect(parseWebPushKeys(Buffer.from(point), Buffer.from(auth))).toBeNull();
      }),
    );
  });
});

describe('service data of webpush', () => {
  /** The beginning of a hash; zeros stand for no key. */
  const keyIds = fc.uint8Array({ minLength: 8, maxLength: 8 }).filter((id) => id.some((byte) => byte !== 0));

  it('comes back as it was, also without what an app of UnifiedPush did not give', () => {
    const { p256dh, auth } = createWebPushReceiver();
    fc.assert(
      fc.property(fc.boolean(), fc.option(keyIds), (hasKeys, id) => {
        const subscriber = {
          keys: hasKeys ? { p256dh, auth } : null,
          vapidKeyId: id === null ? null : Buffer.from(id),
        };
        expect(decodeSubscriberData(encodeSubscriberData(subscriber))).toEqual(subscriber);
      }),
    );
  });

  it('is nothing when it is anything else', () => {
    const vapidKeyId = Buffer.alloc(8, 1);
    const good = encodeSubscriberData({ keys: createWebPushReceiver(), vapidKeyId }) ?? Buffer.alloc(0);
    expect(good.length).toBe(90);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 10, maxLength: 200 }), (data) => {
        expect(decodeSubscriberData(Buffer.from(data))).toBeNull();
      }),
    );
    for (const data of [good.subarray(1), good.subarray(0, -1), Buffer.concat([good, good])]) {
      expect(decodeSubscriberData(data)).toBeNull();
    }
    const offCurve = Buffer.from(good);
    offCurve[89] = (offCurve[89] ?? 0) ^ 1;
    expect(decodeSubscriberData(offCurve)).toBeNull();
    const laterVersion = Buffer.from(good);
    laterVersion[0] = 2;
    expect(decodeSubscriberData(laterVersion)).toBeNull();
  });
});

describe('whatever a push service answers', () => {
  const words = new Set(documentedAnswers.map((key) => key.split(' ')[1]));
  const deliveries = { originDelivers: () => false, anybodyDelivers: () => false };
  const bodies = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ reason: fc.oneof(fc.anything(), fc.constantFrom('constructor', '__proto__', 'BadTtl')) })
      .map((body) => JSON.stringify(body)),
    fc.record({ errno: fc.oneof(fc.anything(), fc.integer()), message: fc.anything() }).map(stringify),
  );

  it('there is an outcome, and its reason is a documented word or the status', () => {
    const headers = fc.dictionary(fc.constantFrom('x-wns-status', 'retry-after', '__proto__'), fc.string());
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 999 }), headers, bodies, (status, given, body) => {
        const answer = parseAnswer('push.example.org', status, given, body, null);
        const { outcome } = judgeAnswer(answer, deliveries);
        if (outcome.kind === 'delivered') {
          expect(status >= 200 && status < 300).toBe(true);
          return;
        }
        expect(outcome.kind).not.toBe('misconfigured'); // a stranger cannot stop the notifier
        expect(words.has(outcome.reason) || outcome.reason === `http-${status}`).toBe(true);
        if (outcome.kind === 'retry') expect([outcome.cause, outcome.scope]).toEqual(['server', 'push']);
      }),
    );
  });
});

/** Some things that fast-check makes have no JSON. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '{';
  }
}
