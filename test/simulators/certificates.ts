import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import {
  bitString,
  integer,
  INTEGER,
  NULL,
  objectIdentifier,
  OCTET_STRING,
  sequence,
  tlv,
  TRUE,
} from './der.js';

/**
 * Throwaway certificates for tests, made without OpenSSL's program: node signs and exports keys but builds no X.509, so
 * here are the few lines of DER that it takes (RFC 5280; ITU-T X.690).
 */
export interface TestCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface TestAuthority extends TestCertificate {
  /** For `127.0.0.1`, `::1` and `localhost`. */
  issueServer(): TestCertificate;
  /** As Apple's push certificates are: RSA, with an extension for each environment. */
  issueAppleClient(options?: AppleClientOptions): TestCertificate;
}

export interface AppleClientOptions {
  readonly sandbox?: boolean;
  readonly production?: boolean;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 86_400_000;

export function createAuthority(name = 'Waggle test CA'): TestAuthority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const issuer = distinguishedName(name);
  const issue = (request: CertificateRequest): string =>
    pem('CERTIFICATE', certificate(request, issuer, keys.privateKey, keys.publicKey));
  return {
    certPem: issue({ subject: issuer, publicKey: keys.publicKey, extensions: [basicConstraints, certSign] }),
    keyPem: exportPkcs8(keys.privateKey),
    issueServer: () => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
      const subject = distinguishedName('localhost');
      return {
        certPem: issue({ subject, publicKey, extensions: [localNames] }),
        keyPem: exportPkcs8(privateKey),
      };
    },
    issueAppleClient: ({ sandbox = true, production = true, notBefore, notAfter } = {}) => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const extensions = [
        ...(sandbox ? [extension('1.2.840.113635.100.6.3.1', NULL)] : []),
        ...(production ? [extension('1.2.840.113635.100.6.3.2', NULL)] : []),
      ];
      const subject = distinguishedName('Apple Push Services: test');
      const validity = { ...(notBefore && { notBefore }), ...(notAfter && { notAfter }) };
      return {
        certPem: issue({ subject, publicKey, extensions, ...validity }),
        keyPem: exportPkcs8(privateKey),
      };
    },
  };
}

export interface TestTokenKey {
  /** The .p8 file. */
  readonly p8Pem: string;
  readonly publicKey: KeyObject;
  readonly keyId: string;
  readonly teamId: string;
}

/** A key for APNs provider tokens. */
export function createTokenKey(keyId = 'TESTKEY123', teamId = 'TESTTEAM12'): TestTokenKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { p8Pem: exportPkcs8(privateKey), publicKey, keyId, teamId };
}

export interface TestServiceAccount {
  /** Google's JSON key file. */
  readonly json: string;
  readonly publicKey: KeyObject;
  readonly projectId: string;
  readonly clientEmail: string;
}

export function createServiceAccount(tokenUri: string, projectId = 'waggle-test'): TestServiceAccount {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const clientEmail = `push@${projectId}.iam.gserviceaccount.com`;
  const file = {
    type: 'service_account',
    project_id: projectId,
    private_key_id: randomBytes(20).toString('hex'),
    private_key: exportPkcs8(privateKey),
    client_email: clientEmail,
    client_id: '100000000000000000000',
    token_uri: tokenUri,
  };
  return { json: JSON.stringify(file, null, 2), publicKey, projectId, clientEmail };
}

interface CertificateRequest {
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

function certificate(
  request: CertificateRequest,
  issuer: Buffer,
  issuerKey: KeyObject,
  issuerPublicKey: KeyObject,
): Buffer {
  const now = Date.now();
  const { subject, notBefore = new Date(now - DAY_MS), notAfter = new Date(now + 90 * DAY_MS) } = request;
  const publicKey = request.publicKey.export({ format: 'der', type: 'spki' });
  const keyIds = [
    extension('2.5.29.14', tlv(OCTET_STRING, keyIdentifier(request.publicKey))),
    extension('2.5.29.35', sequence(tlv(0x80, keyIdentifier(issuerPublicKey)))),
  ];
  const body = sequence(
    tlv(0xa0, integer(2)), // version 3
    tlv(INTEGER, Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    ecdsaWithSha256,
    issuer,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey,
    tlv(0xa3, sequence(...keyIds, ...request.extensions)),
  );
  return sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, issuerKey)));
}

/** UTCTime, which lasts until 2049. */
const time = (date: Date): Buffer =>
  tlv(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`));

const distinguishedName = (commonName: string): Buffer =>
  sequence(tlv(0x31, sequence(objectIdentifier('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))));

const extension = (identifier: string, value: Buffer, critical = false): Buffer =>
  sequence(objectIdentifier(identifier), ...(critical ? [TRUE] : []), tlv(OCTET_STRING, value));

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
const basicConstraints = extension('2.5.29.19', sequence(TRUE), true);
/** keyCertSign and cRLSign: bits 5 and 6 of one byte, one bit unused. */
const certSign = extension('2.5.29.15', tlv(0x03, Buffer.from([1, 0x06])), true);
const localNames = extension(
  '2.5.29.17',
  sequence(
    tlv(0x82, Buffer.from('localhost')),
    tlv(0x87, Buffer.from([127, 0, 0, 1])),
    tlv(0x87, Buffer.from([...Array<number>(15).fill(0), 1])),
  ),
);

const keyIdentifier = (key: KeyObject): Buffer =>
  createHash('sha1')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest();

const exportPkcs8 = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
