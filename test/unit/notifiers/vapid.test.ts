import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { generateVapidKey, vapidKeyPem } from '../../../src/crypto/vapid-key.js';
import { OriginDeliveries } from '../../../src/notifiers/webpush/origin-deliveries.js';
import {
  loadVapidKeys,
  subjectProblem,
  VapidKeys,
  VapidTokens,
} from '../../../src/notifiers/webpush/vapid.js';
import { createTestDirectory } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const NOW_SECONDS = 1_700_000_000;
const clock = { now: NOW_SECONDS, nowMs: () => clock.now * 1000 + 999 };
const SUBJECT = 'mailto:ops@example.org';

interface Parsed {
  readonly head: unknown;
  readonly claims: unknown;
  readonly isGood: boolean;
}

/** Takes the header apart as a push service does. */
function parse(header: string): Parsed {
  const match = /^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$/.exec(header);
  if (match === null) throw new Error('not the scheme vapid');
  const [, head = '', claims = '', signature = '', key = ''] = match;
  const json = (text: string): unknown => JSON.parse(Buffer.from(text, 'base64url').toString());
  const isGood = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key: publicKeyOf(key), dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  return { head: json(head), claims: json(claims), isGood };
}

function publicKeyOf(text: string): KeyObject {
  const point = Buffer.from(text, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, format: 'jwk' });
}

describe('the authorization of a push', () => {
  it('has the shape of the example of RFC 8292, section 2.4', () => {
    const example = parse(
      'vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs',
    );
    expect(example.isGood).toBe(true);
    const ours = parse(
      new VapidTokens(SUBJECT, clock).authorization(generateVapidKey(), 'https://push.example.net'),
    );
    expect(ours).toEqual({
      head: example.head,
      claims: { aud: 'https://push.example.net', exp: NOW_SECONDS + 12 * 3600, sub: SUBJECT },
      isGood: true,
    });
  });

  it('is signed once per key and push service', () => {
    const tokens = new VapidTokens(SUBJECT, clock);
    const [one, two] = [generateVapidKey(), generateVapidKey()];
    const first = tokens.authorization(one, 'https://a.example');
    expect(tokens.authorization(one, 'https://a.example')).toBe(first);
    expect(tokens.authorization(two, 'https://a.example')).not.toBe(first);
    expect(tokens.authorization(one, 'https://b.example')).not.toBe(first);
    expect(tokens.size).toBe(3);
  });

  it('is forgotten for the push service that was longest not used, when there are too many', () => {
    const tokens = new VapidTokens(SUBJECT, clock, 3);
    const key = generateVapidKey();
    const at = (name: string): string => tokens.authorization(key, `https://${name}.example`);
    const [first, second] = [at('a'), at('b')];
    at('c');
    expect(at('a')).toBe(first);
    at('d');
    expect(tokens.size).toBe(3);
    expect(at('a')).toBe(first);
    expect(at('b')).not.toBe(second);
  });
});

describe('the keys of a server', () => {
  it('are found by their public key and by their id', () => {
    const [one, two] = [generateVapidKey(), generateVapidKey()];
    const keys = new VapidKeys(one, [two, one]);
    expect(keys.publicTexts).toEqual([one.publicText, two.publicText]);
    expect(keys.ofPublicKey(two.publicKey)).toBe(two);
    expect(keys.ofId(two.id)).toBe(two);
    expect(keys.ofPublicKey(generateVapidKey().publicKey)).toBeNull();
    expect(keys.ofId(Buffer.alloc(8))).toBeNull();
  });

  it('are read from files in their order; one that is no key spoils them all', () => {
    const keys = [generateVapidKey(), generateVapidKey()];
    const files = keys.map((key, number) => directory.write(`${number}.pem`, vapidKeyPem(key)));
    const loaded = loadVapidKeys(files);
    expect(loaded.ok && loaded.value.publicTexts).toEqual(keys.map(({ publicText }) => publicText));
    expect(loadVapidKeys([...files, directory.write('bad.pem', 'secret words')])).toEqual({
      ok: false,
      error: 'vapidKeyFiles: not a secret key on P-256 (waggle keygen vapid makes one)',
    });
  });
});

describe('the subject', () => {
  it.each(['mailto:ops@example.org', 'https://example.org/contact', 'https://example.org'])(
    'may be %s',
    (subject) => {
      expect(subjectProblem(subject)).toBeNull();
    },
  );

  it.each(['', 'ops@example.org', 'mailto:', 'mailto:ops', 'http://example.org', 'https://', 'mailto:a@b c'])(
    'may not be %j',
    (subject) => {
      expect(subjectProblem(subject)).toMatch(/^subject: /);
    },
  );
});

describe('what is known about push services', () => {
  it('is bounded', () => {
    const deliveries = new OriginDeliveries(10);
    for (let number = 0; number < 1000; number += 1)
      deliveries.delivered(`https://${number}.example`, `https://${number}.example/1`);
    expect(deliveries.size).toBe(10);
    expect(deliveries.of('https://999.example', 'https://999.example/2').originDelivers()).toBe(true);
    expect(deliveries.of('https://0.example', 'https://0.example/2').originDelivers()).toBe(false);
    expect(deliveries.of('https://0.example', 'https://0.example/2').anybodyDelivers()).toBe(true);
  });
});
