import { createDecipheriv, createECDH, hkdfSync, randomBytes, type ECDH } from 'node:crypto';

/** The browser's side of Web Push: its keys, and what it does with a message (RFC 8291, 3.4; RFC 8188, 2). */
export interface WebPushReceiver {
  readonly p256dh: Buffer;
  readonly auth: Buffer;
  /** Throws when the message was not made for these keys or is malformed. */
  open(body: Buffer): Buffer;
}

const SALT_BYTES = 16;
const TAG_BYTES = 16;

export function createWebPushReceiver(given?: {
  readonly secretKey: Buffer;
  readonly auth: Buffer;
}): WebPushReceiver {
  const pair = createECDH('prime256v1');
  if (given === undefined) pair.generateKeys();
  else pair.setPrivateKey(given.secretKey);
  const auth = given?.auth ?? randomBytes(16);
  return {
    p256dh: pair.getPublicKey(),
    auth,
    open(body) {
      const { header, records } = splitBody(body);
      if (header.keyId.length !== 65 || records.length !== 1) throw new Error('not a push message');
      return openRecords(body, inputKeyOf(pair, auth, header.keyId));
    },
  };
}

function inputKeyOf(pair: ECDH, auth: Buffer, senderKey: Buffer): Buffer {
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), pair.getPublicKey(), senderKey]);
  return Buffer.from(hkdfSync('sha256', pair.computeSecret(senderKey), auth, info, 32));
}

/** Any body in `aes128gcm`, of however many records. */
export function openRecords(body: Buffer, inputKey: Buffer): Buffer {
  const { header, records } = splitBody(body);
  const derive = (info: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', inputKey, header.salt, Buffer.from(info), bytes));
  const key = derive('Content-Encoding: aes128gcm\0', 16);
  const baseNonce = derive('Content-Encoding: nonce\0', 12);
  const texts = records.map((record, number) => {
    const nonce = Buffer.from(baseNonce);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ number) >>> 0, 8);
    const gcm = createDecipheriv('aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES });
    gcm.setAuthTag(record.subarray(-TAG_BYTES));
    const padded = Buffer.concat([gcm.update(record.subarray(0, -TAG_BYTES)), gcm.final()]);
    const end = padded.findLastIndex((byte) => byte !== 0);
    const delimiter = number === records.length - 1 ? 2 : 1;
    if (padded[end] !== delimiter) throw new Error('wrong delimiter');
    return padded.subarray(0, end);
  });
  return Buffer.concat(texts);
}

function splitBody(body: Buffer) {
  const recordSize = body.readUInt32BE(SALT_BYTES);
  const keyIdEnd = SALT_BYTES + 5 + body.readUInt8(SALT_BYTES + 4);
  const header = { salt: body.subarray(0, SALT_BYTES), keyId: body.subarray(SALT_BYTES + 5, keyIdEnd) };
  if (recordSize < 18 || header.keyId.length !== keyIdEnd - SALT_BYTES - 5) throw new Error('bad header');
  const records: Buffer[] = [];
  for (let at = keyIdEnd; at < body.length; at += recordSize)
    records.push(body.subarray(at, at + recordSize));
  if (records.some((record) => record.length < TAG_BYTES + 1)) throw new Error('truncated');
  return { header, records };
}
