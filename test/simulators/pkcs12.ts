import { createHash, createHmac, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import type { TestCertificate } from './certificates.js';
import { integer, NULL, objectIdentifier, OCTET_STRING, sequence, tlv } from './der.js';

/** How the certificate's part is written: as it is, or encrypted with RC2 as Keychain Access does. */
export type Pkcs12Form = 'modern' | 'legacy';

/**
 * A .p12 file (RFC 7292): the key encrypted with AES, the certificate beside it, and a MAC over both. In the `legacy`
 * form the certificate's part is noise under RC2's name: nobody who refuses RC2 gets as far as to decrypt it.
 */
export function createPkcs12(
  { certPem, keyPem }: TestCertificate,
  passphrase: string,
  form: Pkcs12Form = 'modern',
): Buffer {
  const keyBag = bag(
    '1.2.840.113549.1.12.10.1.2',
    createPrivateKey(keyPem).export({ format: 'der', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }),
  );
  const x509 = tlv(OCTET_STRING, new X509Certificate(certPem).raw);
  const certificateBag = bag(
    '1.2.840.113549.1.12.10.1.3',
    sequence(objectIdentifier('1.2.840.113549.1.9.22.1'), explicit(x509)),
  );
  const safes = sequence(
    data(sequence(keyBag)),
    form === 'modern' ? data(sequence(certificateBag)) : encryptedWithRc2(randomBytes(1024)),
  );
  return sequence(integer(3), data(safes), macData(safes, passphrase));
}

const DATA = objectIdentifier('1.2.840.113549.1.7.1');
const ENCRYPTED_DATA = objectIdentifier('1.2.840.113549.1.7.6');
const SHA_256 = sequence(objectIdentifier('2.16.840.1.101.3.4.2.1'), NULL);
const PBE_WITH_RC2 = objectIdentifier('1.2.840.113549.1.12.1.6');
const ITERATIONS = 100;
const MAC_KEY = 3;

const explicit = (content: Buffer): Buffer => tlv(0xa0, content);
const data = (content: Buffer): Buffer => sequence(DATA, explicit(tlv(OCTET_STRING, content)));
const bag = (identifier: string, value: Buffer): Buffer =>
  sequence(objectIdentifier(identifier), explicit(value));

function encryptedWithRc2(noise: Buffer): Buffer {
  const algorithm = sequence(PBE_WITH_RC2, sequence(tlv(OCTET_STRING, randomBytes(8)), integer(ITERATIONS)));
  const content = sequence(integer(0), sequence(DATA, algorithm, tlv(0x80, noise)));
  return sequence(ENCRYPTED_DATA, explicit(content));
}

function macData(content: Buffer, passphrase: string): Buffer {
  const salt = randomBytes(8);
  const mac = createHmac('sha256', macKey(passphrase, salt)).update(content).digest();
  return sequence(sequence(SHA_256, tlv(OCTET_STRING, mac)), tlv(OCTET_STRING, salt), integer(ITERATIONS));
}

/** RFC 7292, B.2, for as many bytes as one SHA-256 gives. */
function macKey(passphrase: string, salt: Buffer): Buffer {
  const blockBytes = 64;
  const fill = (bytes: Buffer): Buffer =>
    Buffer.alloc(Math.ceil(bytes.length / blockBytes) * blockBytes, bytes);
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16();
  let key = Buffer.concat([Buffer.alloc(blockBytes, MAC_KEY), fill(salt), fill(password)]);
  for (let round = 0; round < ITERATIONS; round += 1) key = createHash('sha256').update(key).digest();
  return key;
}
