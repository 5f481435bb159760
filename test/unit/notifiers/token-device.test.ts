import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { channelOfDevice } from '../../../src/codec/wns-channel-uri.js';
import { generateVapidKey, vapidKeyPem } from '../../../src/crypto/vapid-key.js';
import { systemClock } from '../../../src/domain/clock.js';
import { ExternalNotifier } from '../../../src/hive/external-notifier.js';
import type { Notifier } from '../../../src/notifiers/port.js';
import type { NotifierEntry } from '../../../src/notifiers/registry.js';
import { deviceOfToken } from '../../../src/notifiers/token-device.js';
import { buildNotifier, CredentialFiles, serviceName } from '../../contract/notifier-fixtures.js';
import { createServiceAccount, createTokenKey } from '../../simulators/certificates.js';
import { createWebPushReceiver } from '../../simulators/web-push-receiver.js';

const files = new CredentialFiles();
const closing: Notifier[] = [];

afterAll(async () => {
  for (const notifier of closing) await notifier.close();
  files.remove();
});

function started(entry: NotifierEntry): Notifier {
  const notifier = buildNotifier(entry);
  closing.push(notifier);
  return notifier;
}

const tokenKey = createTokenKey();
const guarded = { allowNetworks: ['127.0.0.0/8'], ports: [] };
const plain = [
  started({
    type: 'apns',
    topic: 'org.example.app',
    sandbox: true,
    keyFile: files.write('key.p8', tokenKey.p8Pem),
    keyId: tokenKey.keyId,
    teamId: tokenKey.teamId,
  }),
  started({
    type: 'firebase',
    serviceAccountFile: files.write(
      'account.json',
      createServiceAccount('https://oauth2.googleapis.com/token').json,
    ),
  }),
  started({ type: 'huawei', appId: '1', appSecret: 's' }),
  started({ type: 'dummy' }),
];
const wns = started({ type: 'wns', packageSid: 'ms-app://s-1-15-2-1', clientSecret: 's' });
const webpush = started({
  type: 'webpush',
  vapidKeyFiles: [files.write('vapid.pem', vapidKeyPem(generateVapidKey()))],
  subject: 'mailto:ops@example.org',
});
const unifiedpush = started({ type: 'unifiedpush', discovery: false });
const external = new ExternalNotifier(
  serviceName('ext'),
  { notifierTimeoutMs: 50, notifierAwayMs: 50, maxInFlight: 1, roomTimeoutMs: 50, awayRetryMs: 50 },
  systemClock,
);
const all = [...plain, wns, webpush, unifiedpush, external];

describe.each(plain)('a token of $type', (notifier) => {
  it.each(['x', 'a b', '../x', 'é'.repeat(499), '{"token":"x"}', '\n', 'x'.repeat(999)])(
    'is taken as it comes: %j',
    async (token) => {
      expect(await deviceOfToken(notifier, token)).toEqual({ serviceId: token, serviceData: null });
    },
  );

  it.each(['', 'x'.repeat(1000), 'é'.repeat(500), 'a\0b', '\ud800', 'x\udc00'])(
    'that cannot be stored is refused: %j',
    async (token) => {
      expect(await deviceOfToken(notifier, token)).toBeNull();
    },
  );
});

describe('a token of wns', () => {
  const uri = 'https://db5p.notify.windows.com/?token=AwYAAABq%2bX0';

  it.each([uri, JSON.stringify({ channel_uri: uri }), JSON.stringify({ token: uri })])(
    'is a channel URI, also inside of JSON: %s',
    async (token) => {
      const device = await deviceOfToken(wns, token);
      expect(device?.serviceId).toMatch(/^[0-9a-f]{64}$/);
      expect(device === null ? null : channelOfDevice(device)).toBe(uri);
    },
  );

  it('may be as long as a channel URI', async () => {
    expect(await deviceOfToken(wns, uri.padEnd(2_048, 'x'))).not.toBeNull();
    expect(await deviceOfToken(wns, uri.padEnd(2_049, 'x'))).toBeNull();
  });

  it.each([
    'https://evil.com/?token=x',
    `${uri}#`,
    `${uri}\n`,
    '{}',
    `{"channel_uri":"${uri}"`,
    `["${uri}"]`,
  ])('is no other address: %j', async (token) => {
    expect(await deviceOfToken(wns, token)).toBeNull();
  });
});

describe('a token of webpush', () => {
  const receiver = createWebPushReceiver();
  const keys = { p256dh: receiver.p256dh.toString('base64url'), auth: receiver.auth.toString('base64url') };
  const endpoint = `https://push.example/wpush/v2/${'x'.repeat(40)}`;

  it('is what a browser says of its subscription, as JSON', async () => {
    const device = await deviceOfToken(webpush, JSON.stringify({ endpoint, expirationTime: null, keys }));
    expect(device?.serviceId).toBe(endpoint);
    expect(device?.serviceData?.includes(receiver.p256dh)).toBe(true);
    expect(await deviceOfToken(webpush, JSON.stringify({ endpoint, ...keys }))).toEqual(device);
  });

  it.each([
    ['an endpoint without keys', endpoint],
    ['keys of another form', JSON.stringify({ endpoint, keys: { ...keys, auth: 'x' } })],
    [
      'an address inside of our network',
      JSON.stringify({ endpoint: 'https://127.0.0.1/wpush/xxxxxxxxxxxx', keys }),
    ],
    ['JSON that never ends', `{"endpoint":"${endpoint}"`],
    ['JSON of any length', JSON.stringify({ endpoint, keys, more: 'x'.repeat(4_096) })],
    ['nothing', ''],
  ])('is not %s', async (_what, token) => {
    expect(await deviceOfToken(webpush, token)).toBeNull();
  });
});

describe('a token of unifiedpush', () => {
  const endpoint = 'https://ntfy.example/upAbCdEfGhIjKlMn?up=1';

  it('is an endpoint, or JSON with its keys', async () => {
    expect(await deviceOfToken(unifiedpush, endpoint)).toEqual({ serviceId: endpoint, serviceData: null });
    const receiver = createWebPushReceiver();
    const token = JSON.stringify({
      endpoint,
      p256dh: receiver.p256dh.toString('base64'),
      auth: receiver.auth.toString('base64'),
    });
    const device = await deviceOfToken(unifiedpush, token);
    expect(device?.serviceId).toBe(endpoint);
    expect(device?.serviceData?.includes(receiver.p256dh)).toBe(true);
  });

  it.each(['http://ntfy.example/upAbCdEfGhIjKlMn', 'https://[::1]/upAbCdEfGhIjKlMnOpQrSt', 'ntfy', '{}'])(
    'is nothing that may not be connected to: %s',
    async (token) => {
      expect(await deviceOfToken(unifiedpush, token)).toBeNull();
    },
  );

  it('is judged by the options of the notifier, as a subscribe is', async () => {
    const inside = 'https://127.0.0.1:8443/upAbCdEfGhIjKlMn';
    const allowing = started({ type: 'unifiedpush', discovery: false, ...guarded });
    expect(await deviceOfToken(allowing, inside)).toMatchObject({ serviceId: inside });
  });

  it('is refused when its server cannot be asked what it is', async () => {
    const asking = started({ type: 'unifiedpush', ...guarded, connectTimeoutMs: 1_000 });
    // A port that nobody listens at.
    expect(await deviceOfToken(asking, 'https://127.0.0.1:1/upAbCdEfGhIjKlMn')).toBeNull();
  });
});

it('an external notifier has no devices of XMPP clients, whatever their token', async () => {
  expect(await deviceOfToken(external, 'x'.repeat(64))).toBeNull();
});

it('no token makes a notifier fail, and whatever is taken can be stored', async () => {
  const json = fc.json({ maxDepth: 3 });
  const named = fc.record({ endpoint: fc.webUrl(), keys: fc.anything(), channel_uri: fc.string() });
  const token = fc.oneof(
    fc.string({ unit: 'binary' }),
    json,
    named.map((value) => JSON.stringify(value)),
    fc.webUrl(),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...all), token, async (notifier, text) => {
      const device = await deviceOfToken(notifier, text);
      if (device === null) return;
      expect(Buffer.byteLength(device.serviceId)).toBeGreaterThan(0);
      expect(Buffer.byteLength(device.serviceId)).toBeLessThanOrEqual(999);
      expect(device.serviceId).not.toMatch(/[\0\p{Surrogate}]/u);
    }),
    { numRuns: 1_000 },
  );
});
