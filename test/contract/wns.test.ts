import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { WakeMessage } from '../../src/codec/wake-content.js';
import type { Outcome } from '../../src/domain/outcome.js';
import type { Push } from '../../src/domain/push.js';
import { documentedGrantErrors } from '../../src/notifiers/client-credentials-grant.js';
import { documentedWnsStatuses } from '../../src/notifiers/wns/answers.js';
import type { WnsEntry } from '../../src/notifiers/wns/wns-entry.js';
import { createWnsNotifier } from '../../src/notifiers/wns/wns-notifier.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import type { ClientCredentialsStandIn } from '../simulators/providers/client-credentials-stand-in.js';
import type { Http1Answer } from '../simulators/providers/http1-stand-in.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { startMicrosoftOauth, wnsAnswer, WnsStandIn } from '../simulators/providers/wns-stand-in.js';
import {
  CredentialFiles,
  MovableClock,
  never,
  pushFor,
  serviceName,
  legacyPushFor,
  wakePushFor,
} from './notifier-fixtures.js';

const PACKAGE_SID = 'ms-app://s-1-15-2-2972962901-2322836549-3722629029';
const SECRET = 'Vex8L9WOFZuj95euaLrvSH7XyoDhLJc7';
const authority = createAuthority();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
let oauth: ClientCredentialsStandIn;
let wns: WnsStandIn;
let entry: WnsEntry;

beforeAll(async () => {
  oauth = await startMicrosoftOauth(authority.issueServer(), PACKAGE_SID, SECRET);
  oauth.expiresIn = 86_400;
  wns = await startAnother();
  closing.length = 0;
  entry = {
    type: 'wns',
    packageSid: PACKAGE_SID,
    clientSecret: SECRET,
    endpoint: wns.endpoint,
    tokenEndpoint: oauth.tokenEndpoint,
    caFile: files.write('ca.pem', authority.certPem),
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  wns.http.standing = null;
  oauth.http.standing = null;
});

afterAll(async () => {
  await wns.close();
  await oauth.close();
  files.remove();
});

async function startAnother(good?: boolean): Promise<WnsStandIn> {
  const other = await WnsStandIn.start({
    certificate: authority.issueServer(),
    isAuthorizationGood: (authorization) => good ?? oauth.isGood(authorization),
  });
  closing.push(() => other.close());
  return other;
}

function build(changes: Partial<WnsEntry>, clock: MovableClock) {
  return createWnsNotifier(serviceName('tested'), { ...entry, ...changes }, { clock });
}

function start(changes: Partial<WnsEntry> = {}, clock = new MovableClock()): Notifier {
  const built = build(changes, clock);
  if (!built.ok) throw new Error(built.error);
  closing.push(() => built.value.close());
  return built.value;
}

async function startDelivering(changes: Partial<WnsEntry> = {}, clock?: MovableClock): Promise<Notifier> {
  const notifier = start(changes, clock);
  expect(await send(notifier)).toEqual({ kind: 'delivered' });
  return notifier;
}

/** Stands still, so that waits come out in round numbers. */
class StillClock extends MovableClock {
  readonly #nowMs = Date.now();

  override nowMs(): number {
    return this.#nowMs + this.offsetMs;
  }
}

const channelUri = (host = 'db5p'): string =>
  `https://${host}.notify.windows.com/?token=AwYAAABq%2b${randomBytes(90).toString('hex')}%3d`;

/** A push as it arises from a subscribe with this channel. */
function pushTo(notifier: Notifier, channel: string, changes: Partial<Push> = {}): Push {
  const device = notifier.validate({ channel_uri: channel }, 'subscribe');
  if (device instanceof Promise || !device.ok) throw new Error('bad channel in a test');
  return pushFor(device.value.serviceId, { device: device.value, ...changes });
}

const send = (notifier: Notifier, channel = channelUri(), changes: Partial<Push> = {}): Promise<Outcome> =>
  notifier.send(pushTo(notifier, channel, changes), never);

async function outcomeOf(answer: Http1Answer, notifier = start(), channel = channelUri()): Promise<Outcome> {
  wns.forChannel(channel, answer);
  const outcome = await send(notifier, channel);
  wns.forChannel(channel, null);
  return outcome;
}

const retry = { kind: 'retry', cause: 'server', scope: 'push' };
const MINUTE = 60_000;

describe('what Microsoft receives for a publish of an XMPP server', () => {
  const { bodies, notification_headers: recordedHeaders } = (
    JSON.parse(readFileSync(new URL('../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
      readonly uwpx: {
        readonly wns: {
          readonly bodies: Readonly<Record<string, string>>;
          readonly notification_headers: Readonly<Record<string, string>>;
        };
      };
    }
  ).uwpx.wns;
  const wake = (message: Partial<WakeMessage>): Partial<Push> => ({
    content: wakePushFor('x', message).content,
    priority: 'normal',
  });

  it.each(Object.entries(bodies))(
    'is the notification of UWPX as it was handed over: %s',
    async (_id, raw) => {
      const notifier = start();
      expect(await send(notifier, channelUri(), wake({ raw, account: 'unseen' }))).toEqual({
        kind: 'delivered',
      });
      const received = wns.pushes.at(-1);
      expect(received?.bodyText).toBe(raw);
      const { authorization: _ours, ...fixed } = recordedHeaders;
      expect(received?.headers).toMatchObject(fixed);
      // Beyond the original: it is kept for a device that is offline, and wakes one that sleeps.
      expect(received?.headers).toMatchObject({ 'x-wns-cache-policy': 'cache', 'x-wns-priority': '1' });
      expect(received?.headers['x-wns-ttl']).toMatch(/^\d+$/);
    },
  );

  it('is for any other client how it is woken, and for what', async () => {
    const notifier = start();
    await send(notifier, channelUri(), wake({}));
    expect(wns.pushes.at(-1)?.bodyText).toBe('{"wake":"high"}');
    await send(notifier, channelUri(), wake({ urgency: 'silent', account: 'a"b', channel: 'é' }));
    expect(wns.pushes.at(-1)?.bodyText).toBe('{"wake":"silent","account":"a\\"b","channel":"\\u00e9"}');
    expect(wns.pushes.at(-1)?.headers).toMatchObject({ 'x-wns-type': 'wns/raw', 'x-wns-priority': '2' });
    await send(notifier, channelUri(), wake({ urgency: 'voip' }));
    expect(wns.pushes.at(-1)?.bodyText).toBe('{"wake":"voip"}');
    expect(wns.pushes.at(-1)?.headers).toMatchObject({ 'x-wns-priority': '1' });
  });

  it('is at an entry of toasts a toast with its own texts, when there is a message to show', async () => {
    const notifier = start({ notificationType: 'toast', toastTitle: 'never' });
    await send(notifier, channelUri(), wake({ alertTitle: 'A & B', alertBody: null }));
    expect(wns.pushes.at(-1)?.bodyText).toBe(
      '<toast><visual><binding template="ToastGeneric"><text>A &amp; B</text></binding></visual></toast>',
    );
    expect(wns.pushes.at(-1)?.headers).toMatchObject({
      'x-wns-type': 'wns/toast',
      'content-type': 'text/xml',
    });
    for (const message of [{ urgency: 'silent' }, { urgency: 'voip' }, { raw: '<test/>' }] as const) {
      await send(notifier, channelUri(), wake(message));
      expect(wns.pushes.at(-1)?.headers).toMatchObject({ 'x-wns-type': 'wns/raw' });
    }
  });

  it('is never more than WNS takes, nor what cannot be read', async () => {
    const notifier = start();
    const requests = wns.http.requests;
    expect(await send(notifier, channelUri(), wake({ raw: 'é'.repeat(2_501) }))).toEqual({
      kind: 'dropped',
      reason: 'too-large',
    });
    const toasts = start({ notificationType: 'toast' });
    expect(await send(toasts, channelUri(), wake({ alertTitle: '<'.repeat(2_000) }))).toEqual({
      kind: 'dropped',
      reason: 'too-large',
    });
    const content = { kind: 'wake', payload: Buffer.from('junk') } as const;
    expect(await send(notifier, channelUri(), { content })).toEqual({
      kind: 'dropped',
      reason: 'unreadable-content',
    });
    expect(wns.http.requests).toBe(requests);
    expect(await send(notifier, channelUri(), wake({ raw: 'é'.repeat(2_500) }))).toEqual({
      kind: 'delivered',
    });
  });

  it('tells as much about its channel as any other push', async () => {
    const notifier = await startDelivering();
    for (const [answer, kind] of [
      [wnsAnswer(410), 'dead-token'],
      [wnsAnswer(404), 'dead-token'],
      [wnsAnswer(403), 'dead-token'],
      [wnsAnswer(406), 'retry'],
      [wnsAnswer(503), 'retry'],
      [wnsAnswer(413), 'dropped'],
    ] as const) {
      const channel = channelUri();
      wns.forChannel(channel, answer);
      expect(await send(notifier, channel, wake({ raw: '<test/>' }))).toMatchObject({ kind });
      wns.forChannel(channel, null);
    }
  });
});

describe('what Microsoft receives', () => {
  it('is the raw notification of the original with a payload, kept for a device that is offline', async () => {
    const clock = new MovableClock();
    const payload = randomBytes(296);
    const channel = channelUri();
    const changes = {
      content: { kind: 'sealed', payload },
      expiresAtMs: clock.nowMs() + 3_600_999,
    } as const;
    expect(await send(start({}, clock), channel, changes)).toEqual({ kind: 'delivered' });
    const received = wns.pushes.at(-1);
    expect(channel.endsWith(received?.channel ?? '?')).toBe(true);
    expect(received?.bodyText).toBe(`{"enc_payload":"${payload.toString('base64')}","spns":"1"}`);
    expect(received?.headers).toMatchObject({
      'x-wns-type': 'wns/raw',
      'x-wns-requestforstatus': 'true',
      'content-type': 'application/octet-stream',
      'content-length': String(received?.bodyText.length),
      'x-wns-cache-policy': 'cache',
      'x-wns-ttl': '3600',
      'x-wns-priority': '1',
    });
    expect(received?.headers).not.toHaveProperty('x-wns-tag');
    expect(received?.headers).not.toHaveProperty('transfer-encoding');
  });

  it('has the token type as Microsoft wrote it', async () => {
    await startDelivering();
    expect(wns.pushes.at(-1)?.headers.authorization).toMatch(/^bearer EgAd/);
  });

  it('asks for no cache and no time to live when the option says so', async () => {
    await startDelivering({ cache: false });
    const headers = wns.pushes.at(-1)?.headers;
    expect(headers).not.toHaveProperty('x-wns-cache-policy');
    expect(headers).not.toHaveProperty('x-wns-ttl');
  });

  it('lives 30 days at most and a second at least; a push that has expired is not sent', async () => {
    const notifier = start();
    await send(notifier, channelUri(), { expiresAtMs: Date.now() + 1e11, priority: 'normal' });
    expect(wns.pushes.at(-1)?.headers).toMatchObject({ 'x-wns-ttl': '2592000', 'x-wns-priority': '2' });
    await send(notifier, channelUri(), { expiresAtMs: Date.now() + 900 });
    expect(wns.pushes.at(-1)?.headers).toMatchObject({ 'x-wns-ttl': '1' });
    const outcome = await send(notifier, channelUri(), { expiresAtMs: Date.now() - 1 });
    expect(outcome).toEqual({ kind: 'dropped', reason: 'expired' });
  });

  it('is a toast without the payload when the option says so', async () => {
    await startDelivering({ notificationType: 'toast', toastTitle: 'A & B', toastBody: '<b>"\u0000x\ud800' });
    const received = wns.pushes.at(-1);
    expect(received?.bodyText).toBe(
      '<toast><visual><binding template="ToastGeneric"><text>A &amp; B</text>' +
        '<text>&lt;b&gt;&quot;x</text></binding></visual></toast>',
    );
    expect(received?.headers).toMatchObject({ 'x-wns-type': 'wns/toast', 'content-type': 'text/xml' });
    expect(received?.headers).not.toHaveProperty('x-wns-cache-policy');
  });

  it('comes over few connections that stay open, with one access token', async () => {
    const other = await startAnother();
    const grants = oauth.grants;
    const notifier = start({ endpoint: other.endpoint, connections: 4 });
    const outcomes = await Promise.all(Array.from({ length: 32 }, () => send(notifier)));
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(notifier.capabilities.maxInFlight).toBe(32);
    expect(other.http.connections).toBeLessThanOrEqual(4);
    expect(oauth.grants - grants).toBe(1);
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });

  it('stays within 5000 bytes with the largest payload that the notifier says it takes', async () => {
    const notifier = start();
    expect(notifier.capabilities.maxPayloadBytes).toBeGreaterThanOrEqual(2856);
    const payload = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    const outcome = await send(notifier, channelUri(), { content: { kind: 'sealed', payload } });
    expect(outcome).toEqual({ kind: 'delivered' });
  });

  it('is never what was not sealed, nor anything for a device without a channel', async () => {
    const notifier = start();
    const requests = wns.http.requests;
    const unsealed = { content: { kind: 'unsealed', payload: Buffer.from('de') } } as const;
    expect(await send(notifier, channelUri(), unsealed)).toEqual({ kind: 'dropped', reason: 'not-sealed' });
    const { content } = legacyPushFor('x');
    expect(await send(notifier, channelUri(), { content })).toEqual({
      kind: 'dropped',
      reason: 'legacy-content',
    });
    const { device } = pushTo(notifier, channelUri());
    for (const serviceData of [null, Buffer.from('https://127.0.0.1/?token=x'), Buffer.from([0xff, 0])]) {
      const push = pushFor(device.serviceId, { device: { ...device, serviceData } });
      expect(await notifier.send(push, never)).toEqual({ kind: 'dropped', reason: 'malformed-channel' });
    }
    expect(wns.http.requests).toBe(requests);
  });
});

describe('every documented status', () => {
  const cases: Readonly<Record<number, object>> = {
    200: { kind: 'delivered' },
    400: { kind: 'misconfigured', reason: 'bad-request' },
    401: { kind: 'misconfigured', reason: 'unauthorized' },
    403: { kind: 'misconfigured', reason: 'forbidden' },
    404: { kind: 'dead-token', reason: 'not-found', sinceMs: null },
    405: { kind: 'misconfigured', reason: 'method-not-allowed' },
    406: { kind: 'retry', cause: 'throttled', scope: 'notifier', reason: 'throttled', afterMs: MINUTE },
    410: { kind: 'dead-token', reason: 'gone', sinceMs: null },
    413: { kind: 'dropped', reason: 'too-large' },
    500: { ...retry, reason: 'server-error', afterMs: null },
    503: { ...retry, reason: 'unavailable', afterMs: null },
  };

  it('is in the table', () => {
    expect([...documentedWnsStatuses]).toEqual(Object.keys(cases).map(Number));
  });

  it.each(Object.entries(cases))('%s', async (status, outcome) => {
    expect(await outcomeOf(wnsAnswer(Number(status)))).toEqual(outcome);
  });

  it.each<[number, object]>([
    [400, { kind: 'dropped', reason: 'bad-request' }],
    [401, { ...retry, reason: 'unauthorized' }],
    [403, { kind: 'dead-token', reason: 'forbidden', sinceMs: null }],
    [405, { kind: 'dropped', reason: 'method-not-allowed' }],
    [302, { kind: 'dropped', reason: 'http-302' }],
  ])(
    '%s is about channels that were never served, however many, and about us when those are refused that were',
    async (status, about) => {
      const notifier = start();
      const served = [channelUri(), channelUri(), channelUri()];
      for (const channel of served) expect(await send(notifier, channel)).toEqual({ kind: 'delivered' });
      for (let count = 0; count < 40; count += 1) {
        expect(await outcomeOf(wnsAnswer(status), notifier)).toMatchObject(about);
      }
      for (const channel of served) {
        expect(await outcomeOf(wnsAnswer(status), notifier, channel)).toMatchObject({
          kind: 'misconfigured',
        });
      }
      expect(await outcomeOf(wnsAnswer(status), notifier)).toMatchObject({ kind: 'misconfigured' });
      await send(notifier);
      expect(await outcomeOf(wnsAnswer(status), notifier)).toMatchObject(about);
    },
  );

  it('410 because the sender is blocked deletes nothing', async () => {
    const blocked = wnsAnswer(410, { 'x-wns-error-description': 'Domain Blocked' });
    expect(await outcomeOf(blocked)).toEqual({ kind: 'misconfigured', reason: 'sender-blocked' });
    const notifier = await startDelivering();
    expect(await outcomeOf(blocked, notifier)).toEqual({ kind: 'dropped', reason: 'sender-blocked' });
  });

  it.each<[string, Http1Answer, object]>([
    ['429', wnsAnswer(429), { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: MINUTE }],
    ['408', wnsAnswer(408), { ...retry, reason: 'http-408' }],
    ['502', { status: 502, body: '<html>' }, { ...retry, reason: 'http-502' }],
    ['302', { status: 302, headers: { location: 'https://127.0.0.1/' } }, { kind: 'misconfigured' }],
    ['418', { status: 418 }, { kind: 'misconfigured', reason: 'http-418' }],
    ['a page instead of nothing', { status: 200, body: '<html>' }, { kind: 'delivered' }],
    ['an endless page', { status: 200, instead: 'endless' }, { kind: 'delivered' }],
    ['500 without a body', { status: 500, body: '' }, retry],
  ])('not documented: %s', async (_case, answer, outcome) => {
    expect(await outcomeOf(answer)).toMatchObject(outcome);
  });
});

describe('X-WNS-Status tells more than 200', () => {
  it.each<[string, object]>([
    ['received', { kind: 'delivered' }],
    ['dropped', { kind: 'dropped', reason: 'dropped' }],
    [
      'channelthrottled',
      { kind: 'retry', cause: 'throttled', scope: 'push', reason: 'channelthrottled', afterMs: MINUTE },
    ],
    [
      'appthrottled',
      { kind: 'retry', cause: 'throttled', scope: 'notifier', reason: 'appthrottled', afterMs: MINUTE },
    ],
    ['somethingnew', { kind: 'delivered' }],
    ['constructor', { kind: 'delivered' }],
  ])('%s', async (status, outcome) => {
    const notifier = start({}, new StillClock());
    expect(await outcomeOf(wnsAnswer(200, {}, status), notifier)).toEqual(outcome);
    const older = { status: 200, headers: { 'X-WNS-NotificationStatus': status.toUpperCase() } };
    expect(await outcomeOf(older, notifier)).toEqual(outcome);
  });

  it('and more than 406: one channel or all of us', async () => {
    const wait = { 'retry-after': '900' };
    const channel = await outcomeOf(wnsAnswer(406, wait, 'channelthrottled'));
    expect(channel).toMatchObject({ cause: 'throttled', scope: 'push', afterMs: 900_000 });
    const all = await outcomeOf(wnsAnswer(406, wait, 'appthrottled'));
    expect(all).toMatchObject({ cause: 'throttled', scope: 'notifier', afterMs: 900_000 });
  });
});

describe('back-off', () => {
  it('leaves a throttled channel alone, a minute first and twice as long each time, until it takes one', async () => {
    const clock = new StillClock();
    const notifier = start({}, clock);
    const channel = channelUri();
    const far = { expiresAtMs: Date.now() + 1e9 };
    const throttled = wnsAnswer(200, {}, 'channelthrottled');
    wns.forChannel(channel, throttled);
    expect(await send(notifier, channel, far)).toMatchObject({ kind: 'retry', afterMs: MINUTE });
    const requests = wns.http.requests;
    clock.offsetMs += 20_000;
    expect(await send(notifier, channel, far)).toEqual({
      kind: 'postponed',
      reason: 'channel-throttled',
      afterMs: 40_000,
    });
    expect(wns.http.requests).toBe(requests);
    expect(await send(notifier)).toEqual({ kind: 'delivered' });
    clock.offsetMs += 40_000;
    expect(await send(notifier, channel, far)).toMatchObject({ kind: 'retry', afterMs: 2 * MINUTE });
    wns.forChannel(channel, null);
    clock.offsetMs += 2 * MINUTE;
    expect(await send(notifier, channel, far)).toEqual({ kind: 'delivered' });
    wns.forChannel(channel, throttled);
    expect(await send(notifier, channel, far)).toMatchObject({ kind: 'retry', afterMs: MINUTE });
    wns.forChannel(channel, null);
  });

  it('takes many throttled answers at once for one', async () => {
    const notifier = start({}, new StillClock());
    wns.http.standing = wnsAnswer(406);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => send(notifier)));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ scope: 'notifier', afterMs: MINUTE });
  });

  it('leaves a host alone that is in trouble, and the others are served', async () => {
    const notifier = start({}, new StillClock());
    for (let count = 0; count < 3; count += 1) {
      wns.http.next(wnsAnswer(503));
      expect(await send(notifier, channelUri('sick'))).toMatchObject(retry);
    }
    const requests = wns.http.requests;
    expect(await send(notifier, channelUri('sick'))).toMatchObject({
      kind: 'postponed',
      reason: 'origin-failing',
    });
    expect(wns.http.requests).toBe(requests);
    expect(await send(notifier, channelUri('well'))).toEqual({ kind: 'delivered' });
  });

  it('heeds the Retry-After of a host that is unavailable', async () => {
    const clock = new StillClock();
    const notifier = start({}, clock);
    wns.http.next(wnsAnswer(503, { 'retry-after': '30' }));
    expect(await send(notifier)).toMatchObject({ ...retry, afterMs: 30_000 });
    expect(await send(notifier)).toMatchObject({ kind: 'postponed', reason: 'origin-paused' });
    expect(await send(notifier, channelUri('other'))).toEqual({ kind: 'delivered' });
    clock.offsetMs = 31_000;
    expect(await send(notifier)).toEqual({ kind: 'delivered' });
  });
});

describe('trouble on the way', () => {
  const transport = { kind: 'retry', cause: 'transport', scope: 'push', afterMs: null };

  it.each([
    ['hang', 'timeout'],
    ['interim', 'timeout'],
    ['drip', 'timeout'],
    ['close', 'connection-lost'],
    ['reset', 'connection-lost'],
    ['close-mid-body', 'connection-lost'],
    ['reset-mid-body', 'connection-lost'],
    ['garbage', 'malformed'],
  ] as const)('%s speaks against Microsoft when the host has answered before', async (instead, reason) => {
    const notifier = await startDelivering({ requestTimeoutMs: 1_000 });
    wns.http.next({ instead });
    expect(await send(notifier)).toEqual({ ...transport, reason });
    expect(notifier.health()).toEqual({ state: 'failing', detail: reason });
    expect(await send(notifier)).toEqual({ kind: 'delivered' });
  });

  it('a host that never answered speaks against nobody: any client can make one up', async () => {
    const notifier = await startDelivering();
    wns.http.next({ instead: 'reset' });
    const outcome = await send(notifier, channelUri('made-up'));
    expect(outcome).toEqual({ ...retry, reason: 'connection-lost', afterMs: null });
  });

  it('nobody there is a retry', async () => {
    const other = await startAnother();
    const notifier = await startDelivering({ endpoint: other.endpoint });
    await other.close();
    closing.splice(closing.length - 2, 1);
    const reason: unknown = expect.stringMatching(/^(unreachable|connection-lost)$/);
    expect(await send(notifier)).toEqual({ ...transport, reason });
  });

  it('a certificate that nobody trusts is a retry, and nothing was sent', async () => {
    const other = await WnsStandIn.start({
      certificate: createAuthority('Stranger').issueServer(),
      isAuthorizationGood: () => true,
    });
    closing.push(() => other.close());
    const outcome = await send(start({ endpoint: other.endpoint }));
    expect(outcome).toEqual({ ...retry, reason: 'tls-failed', afterMs: null });
    expect(other.http.requests).toBe(0);
  });

  it('a connection that is open but dead is replaced', async () => {
    const relay = await TcpRelay.start(wns.http.port);
    closing.push(() => relay.close());
    const endpoint = relay.endpoint;
    const notifier = await startDelivering({ endpoint, requestTimeoutMs: 1_000, connections: 1 });
    relay.swallowPresent();
    expect(await send(notifier)).toEqual({ ...transport, reason: 'timeout' });
    expect(await send(notifier)).toEqual({ kind: 'delivered' });
    expect(relay.connections).toBe(2);
  });

  it('an abort or a close settles what is under way, and speaks against no host', async () => {
    wns.http.standing = { instead: 'hang' };
    const notifier = start();
    const abort = new AbortController();
    const seen = wns.http.requests;
    const aborted = notifier.send(pushTo(notifier, channelUri()), abort.signal);
    const closed = send(notifier);
    await eventually(() => wns.http.requests === seen + 2);
    abort.abort();
    expect(await aborted).toEqual({ ...transport, reason: 'aborted' });
    await notifier.close();
    expect(await closed).toEqual({ ...transport, reason: 'closed' });
    expect(await send(notifier)).toEqual({ ...transport, reason: 'closed' });
  });
});

describe('access tokens', () => {
  it('are renewed in the background at four fifths of their life: no push waits', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const far = { expiresAtMs: Date.now() + 1e9 };
    await send(notifier, channelUri(), far);
    const grants = oauth.grants;
    clock.offsetMs = 0.79 * 86_400_000;
    await send(notifier, channelUri(), far);
    expect(oauth.grants).toBe(grants);
    const first = wns.pushes.at(-1)?.headers.authorization;
    clock.offsetMs = 0.81 * 86_400_000;
    await send(notifier, channelUri(), far);
    expect(wns.pushes.at(-1)?.headers.authorization).toBe(first);
    await eventually(async () => {
      await send(notifier, channelUri(), far);
      return wns.pushes.at(-1)?.headers.authorization !== first;
    });
    expect(oauth.grants).toBe(grants + 1);
  });

  it('that are refused are replaced once, and the pushes go again with the new one', async () => {
    const notifier = await startDelivering();
    const before = wns.pushes.at(-1)?.headers.authorization;
    const grants = oauth.grants;
    oauth.good.clear();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => send(notifier)));
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(oauth.grants - grants).toBe(1);
    expect(wns.pushes.at(-1)?.headers.authorization).not.toBe(before);
  });

  it('are not asked for again and again when WNS refuses all of them', async () => {
    const other = await startAnother(false);
    const notifier = start({ endpoint: other.endpoint });
    const grants = oauth.grants;
    for (let count = 0; count < 5; count += 1) {
      expect(await send(notifier)).toEqual({ kind: 'misconfigured', reason: 'unauthorized' });
    }
    expect(oauth.grants - grants).toBe(2);
  });

  it('come from Entra ID for an app that is registered there', async () => {
    const tenantId = '72f988bf-86f1-41af-91ab-2d7cd011db47';
    const clientId = '8f5e2a1c-0000-4000-8000-000000000001';
    const entra = await startMicrosoftOauth(authority.issueServer(), clientId, SECRET, tenantId);
    closing.push(() => entra.close());
    const other = await WnsStandIn.start({
      certificate: authority.issueServer(),
      isAuthorizationGood: entra.isGood,
    });
    closing.push(() => other.close());
    const changes = { packageSid: clientId, tenantId, tokenEndpoint: entra.tokenEndpoint };
    await startDelivering({ ...changes, endpoint: other.endpoint });
    expect(other.pushes.at(-1)?.headers.authorization).toMatch(/^Bearer EgAd/);
  });

  it.each<[string, Http1Answer, object]>([
    [
      'a wrong secret',
      { status: 400, body: { error: 'invalid_client', error_description: SECRET } },
      { kind: 'misconfigured', reason: 'invalid_client' },
    ],
    [
      'an unknown app',
      { status: 401, body: { error: 'unauthorized_client', error_codes: [700016] } },
      { kind: 'misconfigured', reason: 'unauthorized_client' },
    ],
    ['an error of their own', { status: 400, body: { error: 'whatever' } }, { reason: 'token-http-400' }],
    [
      'a passing error',
      { status: 400, body: { error: 'temporarily_unavailable' } },
      { kind: 'retry', cause: 'server', scope: 'notifier' },
    ],
    ['a server error', { status: 503 }, { kind: 'retry', cause: 'server', scope: 'notifier' }],
    [
      'throttling',
      { status: 429, headers: { 'retry-after': '7' } },
      { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: 7_000 },
    ],
    ['a broken connection', { instead: 'reset' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['silence', { instead: 'hang' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['garbage', { instead: 'garbage' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['no JSON', { body: '<html>' }, { kind: 'retry', cause: 'server' }],
    ['nothing', { body: '' }, { kind: 'retry', cause: 'server' }],
  ])('that cannot be had make the push wait or tell the operator: %s', async (_case, answer, outcome) => {
    oauth.http.standing = answer;
    const notifier = start({ tokenTimeoutMs: 700 });
    const requests = oauth.http.requests;
    expect(await send(notifier)).toMatchObject(outcome);
    expect(await send(notifier)).toMatchObject(outcome);
    expect(oauth.http.requests - requests).toBe(1);
    expect(notifier.health().state).toBe('failing');
  });

  describe('are refused with a documented word', () => {
    const passing = (cause: string): object => ({ kind: 'retry', cause, scope: 'notifier' });
    const cases: Readonly<Record<string, object>> = {
      invalid_client: { kind: 'misconfigured' },
      invalid_grant: { kind: 'misconfigured' },
      invalid_request: { kind: 'misconfigured' },
      invalid_resource: { kind: 'misconfigured' },
      invalid_scope: { kind: 'misconfigured' },
      unauthorized_client: { kind: 'misconfigured' },
      unsupported_grant_type: { kind: 'misconfigured' },
      access_denied: { kind: 'misconfigured' },
      consent_required: { kind: 'misconfigured' },
      server_error: passing('server'),
      temporarily_unavailable: passing('server'),
      '1302': passing('throttled'),
      '70001401': passing('server'),
      '70001402': passing('server'),
      '70020002': passing('server'),
    };

    it('that is in the table', () => {
      expect([...documentedGrantErrors].sort()).toEqual(Object.keys(cases).sort());
    });

    it.each(Object.entries(cases))('%s', async (error, outcome) => {
      oauth.http.standing = { status: 400, body: { error } };
      const reason = 'cause' in outcome ? 'no-access-token' : error;
      expect(await send(start())).toMatchObject({ ...outcome, reason });
    });
  });

  it('cannot be had where nobody is', async () => {
    const gone = await startMicrosoftOauth(authority.issueServer(), PACKAGE_SID, SECRET);
    const { tokenEndpoint } = gone;
    await gone.close();
    expect(await send(start({ tokenEndpoint }))).toMatchObject({ kind: 'retry', cause: 'transport' });
  });
});

describe('what operators get to see', () => {
  it('holds no secret, token, channel or payload, whatever Microsoft echoes', async () => {
    const channel = channelUri();
    const echo = `${SECRET} ${channel} bearer EgAd`;
    const notifier = start();
    const seen: unknown[] = [];
    for (const status of [200, 400, 403, 404, 406, 410, 418]) {
      const headers = { 'x-wns-error-description': echo, 'x-wns-status': echo };
      wns.forChannel(channel, { status, headers, body: echo });
      seen.push(await send(notifier, channel), notifier.health());
    }
    wns.forChannel(channel, null);
    const text = JSON.stringify(seen);
    for (const secret of [SECRET, 'AwYAAABq', 'notify.windows', 'EgAd']) expect(text).not.toContain(secret);
  });
});

describe('options that cannot work skip the entry with a reason', () => {
  it.each<[string, Partial<WnsEntry>, RegExp]>([
    ['no package', { packageSid: null }, /^packageSid is missing$/],
    ['no secret', { clientSecret: '' }, /^clientSecret is missing$/],
    ['a tenant that is a path', { tenantId: '../common' }, /^tenantId is malformed$/],
    ['a wrong endpoint', { endpoint: 'https://host/path' }, /^endpoint/],
    ['a token endpoint without TLS', { tokenEndpoint: 'http://host/token' }, /^tokenEndpoint/],
    [
      'a toast that is too long',
      { notificationType: 'toast', toastBody: '&'.repeat(1_000) },
      /^toastTitle and toastBody/,
    ],
    ['no CA file', { caFile: '/nowhere/ca.pem' }, /^caFile/],
  ])('%s', (_case, changes, reason) => {
    const built = build(changes, new MovableClock());
    if (built.ok) throw new Error('expected a refusal');
    expect(built.error).toMatch(reason);
    expect(built.error).not.toContain(SECRET);
  });

  it('works without an endpoint and a token endpoint: they are Microsoft’s', async () => {
    for (const tenantId of [null, 'contoso.onmicrosoft.com']) {
      expect(build({ tenantId, endpoint: null, tokenEndpoint: null }, new MovableClock()).ok).toBe(true);
    }
  });
});
