import { createECDH, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  generateVapidKey,
  parseVapidKey,
  signEs256Token,
  vapidKeyPem,
} from '../../../src/crypto/vapid-key.js';
import {
  encodeAes128gcm,
  encryptWebPush,
  isP256PublicKey,
  parseWebPushKeys,
  WEB_PUSH_BODY_MAX_BYTES,
  WEB_PUSH_PLAINTEXT_MAX_BYTES,
  type WebPushKeys,
} from '../../../src/crypto/web-push.js';
import { createWebPushReceiver, openRecords } from '../../simulators/web-push-receiver.js';

const bytes = (base64url: string): Buffer => Buffer.from(base64url.replace(/\s/g, ''), 'base64url');

/** RFC 8291, section 5 and appendix A. */
const example = {
  plaintext: 'When I grow up, I want to be a watermelon',
  receiverSecret: bytes('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'),
  receiverPublic: bytes(
    'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  ),
  auth: bytes('BTBZMqHH6r4Tts7J_aSIgg'),
  salt: bytes('DGv6ra1nlYgDCS1FRnbzlw'),
  senderSecret: bytes('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'),
  body: bytes(`DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml
    mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT
    pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN`),
};

function keysOf(p256dh: Buffer, auth: Buffer): WebPushKeys {
  const keys = parseWebPushKeys(p256dh, auth);
  if (keys === null) throw new Error('bad keys in a test');
  return keys;
}

describe('a push message', () => {
  it('is that of RFC 8291, section 5', () => {
    const body = encryptWebPush(
      Buffer.from(example.plaintext),
      keysOf(example.receiverPublic, example.auth),
      { salt: example.salt, secretKey: example.senderSecret },
    );
    expect(body.toString('base64url')).toBe(example.body.toString('base64url'));
  });

  it('has a fresh key and a fresh salt each time', () => {
    const keys = keysOf(example.receiverPublic, example.auth);
    const bodies = Array.from({ length: 20 }, () => encryptWebPush(Buffer.from('x'), keys));
    const heads = new Set(bodies.map((body) => body.toString('hex', 0, 16)));
    const senders = new Set(bodies.map((body) => body.toString('hex', 21, 86)));
    expect([heads.size, senders.size]).toEqual([20, 20]);
  });

  it('of the longest plaintext has 4096 bytes; a longer one is a bug of the caller', () => {
    const receiver = createWebPushReceiver();
    const keys = keysOf(receiver.p256dh, receiver.auth);
    const longest = randomBytes(WEB_PUSH_PLAINTEXT_MAX_BYTES);
    const body = encryptWebPush(longest, keys);
    expect(body).toHaveLength(WEB_PUSH_BODY_MAX_BYTES);
    expect(receiver.open(body)).toEqual(longest);
    expect(() => encryptWebPush(Buffer.alloc(WEB_PUSH_PLAINTEXT_MAX_BYTES + 1), keys)).toThrow(RangeError);
  });
});

describe('the content coding aes128gcm', () => {
  /** RFC 8188, 3.1. */
  const walrus = {
    inputKey: bytes('yqdlZ-tYemfogSmv7Ws5PQ'),
    salt: bytes('I1BsxtFttlv3u_Oo94xnmw'),
    body: bytes('I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg'),
  };

  it('is that of RFC 8188, section 3.1', () => {
    const body = encodeAes128gcm(
      Buffer.from('I am the walrus'),
      walrus.inputKey,
      walrus.salt,
      Buffer.alloc(0),
    );
    expect(body.toString('base64url')).toBe(walrus.body.toString('base64url'));
  });

  it('is read by the receiver of our tests, several padded records of RFC 8188, section 3.2 included', () => {
    expect(openRecords(walrus.body, walrus.inputKey).toString()).toBe('I am the walrus');
    const body = bytes(
      'uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA',
    );
    expect(openRecords(body, bytes('BO3ZVPxUlnLORbVGMpbT1Q')).toString()).toBe('I am the walrus');
    const receiver = createWebPushReceiver({ secretKey: example.receiverSecret, auth: example.auth });
    expect(receiver.p256dh).toEqual(example.receiverPublic);
    expect(receiver.open(example.body).toString()).toBe(example.plaintext);
  });
});

describe('the keys of a browser', () => {
  const good = createWebPushReceiver();
  const withByte = (at: number, value: number): Buffer => {
    const changed = Buffer.from(good.p256dh);
    changed[at] = value;
    return changed;
  };

  it('are 65 bytes and 16', () => {
    expect(parseWebPushKeys(good.p256dh, good.auth)).toEqual({ p256dh: good.p256dh, auth: good.auth });
    for (const size of [0, 15, 17]) expect(parseWebPushKeys(good.p256dh, Buffer.alloc(size))).toBeNull();
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(65)],
    ['a first byte only', Buffer.concat([Buffer.from([4]), Buffer.alloc(64)])],
    ['a point off the curve', withByte(64, (good.p256dh[64] ?? 0) ^ 1)],
    ['the hybrid form', withByte(0, 6)],
    ['coordinates beyond the field', Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 0xff)])],
    ['one byte too few', good.p256dh.subarray(0, 64)],
    ['one byte too many', Buffer.concat([good.p256dh, Buffer.from([0])])],
    ['the point at infinity', Buffer.from([0])],
    ['the compressed form', compressed(good.p256dh)],
  ])('are refused, not thrown at, when the point is %s', (_name, point) => {
    expect(isP256PublicKey(point)).toBe(false);
    expect(parseWebPushKeys(point, good.auth)).toBeNull();
  });
});

function compressed(point: Buffer): Buffer {
  return Buffer.concat([Buffer.from([2 + ((point[64] ?? 0) & 1)]), point.subarray(1, 33)]);
}

describe('a VAPID key', () => {
  it('is read from PEM in both forms, and from the digits that other tools print', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const secret = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
    const pair = createECDH('prime256v1');
    pair.setPrivateKey(secret);
    const forms = [
      privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      privateKey.export({ format: 'pem', type: 'sec1' }).toString(),
      `${secret.toString('base64url')}\n`,
      `${secret.toString('base64url')}=`,
    ];
    for (const form of forms) {
      const key = parseVapidKey(form);
      expect(key?.publicKey).toEqual(pair.getPublicKey());
      expect(key?.publicText).toBe(pair.getPublicKey().toString('base64url'));
      expect(key?.id).toHaveLength(8);
    }
  });

  it.each([
    ['nothing', ''],
    ['no key', 'not a key'],
    ['zero', Buffer.alloc(32).toString('base64url')],
    ['beyond the order of the curve', Buffer.alloc(32, 0xff).toString('base64url')],
    ['on another curve', pemOf(generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey)],
    ['of another kind', pemOf(generateKeyPairSync('ed25519').privateKey)],
    [
      'public',
      generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
        .publicKey.export({ format: 'pem', type: 'spki' })
        .toString(),
    ],
  ])('is refused when it is %s', (_name, text) => {
    expect(parseVapidKey(text)).toBeNull();
  });

  it('survives its file', () => {
    const key = generateVapidKey();
    expect(parseVapidKey(vapidKeyPem(key))?.publicText).toBe(key.publicText);
  });

  it('signs tokens as ES256 wants it', () => {
    const key = generateVapidKey();
    const [head = '', claims = '', signature = ''] = signEs256Token({ aud: 'https://a', exp: 1 }, key).split(
      '.',
    );
    expect(JSON.parse(bytes(head).toString())).toEqual({ typ: 'JWT', alg: 'ES256' });
    expect(JSON.parse(bytes(claims).toString())).toEqual({ aud: 'https://a', exp: 1 });
    expect(bytes(signature)).toHaveLength(64);
    const isGood = verify(
      'sha256',
      Buffer.from(`${head}.${claims}`),
      { key: createPublicKey(key.secret), dsaEncoding: 'ieee-p1363' },
      bytes(signature),
    );
    expect(isGood).toBe(true);
  });
});

function pemOf(key: ReturnType<typeof createPublicKey>): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}
