import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto';
import { P256_CURVE } from './web-push.js';

/** An application server's key for Web Push: ECDSA on P-256. Source: RFC 8292. */
export interface VapidKey {
  /** 65 bytes, uncompressed. */
  readonly publicKey: Buffer;
  /** The same in base64url, as browsers want it for `applicationServerKey`: 87 characters. */
  readonly publicText: string;
  /** 8 bytes: names the key among those of one server. */
  readonly id: Buffer;
  readonly secret: KeyObject;
}

export const VAPID_KEY_ID_BYTES = 8;
const SECRET_BYTES = 32;
const COORDINATE_BYTES = 32;
/** The form in which the tools of many web-push libraries print a secret key. */
const base64urlSecret = /^[A-Za-z0-9_-]{43}=?$/;

export function generateVapidKey(): VapidKey {
  return vapidKeyOf(generateKeyPairSync('ec', { namedCurve: P256_CURVE }).privateKey);
}

/** PEM (PKCS #8 or SEC 1) of a secret key on P-256, or its 32 bytes in base64url; null for anything else. */
export function parseVapidKey(text: string): VapidKey | null {
  const trimmed = text.trim();
  try {
    const secret = base64urlSecret.test(trimmed) ? importSecret(trimmed) : createPrivateKey(trimmed);
    const isP256 =
      secret.asymmetricKeyType === 'ec' && secret.asymmetricKeyDetails?.namedCurve === P256_CURVE;
    return isP256 ? vapidKeyOf(secret) : null;
  } catch {
    return null;
  }
}

export const vapidKeyPem = (key: VapidKey): string =>
  key.secret.export({ format: 'pem', type: 'pkcs8' }).toString();

/** A JSON web token signed with ES256 (RFC 7518, 3.4): the signature is r || s, 64 bytes. */
export function signEs256Token(claims: Readonly<Record<string, string | number>>, key: VapidKey): string {
  const signed = `${ES256_HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const signature = sign('sha256', Buffer.from(signed), { key: key.secret, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

const ES256_HEADER = Buffer.from('{"typ":"JWT","alg":"ES256"}').toString('base64url');

function importSecret(text: string): KeyObject {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== SECRET_BYTES) throw new RangeError('not a secret key');
  const pair = createECDH(P256_CURVE);
  pair.setPrivateKey(bytes); // refuses 0 and numbers beyond the order of the curve
  const point = pair.getPublicKey();
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: bytes.toString('base64url'),
    x: point.subarray(1, 1 + COORDINATE_BYTES).toString('base64url'),
    y: point.subarray(1 + COORDINATE_BYTES).toString('base64url'),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

function vapidKeyOf(secret: KeyObject): VapidKey {
  const { x = '', y = '' } = createPublicKey(secret).export({ format: 'jwk' });
  const publicKey = Buffer.concat([
    Buffer.from([4]),
    Buffer.from(x, 'base64url'),
    Buffer.from(y, 'base64url'),
  ]);
  const id = createHash('sha256').update(publicKey).digest().subarray(0, VAPID_KEY_ID_BYTES);
  return { publicKey, publicText: publicKey.toString('base64url'), id, secret };
}
