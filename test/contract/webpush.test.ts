import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateVapidKey, vapidKeyPem } from '../../src/crypto/vapid-key.js';
import type { WakeMessage } from '../../src/codec/wake-content.js';
import type { Device } from '../../src/domain/device.js';
import type { Outcome } from '../../src/domain/outcome.js';
import type { Push } from '../../src/domain/push.js';
import {
  BUSY_DEVICE_PAUSE_MS,
  documentedAnswers,
  SIGNATURE_REFUSED_PAUSE_MS,
} from '../../src/notifiers/webpush/answers.js';
import { vapidPublicKeysOf } from '../../src/notifiers/webpush/public-keys.js';
import type { WebpushEntry } from '../../src/notifiers/webpush/webpush-entry.js';
import { createWebpushNotifier, type WebpushNotifier } from '../../src/notifiers/webpush/webpush-notifier.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import type { Http1Answer } from '../simulators/providers/http1-stand-in.js';
import {
  mozillaError,
  PushServiceStandIn,
  type TestBrowser,
} from '../simulators/providers/push-service-stand-in.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import {
  buildNotifier,
  CredentialFiles,
  MovableClock,
  never,
  pushFor,
  serviceName,
  legacyPushFor,
  wakePushFor,
} from './notifier-fixtures.js';

const authority = createAuthority();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
const preferred = generateVapidKey();
const former = generateVapidKey();
let service: PushServiceStandIn;
let entry: WebpushEntry;

beforeAll(async () => {
  service = await PushServiceStandIn.start({ certificate: authority.issueServer() });
  entry = {
    type: 'webpush',
    vapidKeyFiles: [
      files.write('vapid.pem', vapidKeyPem(preferred)),
      files.write('former.pem', vapidKeyPem(former)),
    ],
    subject: 'mailto:ops@example.org',
    caFile: files.write('ca.pem', authority.certPem),
    allowNetworks: ['127.0.0.0/8'],
    ports: [],
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  service.http.standing = null;
});

afterAll(async () => {
  await service.close();
  files.remove();
});

function build(changes: Partial<WebpushEntry>, clock: MovableClock, resolve?: () => Promise<string[]>) {
  const dependencies = { clock, ...(resolve === undefined ? {} : { resolve }) };
  return createWebpushNotifier(serviceName('tested'), { ...entry, ...changes }, dependencies);
}

function start(
  changes: Partial<WebpushEntry> = {},
  clock = new MovableClock(),
  resolve?: () => Promise<string[]>,
): WebpushNotifier {
  const built = build(changes, clock, resolve);
  if (!built.ok) throw new Error(built.error);
  closing.push(() => built.value.close());
  return built.value;
}

async function startAnother(
  options: Parameters<typeof PushServiceStandIn.start>[0] = { certificate: authority.issueServer() },
): Promise<PushServiceStandIn> {
  const other = await PushServiceStandIn.start(options);
  closing.push(() => other.close());
  return other;
}

/** Known only by name: no host of theirs is asked, and none of this machine but the stand-in. */
async function startKnown(
  host: string,
  changes: Partial<WebpushEntry> = {},
): Promise<{ readonly known: PushServiceStandIn; readonly notifier: WebpushNotifier; clock: MovableClock }> {
  const known = await startAnother({ host });
  const clock = new MovableClock();
  const notifier = start({ allowHttp: true, ...changes }, clock, async () => ['127.0.0.1']);
  return { known, notifier, clock };
}

function deviceOf(notifier: WebpushNotifier, serviceInfo: object): Device {
  const device = notifier.validate(serviceInfo, 'subscribe');
  if (device instanceof Promise || !device.ok) throw new Error(`refused: ${JSON.stringify(device)}`);
  return device.value;
}

const pushTo = (device: Device, changes: Partial<Push> = {}): Push =>
  pushFor('x'.repeat(32), { device, ...changes });

async function outcomeOf(
  answer: Http1Answer,
  notifier = start({ requestTimeoutMs: 2_000 }),
  at = service,
): Promise<Outcome> {
  const browser = at.subscribe(preferred.publicText);
  at.http.forPath(browser.path, answer);
  const outcome = await notifier.send(pushTo(deviceOf(notifier, browser.toJSON())), never);
  at.http.forPath(browser.path, null);
  return outcome;
}

function subscribed(
  notifier: WebpushNotifier,
  at = service,
): { readonly browser: TestBrowser; readonly device: Device } {
  const browser = at.subscribe(preferred.publicText);
  return { browser, device: deviceOf(notifier, browser.toJSON()) };
}

const DELIVERED = { kind: 'delivered' };
const retry = { kind: 'retry', cause: 'server', scope: 'push' };
const dropped = { kind: 'dropped' };
const dead = { kind: 'dead-token', sinceMs: null };

describe('what a browser receives for a publish of an XMPP server', () => {
  const wakeFor = (device: Device, message: Partial<WakeMessage> = {}): Push =>
    pushTo(device, { content: wakePushFor('x', message).content });
  const headers = () => service.http.recorded.at(-1)?.headers;

  it('is how it is woken, and for what', async () => {
    const notifier = start();
    const { browser, device } = subscribed(notifier);
    expect(await notifier.send(wakeFor(device), never)).toEqual(DELIVERED);
    expect(headers()).toMatchObject({ urgency: 'high', 'content-encoding': 'aes128gcm' });
    const silent = wakeFor(device, { urgency: 'silent', account: 'acd0bf', channel: 'é' });
    expect(await notifier.send(silent, never)).toEqual(DELIVERED);
    expect(headers()).toMatchObject({ urgency: 'low' });
    expect(await notifier.send(wakeFor(device, { urgency: 'voip' }), never)).toEqual(DELIVERED);
    expect(headers()).toMatchObject({ urgency: 'high' });
    expect(browser.received.map(String)).toEqual([
      '{"wake":"high"}',
      '{"wake":"silent","account":"acd0bf","channel":"\\u00e9"}',
      '{"wake":"voip"}',
    ]);
  });

  it('has one topic for each collapse key, which is another one for every device', async () => {
    const notifier = start();
    const [one, other] = [subscribed(notifier).device, subscribed(notifier).device];
    const topicFor = async (push: Push, from = notifier): Promise<string | undefined> => {
      expect(await from.send(push, never)).toEqual(DELIVERED);
      const topic = headers()?.['topic'];
      return topic === undefined ? undefined : String(topic);
    };
    const keyed = (device: Device, collapseKey: string): Push => wakeFor(device, { collapseKey });
    const topics = [
      await topicFor(keyed(one, 'xmpp-body-push')),
      await topicFor(keyed(one, 'xmpp-nobody-push')),
      await topicFor(keyed(one, '\u{1f600} of any form\n')),
      await topicFor(keyed(other, 'xmpp-body-push')),
      await topicFor(wakeFor(one)),
      await topicFor(wakeFor(one)),
    ];
    expect(new Set(topics).size).toBe(topics.length);
    for (const topic of topics) expect(topic).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(await topicFor(keyed(one, 'xmpp-body-push'))).toBe(topics[0]);
    const repeated = wakeFor(one);
    expect(await topicFor(repeated)).toBe(await topicFor({ ...repeated, attempts: 1 }));
    expect(await topicFor(keyed(one, 'xmpp-body-push'), start({ topic: false }))).toBeUndefined();
  });

  it('is never more than 4096 bytes take, nor what cannot be read', async () => {
    const notifier = start();
    const { device } = subscribed(notifier);
    expect(await notifier.send(wakeFor(device, { raw: 'x'.repeat(3_993) }), never)).toEqual(DELIVERED);
    expect(await notifier.send(wakeFor(device, { raw: 'é'.repeat(1_997) }), never)).toEqual({
      kind: 'dropped',
      reason: 'too-large',
    });
    const content = { kind: 'wake', payload: Buffer.from('junk') } as const;
    expect(await notifier.send(pushTo(device, { content }), never)).toEqual({
      kind: 'dropped',
      reason: 'unreadable-content',
    });
    const expired = { ...wakeFor(device), expiresAtMs: Date.now() - 1 };
    expect(await notifier.send(expired, never)).toEqual({ kind: 'dropped', reason: 'expired' });
  });

  it('tells that a browser is gone as any other push does', async () => {
    const notifier = start();
    const { browser, device } = subscribed(notifier);
    service.unsubscribe(browser);
    expect(await notifier.send(wakeFor(device), never)).toMatchObject(dead);
  });
});

describe('what a browser receives', () => {
  it('is the sealed payload, in the fields that all our clients read', async () => {
    const notifier = start();
    const { browser, device } = subscribed(notifier);
    const payload = randomBytes(296);
    const push = pushTo(device, { content: { kind: 'sealed', payload } });
    expect(await notifier.send(push, never)).toEqual(DELIVERED);
    expect(browser.received.map(String)).toEqual([
      `{"enc_payload":"${payload.toString('base64')}","spns":"1"}`,
    ]);
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });

  it('stays within 4096 bytes with the largest payload that the notifier says it takes', async () => {
    const notifier = start();
    expect(notifier.capabilities.maxPayloadBytes).toBeGreaterThanOrEqual(2856);
    const { browser, device } = subscribed(notifier);
    const largest = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    expect(
      await notifier.send(pushTo(device, { content: { kind: 'sealed', payload: largest } }), never),
    ).toEqual(DELIVERED);
    expect(browser.received).toHaveLength(1);
    const tooLarge = { kind: 'sealed', payload: Buffer.alloc(largest.length + 1) } as const;
    expect(await notifier.send(pushTo(device, { content: tooLarge }), never)).toEqual({
      kind: 'dropped',
      reason: 'too-large',
    });
  });

  it('is never what was not sealed', async () => {
    const notifier = start();
    const { device } = subscribed(notifier);
    const content = { kind: 'unsealed', payload: Buffer.from('de') } as const;
    expect(await notifier.send(pushTo(device, { content }), never)).toEqual({
      kind: 'dropped',
      reason: 'not-sealed',
    });
    const { content: legacy } = legacyPushFor('x');
    expect(await notifier.send(pushTo(device, { content: legacy }), never)).toEqual({
      kind: 'dropped',
      reason: 'legacy-content',
    });
  });
});

describe('what the push service sees', () => {
  async function headersOf(notifier: WebpushNotifier, changes: Partial<Push> = {}) {
    const { device } = subscribed(notifier);
    expect(await notifier.send(pushTo(device, changes), never)).toEqual(DELIVERED);
    const request = service.http.recorded.at(-1);
    if (request === undefined) throw new Error('nothing was recorded');
    return request.headers;
  }

  it('is a POST with the headers of RFC 8030, 8291 and 8292', async () => {
    const clock = new MovableClock();
    const headers = await headersOf(start({}, clock), { expiresAtMs: clock.nowMs() + 3_600_999 });
    expect(headers).toMatchObject({
      'content-encoding': 'aes128gcm',
      'content-type': 'application/octet-stream',
      ttl: '3600',
      urgency: 'high',
    });
    expect(headers['x-wns-cache-policy']).toBeUndefined();
    expect(service.http.recorded.at(-1)?.method).toBe('POST');
  });

  it('says when it need not wake anybody', async () => {
    expect(await headersOf(start(), { priority: 'normal' })).toMatchObject({ urgency: 'normal' });
  });

  it('is to be kept as long as the push is good for, four weeks or the option at most, a second at least', async () => {
    const inAYear = Date.now() + 3.15e10;
    expect(await headersOf(start(), { expiresAtMs: inAYear })).toMatchObject({ ttl: '2419200' });
    const limited = start({ maxTtlSeconds: 60 });
    expect(await headersOf(limited, { expiresAtMs: inAYear })).toMatchObject({ ttl: '60' });
    expect(await headersOf(start(), { expiresAtMs: Date.now() + 900 })).toMatchObject({ ttl: '1' });
    expect(await headersOf(start({ maxTtlSeconds: 0 }))).toMatchObject({ ttl: '0' });
    const notifier = start();
    const { device } = subscribed(notifier);
    const requests = service.http.requests;
    expect(await notifier.send(pushTo(device, { expiresAtMs: Date.now() - 1 }), never)).toEqual({
      kind: 'dropped',
      reason: 'expired',
    });
    expect(service.http.requests).toBe(requests);
  });

  it('has a Topic that is the same for every attempt and says nothing, or none', async () => {
    const notifier = start();
    const dedupeKey = randomBytes(16);
    const { topic } = await headersOf(notifier, { dedupeKey });
    expect(topic).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect((await headersOf(notifier, { dedupeKey, attempts: 3 })).topic).toBe(topic);
    expect((await headersOf(notifier)).topic).not.toBe(topic);
    expect((await headersOf(start({ topic: false }))).topic).toBeUndefined();
  });

  it('is one signature for hours, and then another', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const { device } = subscribed(notifier);
    const tokens = service.tokens.size;
    const sendAt = async (hours: number): Promise<number> => {
      clock.offsetMs = hours * 3_600_000;
      await notifier.send(pushTo(device, { expiresAtMs: clock.nowMs() + 60_000 }), never);
      return service.tokens.size - tokens;
    };
    expect([await sendAt(0), await sendAt(5.9)]).toEqual([1, 1]);
    expect([await sendAt(6.1), await sendAt(11)]).toEqual([2, 2]);
    expect(await sendAt(0)).toBe(3); // the clock was put back: the last one would be good for too long
  });

  it('comes over few connections that stay open', async () => {
    const other = await startAnother();
    const notifier = start({ connections: 2 });
    const devices = Array.from({ length: 8 }, () => subscribed(notifier, other).device);
    for (let round = 0; round < 5; round += 1) {
      const outcomes = await Promise.all(devices.map((device) => notifier.send(pushTo(device), never)));
      expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    }
    expect(other.http.connections).toBeLessThanOrEqual(2);
    expect(other.delivered).toBe(40);
  });

  it('at Microsoft: a cache policy that agrees with the TTL', async () => {
    const { known, notifier } = await startKnown('wns2-par02p.notify.windows.com');
    const { device } = subscribed(notifier, known);
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
    expect(known.http.recorded.at(-1)?.headers['x-wns-cache-policy']).toBe('cache');
  });
});

describe('VAPID keys', () => {
  it('are told to clients, the preferred one first', () => {
    const notifier = start();
    expect(notifier.vapidPublicKeys).toEqual([preferred.publicText, former.publicText]);
    expect(vapidPublicKeysOf(notifier)).toBe(notifier.vapidPublicKeys);
    expect(vapidPublicKeysOf(buildNotifier({ type: 'dummy' }))).toBeNull();
    expect(vapidPublicKeysOf(undefined)).toBeNull();
  });

  it.each(['vapid_key', 'applicationServerKey'])('are chosen by the client: %s', async (name) => {
    const notifier = start();
    const browser = service.subscribe(former.publicText);
    const device = deviceOf(notifier, { ...browser.toJSON(), [name]: former.publicText });
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
  });

  it('that the client did not tell of end in a mismatch, which is this device alone', async () => {
    const notifier = start();
    const { device: good } = subscribed(notifier);
    for (let count = 0; count < 16; count += 1) await notifier.send(pushTo(good), never);
    const bad = deviceOf(notifier, service.subscribe(former.publicText).toJSON());
    for (let count = 0; count < 30; count += 1) {
      expect(await notifier.send(pushTo(bad), never)).toEqual({ kind: 'dropped', reason: 'key-mismatch' });
    }
    expect(await notifier.send(pushTo(good), never)).toEqual(DELIVERED);
  });

  it('may be added and preferred while old subscriptions are served; without their key they are not', async () => {
    const before = start();
    const { device } = subscribed(before);
    const added = files.write('added.pem', vapidKeyPem(generateVapidKey()));
    const after = start({ vapidKeyFiles: [added, ...(entry.vapidKeyFiles ?? [])] });
    expect(await after.send(pushTo(device), never)).toEqual(DELIVERED);
    const without = start({ vapidKeyFiles: [added] });
    expect(await without.send(pushTo(device), never)).toEqual({ kind: 'dropped', reason: 'vapid-key-gone' });
  });
});

describe('a subscription', () => {
  const subscription = () => service.subscribe(preferred.publicText).toJSON();
  const problem = (serviceInfo: unknown, notifier = start()): unknown => {
    const device = notifier.validate(serviceInfo, 'subscribe');
    return device instanceof Promise || device.ok ? null : device.error;
  };

  it('is what browsers give, or the same flat, in either alphabet, with padding or without', () => {
    const notifier = start();
    const { endpoint, keys } = subscription();
    const standard = (text: string): string => Buffer.from(text, 'base64url').toString('base64');
    const device = deviceOf(notifier, { endpoint, keys });
    expect(device.serviceId).toBe(endpoint);
    expect(device.serviceData).toHaveLength(90);
    for (const form of [
      { endpoint, ...keys },
      { endpoint, keys, expirationTime: null, vapid_key: null },
      { endpoint, p256dh: standard(keys.p256dh), auth: standard(keys.auth) },
      { endpoint, keys, vapid_key: preferred.publicText },
      { endpoint: `${endpoint}#fragment`, keys },
    ]) {
      expect(deviceOf(notifier, form)).toEqual(device);
    }
  });

  it('names the same device at an unsubscribe, even when the options no longer allow it', () => {
    const notifier = start({ allowNetworks: [], ports: [443] });
    const { endpoint, keys } = subscription();
    for (const serviceInfo of [{ endpoint }, { endpoint, keys }]) {
      expect(notifier.validate(serviceInfo, 'unsubscribe')).toEqual({
        ok: true,
        value: { serviceId: endpoint, serviceData: null },
      });
    }
    expect(notifier.validate({}, 'unsubscribe')).toMatchObject({ ok: false, error: { code: 1 } });
  });

  it.each<[string, (good: ReturnType<typeof subscription>) => unknown, number, string]>([
    ['nothing', () => null, 4, 'Invalid service_info: expected an object'],
    ['no endpoint', ({ keys }) => ({ keys }), 1, "Error: missing required key 'endpoint'"],
    ['another type', ({ keys }) => ({ endpoint: 5, keys }), 4, 'Invalid endpoint: expected a string'],
    ['no URL', ({ keys }) => ({ endpoint: 'x'.repeat(40), keys }), 4, 'Invalid endpoint: not an https URL'],
    [
      'a short URL',
      ({ keys }) => ({ endpoint: 'https://push.example.org/1', keys }),
      4,
      'Invalid endpoint: too short',
    ],
    [
      'a long URL',
      ({ keys }) => ({ endpoint: `https://push.example.org/${'1'.repeat(1000)}`, keys }),
      4,
      'Invalid endpoint: too long',
    ],
    ['no keys', ({ endpoint }) => ({ endpoint }), 1, "Error: missing required key 'p256dh'"],
    ['keys that are none', ({ endpoint }) => ({ endpoint, keys: [] }), 4, 'Invalid keys: expected an object'],
    [
      'no auth',
      ({ endpoint, keys: { p256dh } }) => ({ endpoint, keys: { p256dh } }),
      1,
      "Error: missing required key 'auth'",
    ],
    [
      'a short auth',
      ({ endpoint, keys }) => ({ endpoint, keys: { ...keys, auth: keys.auth.slice(2) } }),
      4,
      'Invalid auth: expected 16 bytes in base64url',
    ],
    [
      'a long p256dh',
      ({ endpoint, keys }) => ({ endpoint, keys: { ...keys, p256dh: `${keys.p256dh}AA` } }),
      4,
      'Invalid p256dh: expected 65 bytes in base64url',
    ],
    [
      'a point off the curve',
      ({ endpoint, keys }) => ({
        endpoint,
        keys: { ...keys, p256dh: Buffer.alloc(65, 4).toString('base64url') },
      }),
      4,
      'Invalid p256dh: not a point on P-256',
    ],
    [
      'a key of another server',
      (good) => ({ ...good, vapid_key: generateVapidKey().publicText }),
      4,
      'Invalid vapid_key: not a key of this server; subscribe again with one of its keys',
    ],
    [
      'a key that is none',
      (good) => ({ ...good, applicationServerKey: 'AAAA' }),
      4,
      'Invalid applicationServerKey: expected 65 bytes in base64url',
    ],
  ])('is refused with %s', (_name, serviceInfoOf, code, message) => {
    expect(problem(serviceInfoOf(subscription()))).toEqual({ code, message });
  });

  it.each([
    ['http', 'http://push.example.org/', 'not an https URL'],
    ['another port', 'https://push.example.org:8443/', 'port not allowed'],
    ['loopback', 'https://127.0.0.1/', 'address not allowed'],
    ['a private network', 'https://10.1.2.3/', 'address not allowed'],
    ['a mapped address', 'https://[::ffff:127.0.0.1]/', 'address not allowed'],
    ['a decimal host', 'https://2130706433/', 'address not allowed'],
    ['a local name', 'https://localhost/', 'host not allowed'],
    ['a user name', 'https://a:b@push.example.org/', 'user name in the URL'],
  ])('is refused with an endpoint that leads elsewhere: %s', (_name, prefix, words) => {
    const serviceInfo = { ...subscription(), endpoint: prefix + 'x'.repeat(40) };
    expect(problem(serviceInfo, start({ allowNetworks: [], ports: [443] }))).toEqual({
      code: 4,
      message: `Invalid endpoint: ${words}`,
    });
  });

  it('that was damaged in the database is dropped, not sent', async () => {
    const notifier = start();
    const { device } = subscribed(notifier);
    const requests = service.http.requests;
    for (const serviceData of [
      null,
      Buffer.alloc(0),
      Buffer.alloc(90),
      device.serviceData?.subarray(1) ?? null,
    ]) {
      expect(await notifier.send(pushTo({ ...device, serviceData }), never)).toEqual({
        kind: 'dropped',
        reason: 'service-data-corrupt',
      });
    }
    expect(service.http.requests).toBe(requests);
  });
});

const apple = 'web.push.apple.com';
const google = 'fcm.googleapis.com';
const mozilla = 'updates.push.services.mozilla.com';
const microsoft = 'wns2-par02p.notify.windows.com';
const appleError = (status: number, reason: string): Http1Answer => ({ status, body: { reason } });
const wns = (status: number, word: string): Http1Answer => ({ status, headers: { 'x-wns-status': word } });
const MISMATCH =
  'the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.\n';

describe('every documented answer', () => {
  const refused = { kind: 'misconfigured' }; // nothing was delivered yet; see below
  const busy = { ...retry, afterMs: BUSY_DEVICE_PAUSE_MS };
  const cases: Readonly<Record<string, readonly [string, Http1Answer, object]>> = {
    '400 BadAuthorizationHeader': [apple, appleError(400, 'BadAuthorizationHeader'), refused],
    '400 BadTtl': [apple, appleError(400, 'BadTtl'), dropped],
    '400 BadUrgency': [apple, appleError(400, 'BadUrgency'), dropped],
    '400 BadVapidPublicKey': [apple, appleError(400, 'BadVapidPublicKey'), refused],
    '400 BadWebPushRequest': [apple, appleError(400, 'BadWebPushRequest'), dropped],
    '400 BadWebPushTopic': [apple, appleError(400, 'BadWebPushTopic'), dropped],
    '400 VapidPkHashMismatch': [apple, appleError(400, 'VapidPkHashMismatch'), dropped],
    '403 BadAuthorizationHeader': [apple, appleError(403, 'BadAuthorizationHeader'), refused],
    '403 BadJwtToken': [apple, appleError(403, 'BadJwtToken'), refused],
    '403 BadVapidPublicKey': [apple, appleError(403, 'BadVapidPublicKey'), refused],
    '403 VapidPkHashMismatch': [apple, appleError(403, 'VapidPkHashMismatch'), dropped],
    '404 BadPath': [apple, appleError(404, 'BadPath'), dead],
    '405 MethodNotAllowed': [apple, appleError(405, 'MethodNotAllowed'), dropped],
    '410 ExpiredToken': [apple, appleError(410, 'ExpiredToken'), dead],
    '410 Unregistered': [apple, appleError(410, 'Unregistered'), dead],
    '413 PayloadTooLarge': [apple, appleError(413, 'PayloadTooLarge'), dropped],
    '429 TooManyRequests': [apple, appleError(429, 'TooManyRequests'), busy],
    '500 InternalServerError': [apple, appleError(500, 'InternalServerError'), retry],
    '503 ServiceUnavailable': [apple, appleError(503, 'ServiceUnavailable'), retry],
    '503 Shutdown': [apple, appleError(503, 'Shutdown'), retry],
    '400 errno-101': [mozilla, mozillaError(400, 101), dropped],
    '400 errno-108': [mozilla, mozillaError(400, 108), dropped],
    '400 errno-110': [mozilla, mozillaError(400, 110), dropped],
    '400 errno-111': [mozilla, mozillaError(400, 111), dropped],
    '400 errno-112': [mozilla, mozillaError(400, 112), dropped],
    '400 errno-113': [mozilla, mozillaError(400, 113), dropped],
    '401 errno-109': [mozilla, mozillaError(401, 109), refused],
    '401 key-mismatch': [mozilla, mozillaError(401, 109, 'VAPID public key mismatch'), dropped],
    '404 errno-102': [mozilla, mozillaError(404, 102), dead],
    '410 errno-103': [mozilla, mozillaError(410, 103), dead],
    '410 errno-105': [mozilla, mozillaError(410, 105), dead],
    '410 errno-106': [mozilla, mozillaError(410, 106), dead],
    '413 errno-104': [mozilla, mozillaError(413, 104), dropped],
    '429 errno-201': [mozilla, mozillaError(429, 201), busy],
    '500 errno-999': [mozilla, mozillaError(500, 999), retry],
    '502 errno-900': [mozilla, mozillaError(502, 900), retry],
    '502 errno-901': [mozilla, mozillaError(502, 901), retry],
    '502 errno-902': [mozilla, mozillaError(502, 902), retry],
    '502 errno-903': [mozilla, mozillaError(502, 903), retry],
    '503 errno-201': [mozilla, mozillaError(503, 201), retry],
    '503 errno-202': [mozilla, mozillaError(503, 202), retry],
    '403 key-mismatch': [google, { status: 403, body: MISMATCH }, dropped],
    '400 UnauthorizedRegistration': [
      google,
      { status: 400, body: '<HTML>\n<TITLE>UnauthorizedRegistration</TITLE>' },
      dropped,
    ],
    '400 InvalidRegistration': [google, { status: 400, body: 'InvalidRegistration' }, dropped],
    '200 channelthrottled': [microsoft, wns(200, 'channelthrottled'), busy],
    '200 dropped': [microsoft, wns(200, 'dropped'), dropped],
    '201 channelthrottled': [microsoft, wns(201, 'channelthrottled'), busy],
    '201 dropped': [microsoft, wns(201, 'dropped'), dropped],
    '406 appthrottled': [microsoft, wns(406, 'appthrottled'), retry],
    '406 channelthrottled': [microsoft, wns(406, 'channelthrottled'), busy],
  };

  it('is in the table', () => {
    expect([...documentedAnswers].sort()).toEqual(Object.keys(cases).sort());
  });

  it.each(Object.entries(cases))('%s', async (name, [host, answer, outcome]) => {
    const { known, notifier } = await startKnown(host);
    const [, reason] = name.split(' ');
    expect(await outcomeOf(answer, notifier, known)).toMatchObject({ ...outcome, reason });
  });
});

describe('an answer by its status', () => {
  it.each<[string, Http1Answer, object]>([
    ['200', {}, DELIVERED],
    ['201', { status: 201, headers: { location: 'https://push.example.org/m/1' } }, DELIVERED],
    ['202', { status: 202 }, DELIVERED],
    ['204', { status: 204 }, DELIVERED],
    ['200 of Microsoft', wns(200, 'received'), DELIVERED],
    ['301', { status: 301, headers: { location: 'https://127.0.0.1/' } }, { ...dropped, reason: 'http-301' }],
    ['307', { status: 307, headers: { location: 'https://127.0.0.1/' } }, { ...dropped, reason: 'http-307' }],
    ['400', { status: 400 }, { ...dropped, reason: 'http-400' }],
    ['401', { status: 401 }, { ...retry, reason: 'http-401', afterMs: SIGNATURE_REFUSED_PAUSE_MS }],
    ['403', { status: 403, body: 'no' }, { ...retry, reason: 'http-403' }],
    ['404', { status: 404 }, { ...dead, reason: 'http-404' }],
    ['404 with HTML', { status: 404, body: '<html>' }, { ...dead, reason: 'http-404' }],
    ['405', { status: 405 }, dropped],
    ['406', { status: 406 }, { ...retry, reason: 'http-406' }],
    ['407', { status: 407 }, dropped],
    ['408', { status: 408 }, retry],
    ['410', { status: 410 }, { ...dead, reason: 'http-410' }],
    [
      '410 with a word of its own',
      { status: 410, body: '{"reason":"constructor"}' },
      { ...dead, reason: 'http-410' },
    ],
    ['413', { status: 413 }, dropped],
    ['415', { status: 415 }, dropped],
    ['418', { status: 418, body: '{"errno":null}' }, { ...dropped, reason: 'http-418' }],
    ['425', { status: 425 }, retry],
    [
      '429',
      { status: 429, headers: { 'retry-after': '7' } },
      { ...retry, reason: 'http-429', afterMs: 7_000 },
    ],
    ['500', { status: 500 }, { ...retry, reason: 'http-500', afterMs: null }],
    ['501', { status: 501 }, retry],
    ['502 with HTML', { status: 502, body: '<html>' }, retry],
    ['503', { status: 503, headers: { 'retry-after': '2' } }, { ...retry, afterMs: 2_000 }],
    ['504', { status: 504, body: '{"reason":' }, { ...retry, reason: 'http-504' }],
    ['500 with a body without end', { status: 500, instead: 'endless' }, { ...retry, reason: 'http-500' }],
  ])('%s', async (_name, answer, outcome) => {
    expect(await outcomeOf(answer)).toMatchObject(outcome);
  });

  it('is dead for a subscription that was given up', async () => {
    const notifier = start();
    const { browser, device } = subscribed(notifier);
    service.unsubscribe(browser);
    expect(await notifier.send(pushTo(device), never)).toEqual({ ...dead, reason: 'errno-103' });
  });

  it('gives a date in Retry-After its time, and a year no more than the option', async () => {
    const date = new Date(Date.now() + 30_000).toUTCString();
    const byDate = await outcomeOf({ status: 503, headers: { 'retry-after': date } });
    expect(byDate.kind === 'retry' && byDate.afterMs).toBeGreaterThan(28_000);
    const limited = start({ retryAfterMaxMs: 5_000 });
    const aYear = await outcomeOf({ status: 503, headers: { 'retry-after': '31536000' } }, limited);
    expect(aYear).toMatchObject({ afterMs: 5_000 });
  });
});

describe('an answer that is none', () => {
  it.each<[string, Http1Answer, object]>([
    ['silence', { instead: 'hang' }, { ...retry, reason: 'timeout' }],
    ['a drip of bytes', { instead: 'drip' }, { ...retry, reason: 'timeout' }],
    ['a reset', { instead: 'reset' }, { ...retry, reason: 'connection-lost' }],
    ['a closed connection', { instead: 'close' }, { ...retry, reason: 'connection-lost' }],
    ['half a body', { instead: 'close-mid-body' }, { ...retry, reason: 'connection-lost' }],
    ['garbage', { instead: 'garbage' }, { ...retry, reason: 'malformed' }],
  ])('%s is repeated, and never the trouble of the notifier', async (_name, answer, outcome) => {
    const notifier = start({ requestTimeoutMs: 300 });
    expect(await outcomeOf(answer, notifier)).toMatchObject(outcome);
    expect(notifier.health().state).not.toBe('failing');
  });

  it('an open but dead connection costs one time-out, and the next push goes over another', async () => {
    const relay = await TcpRelay.start(service.http.port);
    closing.push(() => relay.close());
    const notifier = start({ requestTimeoutMs: 300, connections: 1 });
    // Its audience is the relay's, which the stand-in does not know as itself: any answer will do.
    const endpoint = `${relay.endpoint}/${'x'.repeat(40)}`;
    service.http.forPath(`/${'x'.repeat(40)}`, { status: 201 });
    const device = deviceOf(notifier, { ...service.subscribe(preferred.publicText).toJSON(), endpoint });
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
    relay.swallowPresent();
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ ...retry, reason: 'timeout' });
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
    service.http.forPath(`/${'x'.repeat(40)}`, null);
  });

  it('nobody there, and a certificate that nobody trusts', async () => {
    const other = await startAnother();
    const notifier = start();
    const { device } = subscribed(notifier, other);
    const stranger = await startAnother({ certificate: createAuthority('another').issueServer() });
    const { device: untrusted } = subscribed(notifier, stranger);
    expect(await notifier.send(pushTo(untrusted), never)).toMatchObject({ ...retry, reason: 'tls-failed' });
    await other.close();
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ ...retry, reason: 'unreachable' });
  });

  it('an address that may not be connected to is dropped: a name that resolves to one, or options that changed', async () => {
    const resolved = start({ allowNetworks: [], ports: [] }, new MovableClock(), async () => ['127.0.0.1']);
    const endpoint = `https://push.example.org:${service.http.port}/${'x'.repeat(40)}`;
    const info = { ...service.subscribe(preferred.publicText).toJSON(), endpoint };
    const requests = service.http.tcpConnections;
    expect(await resolved.send(pushTo(deviceOf(resolved, info)), never)).toEqual({
      kind: 'dropped',
      reason: 'forbidden-address',
    });
    const { device } = subscribed(start());
    expect(await start({ allowNetworks: [] }).send(pushTo(device), never)).toEqual({
      kind: 'dropped',
      reason: 'endpoint-not-allowed',
    });
    expect(service.http.tcpConnections).toBe(requests);
  });

  it('an abort and a close end it at once', async () => {
    const notifier = start();
    const { browser, device } = subscribed(notifier);
    service.http.forPath(browser.path, { instead: 'hang' });
    const abort = new AbortController();
    const inFlight = service.http.requests;
    const aborted = notifier.send(pushTo(device), abort.signal);
    await eventually(() => service.http.requests > inFlight);
    abort.abort();
    expect(await aborted).toMatchObject({ kind: 'retry', reason: 'aborted' });
    expect(await notifier.send(pushTo(device), abort.signal)).toMatchObject({ reason: 'aborted' });
    const closed = notifier.send(pushTo(device), never);
    await notifier.close();
    expect(await closed).toMatchObject({ kind: 'retry', reason: 'closed' });
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ kind: 'retry', reason: 'closed' });
  });
});

describe('one push service', () => {
  it('that asks for a pause gets one, while the others are served', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const other = await startAnother();
    const { device } = subscribed(notifier);
    const { device: neighbour } = subscribed(notifier);
    const { device: elsewhere } = subscribed(notifier, other);
    service.http.next({ status: 503, headers: { 'retry-after': '120' } });
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ ...retry, afterMs: 120_000 });
    const requests = service.http.requests;
    const postponed = await notifier.send(pushTo(neighbour), never);
    expect(postponed).toMatchObject({ kind: 'postponed', reason: 'origin-paused' });
    expect(postponed.kind === 'postponed' && postponed.afterMs).toBeGreaterThan(118_000);
    expect(service.http.requests).toBe(requests);
    expect(await notifier.send(pushTo(elsewhere), never)).toEqual(DELIVERED);
    clock.offsetMs = 121_000;
    expect(await notifier.send(pushTo(neighbour), never)).toEqual(DELIVERED);
  });

  it('that finds several browsers in a row too busy is left alone', async () => {
    const notifier = start();
    service.http.standing = { status: 429, headers: { 'retry-after': '120' } };
    for (let count = 0; count < 3; count += 1) {
      expect(await outcomeOf({ status: 429, headers: { 'retry-after': '120' } }, notifier)).toMatchObject({
        ...retry,
        afterMs: 120_000,
      });
    }
    const { device } = subscribed(notifier);
    expect(await notifier.send(pushTo(device), never)).toMatchObject({
      kind: 'postponed',
      reason: 'origin-paused',
    });
  });

  it('that was never one and takes nothing gets few requests, whatever clients say', async () => {
    const notifier = start();
    const devices = Array.from({ length: 50 }, () => subscribed(notifier).device);
    const requests = service.http.requests;
    service.http.standing = { status: 405 };
    for (const device of devices) await notifier.send(pushTo(device), never);
    expect(service.http.requests - requests).toBe(3);
  });

  it('that hangs, under any number of names, leaves room for those that are known to deliver', async () => {
    const names = async (): Promise<string[]> => ['127.0.0.1'];
    const notifier = start({ maxInFlight: 16, ports: [] }, new MovableClock(), names);
    const { device: known } = subscribed(notifier);
    for (let count = 0; count < 16; count += 1) await notifier.send(pushTo(known), never);
    const dead = await TcpRelay.start(service.http.port);
    closing.push(() => dead.close());
    dead.swallowNew = true;
    const keys = service.subscribe(preferred.publicText).toJSON();
    const { port } = new URL(dead.endpoint);
    const abort = new AbortController();
    const sent = Array.from({ length: 40 }, (_, number) => {
      const endpoint = `https://${number}.attacker.example:${port}/${'x'.repeat(40)}`;
      return notifier.send(pushTo(deviceOf(notifier, { ...keys, endpoint })), abort.signal);
    });
    expect(await notifier.send(pushTo(known), never)).toEqual(DELIVERED);
    abort.abort();
    const kinds = (await Promise.all(sent)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'postponed')).toHaveLength(36);
  });

  it('that fails again and again is left alone, and asked again later', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const { device } = subscribed(notifier);
    const { device: elsewhere } = subscribed(notifier, await startAnother());
    service.http.standing = { status: 500 };
    for (let count = 0; count < 3; count += 1) {
      expect(await notifier.send(pushTo(device), never)).toMatchObject(retry);
    }
    const requests = service.http.requests;
    expect(await notifier.send(pushTo(device), never)).toMatchObject({
      kind: 'postponed',
      reason: 'origin-failing',
    });
    expect(service.http.requests).toBe(requests);
    expect(await notifier.send(pushTo(elsewhere), never)).toEqual(DELIVERED);
    service.http.standing = null;
    clock.offsetMs = 600_000;
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
  });

  it.each([
    ['of the big four', () => startKnown(google)],
    [
      'of anybody',
      async () => {
        const clock = new MovableClock();
        return { known: await startAnother(), notifier: start({}, clock), clock };
      },
    ],
  ])('%s is not silenced by one browser that is sent too much', async (_whose, startOne) => {
    const { known, notifier, clock } = await startOne();
    const { browser, device } = subscribed(notifier, known);
    const { device: neighbour } = subscribed(notifier, known);
    known.http.forPath(browser.path, { status: 429, headers: { 'retry-after': '60' } });
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ ...retry, afterMs: 60_000 });
    expect(await notifier.send(pushTo(neighbour), never)).toEqual(DELIVERED);
    const requests = known.http.requests;
    expect(await notifier.send(pushTo(device), never)).toMatchObject({
      kind: 'postponed',
      reason: 'endpoint-paused',
    });
    expect(known.http.requests).toBe(requests);
    known.http.forPath(browser.path, null);
    clock.offsetMs = 61_000;
    expect(await notifier.send(pushTo(device), never)).toEqual(DELIVERED);
  });

  it('holds no more than its share of the notifier', async () => {
    const notifier = start({ connections: 1 });
    const devices = Array.from({ length: 40 }, () => subscribed(notifier).device);
    service.http.standing = { instead: 'hang' };
    const abort = new AbortController();
    const sent = devices.map((device) => notifier.send(pushTo(device), abort.signal));
    const first = await Promise.race(sent);
    expect(first).toMatchObject({ kind: 'postponed', reason: 'origin-busy' });
    abort.abort();
    const outcomes = await Promise.all(sent);
    expect(outcomes.filter(({ kind }) => kind === 'retry').length).toBeLessThanOrEqual(8);
  });
});

describe('a refused signature', () => {
  const jwtRefused = appleError(403, 'BadJwtToken');

  it('is this device alone as long as the service takes others', async () => {
    const { known, notifier } = await startKnown(apple);
    await notifier.send(pushTo(subscribed(notifier, known).device), never);
    expect(await outcomeOf(jwtRefused, notifier, known)).toEqual({ kind: 'dropped', reason: 'BadJwtToken' });
    expect(notifier.health().state).toBe('connected');
  });

  it('is ours when one of the big four says so and nothing is delivered anywhere; the operator sees it', async () => {
    const { known, notifier } = await startKnown(apple);
    expect(await outcomeOf(jwtRefused, notifier, known)).toEqual({
      kind: 'misconfigured',
      reason: 'BadJwtToken',
    });
    expect(notifier.health()).toEqual({ state: 'failing', detail: 'BadJwtToken' });
    expect(await notifier.send(pushTo(subscribed(notifier, known).device), never)).toEqual(DELIVERED);
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });

  it('waits when other services take us, and does not stop the notifier', async () => {
    const { known, notifier } = await startKnown(apple);
    await notifier.send(pushTo(subscribed(notifier).device), never);
    expect(await outcomeOf(jwtRefused, notifier, known)).toMatchObject({ ...retry, reason: 'BadJwtToken' });
  });

  it('of a push service that anybody can run never stops the notifier', async () => {
    const notifier = start();
    const kinds = new Set<string>();
    for (let count = 0; count < 30; count += 1) {
      kinds.add((await outcomeOf({ status: 403, body: '{"reason":"BadJwtToken"}' }, notifier)).kind);
    }
    expect([...kinds].sort()).toEqual(['postponed', 'retry']);
  });
});

describe('an entry that cannot be started says why', () => {
  it.each<[string, Partial<WebpushEntry>, RegExp]>([
    ['no keys', { vapidKeyFiles: [] }, /^vapidKeyFiles is missing$/],
    [
      'no file',
      { vapidKeyFiles: ['/nowhere/vapid.pem'] },
      /^vapidKeyFiles: cannot read the file \(ENOENT\)$/,
    ],
    ['no subject', { subject: null }, /^subject is missing$/],
    ['a bare address', { subject: 'ops@example.org' }, /^subject: expected mailto:/],
    ['an http address', { subject: 'http://example.org' }, /^subject: expected mailto:/],
    ['a network that is none', { allowNetworks: ['everywhere'] }, /^allowNetworks: expected/],
    ['no trust anchor', { caFile: '/nowhere/ca.pem' }, /^caFile: cannot read the file/],
  ])('%s', (_name, changes, reason) => {
    const built = build(changes, new MovableClock());
    expect(built.ok ? '' : built.error).toMatch(reason);
  });

  it('a key file that is none, without a word of what is in it', () => {
    const file = files.write('bad.pem', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n');
    const built = build({ vapidKeyFiles: [file] }, new MovableClock());
    expect(built.ok ? '' : built.error).toBe(
      'vapidKeyFiles: not a secret key on P-256 (waggle keygen vapid makes one)',
    );
  });

  it('and the others start as the program starts them', async () => {
    const notifier = buildNotifier(entry);
    expect(notifier.type).toBe('webpush');
    await notifier.close();
  });
});
