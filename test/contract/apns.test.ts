import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.js';
import { documentedApnsReasons } from '../../src/notifiers/apns/answers.js';
import type { ApnsEntry } from '../../src/notifiers/apns/apns-entry.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority, createTokenKey } from '../simulators/certificates.js';
import { createPkcs12 } from '../simulators/pkcs12.js';
import { eventually } from '../simulators/eventually.js';
import { startApnsStandIn, type ApnsStandIn } from '../simulators/providers/apns-stand-in.js';
import type { ScriptedAnswer } from '../simulators/providers/scripted-answers.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import {
  apnsToken,
  buildNotifier,
  CredentialFiles,
  MovableClock,
  never,
  pushFor,
  serviceName,
  skipReason,
} from './notifier-fixtures.js';
import { createNotifiers } from '../../src/notifiers/registry.js';
import { silentLog } from '../../src/telemetry/log.js';

const TOPIC = 'com.loki-project.loki-messenger';

interface Vectors {
  readonly provider_bodies: readonly { readonly payload: string; readonly apns_body: string }[];
  readonly payloads: readonly { readonly name: string; readonly enc_payload: string }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;

const authority = createAuthority();
const tokenKey = createTokenKey();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
let apns: ApnsStandIn;
let entry: ApnsEntry;

beforeAll(async () => {
  apns = await startApnsStandIn({ certificate: authority.issueServer(), topic: TOPIC, tokenKey });
  entry = {
    type: 'apns',
    topic: TOPIC,
    sandbox: false,
    keyFile: files.write('key.p8', tokenKey.p8Pem),
    keyId: tokenKey.keyId,
    teamId: tokenKey.teamId,
    endpoint: apns.endpoint,
    caFile: files.write('ca.pem', authority.certPem),
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  apns.answers.standing = null;
});

afterAll(async () => {
  await apns.close();
  files.remove();
});

function start(changes: Partial<ApnsEntry> = {}, clock = new MovableClock()): Notifier {
  const notifier = buildNotifier({ ...entry, ...changes }, clock);
  closing.push(() => notifier.close());
  return notifier;
}

async function startAnother(options: Partial<Parameters<typeof startApnsStandIn>[0]>): Promise<ApnsStandIn> {
  const other = await startApnsStandIn({
    certificate: authority.issueServer(),
    topic: TOPIC,
    tokenKey,
    ...options,
  });
  closing.push(() => other.close());
  return other;
}

async function relayTo(standIn: ApnsStandIn): Promise<TcpRelay> {
  const relay = await TcpRelay.start(standIn.port);
  closing.push(() => relay.close());
  return relay;
}

/** What becomes of one push when the stand-in answers so. */
async function outcomeOf(answer: ScriptedAnswer): Promise<Outcome> {
  const token = apnsToken();
  apns.answers.forToken(token, answer);
  const outcome = await start({ requestTimeoutMs: 2_000 }).send(pushFor(token), never);
  apns.answers.forToken(token, null);
  return outcome;
}

describe('what Apple receives', () => {
  it.each(vectors.provider_bodies)('is the body of the original byte for byte: $payload', async (vector) => {
    const payload = vectors.payloads.find(({ name }) => name === vector.payload);
    const token = apnsToken();
    const push = pushFor(token, {
      content: { kind: 'sealed', payload: Buffer.from(payload?.enc_payload ?? '', 'base64') },
    });
    expect(await start().send(push, never)).toEqual({ kind: 'delivered' });
    expect(apns.pushes.find((seen) => seen.token === token)?.bodyText).toBe(vector.apns_body);
  });

  it('carries the headers of an alert with its expiry, and an id that is the same for every attempt', async () => {
    const token = apnsToken();
    const push = pushFor(token, { expiresAtMs: 1_999_999_999_999, priority: 'normal' });
    const notifier = start({ collapseRepeats: true });
    await notifier.send(push, never);
    await notifier.send({ ...push, attempts: 1, priority: 'high' }, never);
    const [first, second] = apns.pushes.filter((seen) => seen.token === token);
    expect(first?.headers).toMatchObject({
      ':path': `/3/device/${token}`,
      'apns-topic': TOPIC,
      'apns-push-type': 'alert',
      'apns-priority': '5',
      'apns-expiration': '1999999999',
      'apns-collapse-id': push.dedupeKey.toString('hex'),
    });
    expect(second?.headers['apns-priority']).toBe('10');
    expect(second?.headers['apns-id']).toBe(first?.headers['apns-id']);
    expect(first?.headers['apns-id']).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });

  it('has the same apns-id for every attempt, and without being asked no collapse id', async () => {
    const token = apnsToken();
    const push = pushFor(token);
    const other = await startAnother({});
    const notifier = start({ endpoint: other.endpoint });
    const ids = new Set<unknown>();
    other.answers.next({ status: 500 }, { instead: 'refuse' }, { instead: 'refuse' });
    other.onRequest = (headers) => {
      ids.add(headers['apns-id']);
      expect(headers['apns-collapse-id']).toBeUndefined();
    };
    await notifier.send(push, never);
    expect(await notifier.send({ ...push, attempts: 1 }, never)).toEqual({ kind: 'delivered' });
    expect(other.requests).toBe(4);
    expect(ids.size).toBe(1);
  });

  it.each([
    ['high', 10, '10'],
    ['high', 5, '5'],
    ['high', 1, '1'],
    ['normal', 10, '10'],
    ['high', null, '10'],
    ['normal', null, '5'],
  ] as const)('has the priority of the entry, or its own: %s, %s', async (own, fixed, header) => {
    const token = apnsToken();
    expect(await start({ priority: fixed }).send(pushFor(token, { priority: own }), never)).toEqual({
      kind: 'delivered',
    });
    expect(apns.pushes.find((seen) => seen.token === token)?.headers['apns-priority']).toBe(header);
  });

  it('is a background push without any alert and of priority 5, whatever its own', async () => {
    const token = apnsToken();
    const notifier = start({ pushType: 'background', alertTitle: 'never seen' });
    expect(await notifier.send(pushFor(token, { priority: 'high' }), never)).toEqual({ kind: 'delivered' });
    const seen = apns.pushes.find((push) => push.token === token);
    expect(seen?.headers).toMatchObject({ 'apns-push-type': 'background', 'apns-priority': '5' });
    expect(seen?.bodyText).toMatch(
      /^\{"aps": \{"content-available": 1\}, "spns": 1, "enc_payload": "[^"]+"\}$/,
    );
  });

  it('is a VoIP push to the topic for it, with nothing but the payload and room for more of it', async () => {
    const topic = 'com.example.app.voip';
    const other = await startAnother({ topic });
    const notifier = start({ endpoint: other.endpoint, topic, pushType: 'voip' });
    const payload = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    expect(payload.length).toBeGreaterThan(3700);
    const push = pushFor(apnsToken(), { content: { kind: 'sealed', payload } });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
    expect(other.pushes[0]?.headers).toMatchObject({ 'apns-push-type': 'voip', 'apns-priority': '10' });
    expect(other.pushes[0]?.bodyText).toMatch(/^\{"aps": \{\}, "spns": 1, "enc_payload": "/);
  });

  it('does not make iOS run the extension when told so', async () => {
    const token = apnsToken();
    await start({ mutableContent: false }).send(pushFor(token), never);
    const body = apns.pushes.find((seen) => seen.token === token)?.bodyText;
    expect(body).toContain('"alert": {');
    expect(body).not.toContain('mutable-content');
  });

  it('has the texts of the entry, in ASCII, and leaves out what is null', async () => {
    const token = apnsToken();
    const notifier = start({
      alertTitle: 'Grüße',
      alertBody: 'neu',
      badge: null,
      sound: null,
      category: null,
    });
    await notifier.send(pushFor(token), never);
    expect(apns.pushes.find((seen) => seen.token === token)?.bodyText).toMatch(
      /^\{"aps": \{"alert": \{"title": "Gr\\u00fc\\u00dfe", "body": "neu"\}, "mutable-content": 1\}, "spns": 1, "enc_payload": "/,
    );
  });

  it('never exceeds the 4096 bytes, with the largest payload that the notifier says it takes', async () => {
    const token = apnsToken();
    const notifier = start();
    const payload = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    expect(payload.length).toBeGreaterThanOrEqual(2856);
    expect(await notifier.send(pushFor(token, { content: { kind: 'sealed', payload } }), never)).toEqual({
      kind: 'delivered',
    });
    expect(apns.pushes.find((seen) => seen.token === token)?.bodyText.length).toBeGreaterThan(4090);
  });

  it('does not see a push that has expired', async () => {
    const token = apnsToken();
    const outcome = await start().send(pushFor(token, { expiresAtMs: Date.now() - 1 }), never);
    expect(outcome).toEqual({ kind: 'dropped', reason: 'expired' });
  });

  it('comes over one TLS session, however many pushes there are', async () => {
    const other = await startAnother({ maxConcurrentStreams: 20 });
    const notifier = start({ endpoint: other.endpoint, widenAfterMs: 10_000 });
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, () => notifier.send(pushFor(apnsToken()), never)),
    );
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(other.connections).toBe(1);
    expect(other.maxStreamsSeen).toBeLessThanOrEqual(20);
    expect(notifier.health()).toMatchObject({ state: 'connected', detail: null });
  });
});

describe('every documented answer', () => {
  const expected: Readonly<Record<string, object>> = {
    '400 BadCollapseId': { kind: 'dropped' },
    '400 BadDeviceToken': { kind: 'dead-token', sinceMs: null, mayBeOurs: true },
    '400 BadExpirationDate': { kind: 'dropped' },
    '400 BadMessageId': { kind: 'dropped' },
    '400 BadPriority': { kind: 'dropped' },
    '400 BadTopic': { kind: 'misconfigured' },
    '400 DeviceTokenNotForTopic': { kind: 'misconfigured' },
    '400 DuplicateHeaders': { kind: 'dropped' },
    '400 IdleTimeout': { kind: 'retry', cause: 'transport', scope: 'push' },
    '400 InvalidPushType': { kind: 'dropped' },
    '400 MissingDeviceToken': { kind: 'dropped' },
    '400 MissingTopic': { kind: 'misconfigured' },
    '400 PayloadEmpty': { kind: 'dropped' },
    '400 TopicDisallowed': { kind: 'misconfigured' },
    '403 BadCertificate': { kind: 'misconfigured' },
    '403 BadCertificateEnvironment': { kind: 'misconfigured' },
    '403 BadEnvironmentKeyIdInToken': { kind: 'misconfigured' },
    '403 ExpiredProviderToken': { kind: 'misconfigured' },
    '403 Forbidden': { kind: 'misconfigured' },
    '403 InvalidProviderToken': { kind: 'misconfigured' },
    '403 MissingProviderToken': { kind: 'misconfigured' },
    '403 UnrelatedKeyIdInToken': { kind: 'misconfigured' },
    '404 BadPath': { kind: 'misconfigured' },
    '405 MethodNotAllowed': { kind: 'misconfigured' },
    '410 ExpiredToken': { kind: 'dead-token', sinceMs: 1_700_000_000_123 },
    '410 Unregistered': { kind: 'dead-token', sinceMs: 1_700_000_000_123 },
    '413 PayloadTooLarge': { kind: 'dropped' },
    '429 TooManyProviderTokenUpdates': {
      kind: 'retry',
      cause: 'throttled',
      scope: 'notifier',
      afterMs: 60_000,
    },
    '429 TooManyRequests': { kind: 'retry', cause: 'throttled', scope: 'push', afterMs: null },
    '500 InternalServerError': { kind: 'retry', cause: 'server', scope: 'push' },
    '503 ServiceUnavailable': { kind: 'retry', cause: 'server', scope: 'notifier' },
    '503 Shutdown': { kind: 'retry', cause: 'server', scope: 'push' },
  };

  it('is in the table', () => {
    expect([...documentedApnsReasons].sort()).toEqual(Object.keys(expected).sort());
  });

  it.each(Object.entries(expected))('%s', async (answer, outcome) => {
    const [status = '', reason = ''] = answer.split(' ');
    const body = status === '410' ? { reason, timestamp: 1_700_000_000_123 } : { reason };
    expect(await outcomeOf({ status: Number(status), body })).toEqual(
      expect.objectContaining({ ...outcome, reason }),
    );
  });
});

describe('a provider that wants to be left alone', () => {
  it('gets nothing of what waits for a stream: that was not sent', async () => {
    const other = await startAnother({ maxConcurrentStreams: 5 });
    const notifier = start({ endpoint: other.endpoint, widenAfterMs: 10_000 });
    await notifier.send(pushFor(apnsToken()), never); // connected, with the peer's limit known
    other.answers.standing = { status: 429, headers: { 'retry-after': '2' } };
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => notifier.send(pushFor(apnsToken()), never)),
    );
    const postponed = outcomes.filter(({ kind }) => kind === 'postponed');
    expect(postponed).toHaveLength(45);
    expect(outcomes.filter(({ kind }) => kind === 'retry')).toHaveLength(5);
    other.answers.standing = null;
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
  });
});

describe('too many requests', () => {
  it('are of one device, but of all when Apple says how long to wait', async () => {
    const body = { reason: 'TooManyRequests' };
    expect(await outcomeOf({ status: 429, body })).toMatchObject({ scope: 'push', afterMs: null });
    expect(await outcomeOf({ status: 429, body, headers: { 'retry-after': '2' } })).toMatchObject({
      kind: 'retry',
      scope: 'notifier',
      afterMs: 2000,
    });
  });
});

describe('a token that Apple calls bad', () => {
  const bad = { kind: 'dead-token', reason: 'BadDeviceToken', sinceMs: null };

  it('may be of the other environment, as all then are, until one was taken', async () => {
    const token = apnsToken();
    apns.answers.forToken(token, { status: 400, body: { reason: 'BadDeviceToken' } });
    const notifier = start();
    expect(await notifier.send(pushFor(token), never)).toEqual({ ...bad, mayBeOurs: true });
    await notifier.send(pushFor(apnsToken()), never);
    expect(await notifier.send(pushFor(token), never)).toEqual(bad);
  });
});

describe('a token of another app', () => {
  it('stops nobody else: while others are delivered it is that one push which is dropped', async () => {
    const foreign = apnsToken();
    apns.answers.forToken(foreign, { status: 400, body: { reason: 'DeviceTokenNotForTopic' } });
    const notifier = start();
    const reason = 'DeviceTokenNotForTopic';
    expect(await notifier.send(pushFor(foreign), never)).toEqual({ kind: 'misconfigured', reason });
    await notifier.send(pushFor(apnsToken()), never);
    for (let count = 0; count < 30; count += 1) {
      expect(await notifier.send(pushFor(foreign), never)).toEqual({ kind: 'dropped', reason });
    }
  });

  it('speaks against us when those are refused that were served before', async () => {
    const served = [apnsToken(), apnsToken(), apnsToken()];
    const notifier = start();
    for (const token of served) await notifier.send(pushFor(token), never);
    for (const token of served)
      apns.answers.forToken(token, { status: 400, body: { reason: 'DeviceTokenNotForTopic' } });
    for (const token of served) {
      expect(await notifier.send(pushFor(token), never)).toMatchObject({ kind: 'misconfigured' });
    }
  });
});

describe('answers that Apple does not document', () => {
  it.each([
    [400, { reason: 'SomethingNew' }, { kind: 'dropped', reason: 'http-400' }],
    [401, '', { kind: 'misconfigured', reason: 'http-401' }],
    [403, { reason: 'SomethingNew' }, { kind: 'misconfigured', reason: 'http-403' }],
    [404, '<html>', { kind: 'misconfigured', reason: 'http-404' }],
    [410, { reason: 'SomethingNew' }, { kind: 'dead-token', reason: 'http-410', sinceMs: null }],
    [410, 'gone', { kind: 'dropped', reason: 'http-410' }],
    [413, '', { kind: 'dropped', reason: 'http-413' }],
    [429, '', { kind: 'retry', reason: 'http-429', cause: 'throttled', scope: 'notifier', afterMs: null }],
    [500, '', { kind: 'retry', reason: 'http-500', cause: 'server', scope: 'push', afterMs: null }],
    [
      502,
      '<html>Bad gateway</html>',
      { kind: 'retry', reason: 'http-502', cause: 'server', scope: 'push', afterMs: null },
    ],
    [503, '', { kind: 'retry', reason: 'http-503', cause: 'server', scope: 'notifier', afterMs: null }],
    [302, '', { kind: 'misconfigured', reason: 'http-302' }],
  ] as const)('%d %j is judged by its class', async (status, body, outcome) => {
    expect(await outcomeOf({ status, body })).toEqual(outcome);
  });

  it('reads no more of an endless answer than the limit', async () => {
    const outcome = await outcomeOf({ status: 500, body: 'x'.repeat(200_000) });
    expect(outcome).toMatchObject({ kind: 'retry', reason: 'http-500' });
  });

  it.each([
    ['a number of seconds', '17', 17_000, 17_000],
    ['a date', new Date(Date.now() + 90_000).toUTCString(), 80_000, 91_000],
    ['more than an hour, which is cut', '999999', 3_600_000, 3_600_000],
  ])('honours Retry-After given as %s', async (_form, value, leastMs, mostMs) => {
    const outcome = await outcomeOf({
      status: 503,
      body: { reason: 'ServiceUnavailable' },
      headers: { 'retry-after': value },
    });
    if (outcome.kind !== 'retry' || outcome.afterMs === null) throw new Error('expected a wait');
    expect(outcome.afterMs).toBeGreaterThanOrEqual(leastMs);
    expect(outcome.afterMs).toBeLessThanOrEqual(mostMs);
  });
});

describe('trouble on the way', () => {
  const transport = { kind: 'retry', cause: 'transport', scope: 'push' };

  it('a request without an answer ends at its time limit', async () => {
    const token = apnsToken();
    apns.answers.forToken(token, { instead: 'hang' });
    const outcome = await start({ requestTimeoutMs: 200 }).send(pushFor(token), never);
    expect(outcome).toMatchObject({ ...transport, reason: 'timeout' });
  });

  it('a hanging request delays no other', async () => {
    const token = apnsToken();
    apns.answers.forToken(token, { instead: 'hang' });
    const notifier = start({ requestTimeoutMs: 1_000 });
    const hanging = notifier.send(pushFor(token), never);
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect((await hanging).kind).toBe('retry');
  });

  it('a reset stream is a retry', async () => {
    expect(await outcomeOf({ instead: 'reset' })).toMatchObject({ ...transport, reason: 'reset' });
  });

  it('a broken connection is a retry, and the next push makes a new one', async () => {
    const other = await startAnother({});
    other.answers.next({ instead: 'destroy' });
    const notifier = start({ endpoint: other.endpoint });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      ...transport,
      reason: 'connection-lost',
    });
    const delivered = await eventually(async () => {
      const outcome = await notifier.send(pushFor(apnsToken()), never);
      return outcome.kind === 'delivered';
    });
    expect(delivered).toBe(true);
  });

  it('a refused stream is sent again at once', async () => {
    const token = apnsToken();
    apns.answers.next({ instead: 'refuse' }, { instead: 'refuse' });
    expect(await start().send(pushFor(token), never)).toEqual({ kind: 'delivered' });
  });

  it('a stream that is refused again and again is not sent for ever', async () => {
    const token = apnsToken();
    apns.answers.forToken(token, { instead: 'refuse' });
    const before = apns.requests;
    expect(await start({ maxResends: 2 }).send(pushFor(token), never)).toMatchObject({
      ...transport,
      reason: 'refused',
    });
    expect(apns.requests - before).toBe(3);
    apns.answers.forToken(token, null);
  });

  it('GOAWAY loses nothing: what was taken is answered, what was not goes over a new connection', async () => {
    const other = await startAnother({});
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(apnsToken()), never);
    other.answers.standing = { delayMs: 50, status: 200 };
    const sent = Array.from({ length: 100 }, () => notifier.send(pushFor(apnsToken()), never));
    await eventually(() => other.requests > 50);
    other.goAway();
    const late = Array.from({ length: 100 }, () => notifier.send(pushFor(apnsToken()), never));
    const outcomes = await Promise.all([...sent, ...late]);
    expect(outcomes.filter(({ kind }) => kind !== 'delivered')).toEqual([]);
    expect(other.connections).toBeGreaterThanOrEqual(2);
    expect(other.requests).toBe(201);
  });

  it('a stream above the last one of a GOAWAY goes over a new connection', async () => {
    const other = await startAnother({});
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(apnsToken()), never); // node cannot say GOAWAY with 0 as the last stream
    other.answers.next({ instead: 'goaway' });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect(other.connections).toBe(2);
  });

  it('a connection that breaks after GOAWAY, with requests that Apple may have acted upon, is a retry', async () => {
    const other = await startAnother({});
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(apnsToken()), never);
    other.answers.standing = { instead: 'hang' };
    const taken = notifier.send(pushFor(apnsToken()), never);
    await eventually(() => other.requests === 2);
    other.goAway();
    other.destroyConnections();
    expect(await taken).toMatchObject({ ...transport, reason: 'connection-lost' });
    expect(other.requests).toBe(2);
  });

  it('an answer that never ends is given up at the time limit', async () => {
    const other = await startAnother({});
    other.byteEveryMs = 1_000;
    other.answers.next({ status: 400, body: { reason: 'BadDeviceToken' } });
    const notifier = start({ endpoint: other.endpoint, requestTimeoutMs: 300 });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      ...transport,
      reason: 'timeout',
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('Shutdown makes the next push use another connection', async () => {
    const other = await startAnother({});
    other.answers.next({ status: 503, body: { reason: 'Shutdown' } });
    const notifier = start({ endpoint: other.endpoint });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      kind: 'retry',
      reason: 'Shutdown',
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect(other.connections).toBe(2);
  });

  it('nobody listening is a retry that comes quickly, and the state says so', async () => {
    const other = await startAnother({});
    const { endpoint } = other;
    await other.close();
    closing.pop();
    const notifier = start({ endpoint });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      ...transport,
      reason: 'unreachable',
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      ...transport,
      reason: 'unreachable',
    });
    expect(notifier.health()).toMatchObject({ state: 'failing', detail: 'unreachable' });
  });

  it('a server that is not trusted is a retry that says why', async () => {
    const other = await startAnother({ certificate: createAuthority('stranger').issueServer() });
    const outcome = await start({ endpoint: other.endpoint }).send(pushFor(apnsToken()), never);
    expect(outcome).toMatchObject({ ...transport, reason: 'tls-failed' });
  });

  it('a connection that is never finished ends at the time limit for connecting', async () => {
    const relay = await relayTo(apns);
    relay.swallowNew = true;
    const notifier = start({ endpoint: relay.endpoint, connectTimeoutMs: 150 });
    expect(await notifier.send(pushFor(apnsToken()), never)).toMatchObject({
      ...transport,
      reason: 'connect-timeout',
    });
  });

  it('a connection that is open but dead is replaced after some time-outs', async () => {
    const relay = await relayTo(apns);
    const notifier = start({
      endpoint: relay.endpoint,
      requestTimeoutMs: 200,
      deadAfterTimeouts: 2,
      pingTimeoutMs: 60_000,
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    relay.swallowPresent();
    const lost = await Promise.all([
      notifier.send(pushFor(apnsToken()), never),
      notifier.send(pushFor(apnsToken()), never),
    ]);
    expect(lost.map((outcome) => outcome.kind)).toEqual(['retry', 'retry']);
    expect(notifier.health()).toMatchObject({ state: 'failing', detail: 'timeout' });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect(relay.connections).toBe(2);
    expect(notifier.health().state).toBe('connected');
  });

  it('an idle connection that died is found by a probe, before any push is lost on it', async () => {
    const relay = await relayTo(apns);
    const notifier = start({
      endpoint: relay.endpoint,
      requestTimeoutMs: 500,
      pingIntervalMs: 50,
      pingTimeoutMs: 100,
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    relay.swallowPresent();
    await eventually(() => notifier.health().state === 'failing');
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect(relay.connections).toBe(2);
  });

  it('an aborted push settles at once, the others go on', async () => {
    const token = apnsToken();
    apns.answers.forToken(token, { instead: 'hang' });
    const notifier = start();
    const abort = new AbortController();
    const aborted = notifier.send(pushFor(token), abort.signal);
    await notifier.send(pushFor(apnsToken()), never);
    abort.abort();
    expect(await aborted).toMatchObject({ kind: 'retry', reason: 'aborted' });
    expect(await notifier.send(pushFor(apnsToken()), abort.signal)).toMatchObject({ reason: 'aborted' });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('more at once than allowed is refused, not kept', async () => {
    const notifier = start({ maxInFlight: 4, connections: 1 });
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => notifier.send(pushFor(apnsToken()), never)),
    );
    expect(outcomes.filter(({ kind }) => kind === 'delivered').length).toBe(4);
    expect(outcomes.filter(({ kind }) => kind === 'postponed').length).toBe(16);
  });

  it('closing settles everything, under way or waiting for a connection, and can be repeated', async () => {
    const other = await startAnother({});
    other.answers.standing = { instead: 'hang' };
    const notifier = start({ endpoint: other.endpoint });
    const sent = Array.from({ length: 10 }, () => notifier.send(pushFor(apnsToken()), never));
    await eventually(() => other.requests === 10);
    await notifier.close();
    await notifier.close();
    const unconnected = start();
    const waiting = unconnected.send(pushFor(apnsToken()), never);
    await unconnected.close();
    for (const outcome of await Promise.all([...sent, waiting, notifier.send(pushFor(apnsToken()), never)])) {
      expect(outcome).toMatchObject({ kind: 'retry', reason: 'closed' });
    }
    await eventually(() => other.openSessions === 0);
  });
});

describe('provider tokens', () => {
  const jwtOf = (token: string): string =>
    apns.pushes.find((seen) => seen.token === token)?.headers.authorization ?? '';

  it('are kept for 50 minutes, then renewed', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const tokens = [apnsToken(), apnsToken(), apnsToken()] as const;
    await notifier.send(pushFor(tokens[0]), never);
    clock.offsetMs = 49 * 60_000;
    await notifier.send(pushFor(tokens[1]), never);
    clock.offsetMs = 50 * 60_000;
    await notifier.send(pushFor(tokens[2], { expiresAtMs: Date.now() + 7_200_000 }), never);
    expect(jwtOf(tokens[1])).toBe(jwtOf(tokens[0]));
    expect(jwtOf(tokens[2])).not.toBe(jwtOf(tokens[0]));
  });

  it('that Apple calls expired are renewed once and the push goes again', async () => {
    const notifier = start();
    const tokens = [apnsToken(), apnsToken()] as const;
    await notifier.send(pushFor(tokens[0]), never);
    apns.answers.next({ status: 403, body: { reason: 'ExpiredProviderToken' } });
    expect(await notifier.send(pushFor(tokens[1]), never)).toEqual({ kind: 'delivered' });
    expect(jwtOf(tokens[1])).not.toBe(jwtOf(tokens[0]));
  });

  it('are not renewed for every push when Apple calls all of them expired', async () => {
    const seen = new Set<string>();
    const other = await startAnother({});
    other.answers.standing = { status: 403, body: { reason: 'ExpiredProviderToken' } };
    const notifier = start({ endpoint: other.endpoint });
    for (let count = 0; count < 5; count += 1) {
      const outcome = await notifier.send(pushFor(apnsToken()), never);
      expect(outcome).toEqual({ kind: 'misconfigured', reason: 'ExpiredProviderToken' });
    }
    expect(other.requests).toBe(6);
    other.answers.standing = null;
    await notifier.send(pushFor(apnsToken()), never);
    for (const push of other.pushes) seen.add(push.headers.authorization ?? '');
    expect(seen.size).toBe(1);
  });

  it('are shared by the notifiers of one key', async () => {
    const { notifiers } = createNotifiers(
      { apns: entry, 'apns-sandbox': { ...entry, sandbox: true } },
      { clock: new MovableClock(), log: silentLog() },
    );
    const tokens = [apnsToken(), apnsToken()] as const;
    await notifiers.get(serviceName('apns'))?.send(pushFor(tokens[0]), never);
    await notifiers.get(serviceName('apns-sandbox'))?.send(pushFor(tokens[1]), never);
    for (const notifier of notifiers.values()) await notifier.close();
    expect(jwtOf(tokens[0])).not.toBe('');
    expect(jwtOf(tokens[1])).toBe(jwtOf(tokens[0]));
  });

  it('are renewed for all notifiers of the key at once', async () => {
    const clock = new MovableClock();
    const { notifiers } = createNotifiers(
      { apns: entry, 'apns-sandbox': { ...entry, sandbox: true } },
      { clock, log: silentLog() },
    );
    const sendTo = async (name: string): Promise<string> => {
      const token = apnsToken();
      const push = pushFor(token, { expiresAtMs: Date.now() + 7_200_000 });
      expect(await notifiers.get(serviceName(name))?.send(push, never)).toEqual({ kind: 'delivered' });
      return jwtOf(token);
    };
    const first = await sendTo('apns');
    clock.offsetMs = 50 * 60_000;
    const second = await sendTo('apns-sandbox');
    clock.offsetMs += 49 * 60_000;
    expect(second).not.toBe(first);
    expect(await sendTo('apns')).toBe(second);
    for (const notifier of notifiers.values()) await notifier.close();
  });
});

describe('certificates', () => {
  it.each([
    ['production', false, { sandbox: false }],
    ['sandbox', true, { production: false }],
  ])('authenticate the connection in %s', async (_name, sandbox, kind) => {
    const other = await startApnsStandIn({
      certificate: authority.issueServer(),
      topic: TOPIC,
      clientCaPem: authority.certPem,
    });
    closing.push(() => other.close());
    const client = authority.issueAppleClient(kind);
    const notifier = start({
      sandbox,
      endpoint: other.endpoint,
      keyId: null,
      teamId: null,
      certFile: files.write('client.pem', client.certPem),
      keyFile: files.write('client-key.pem', client.keyPem),
    });
    expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    expect(other.pushes[0]?.headers.authorization).toBeUndefined();
  });

  it('authenticate the connection out of a .p12 file, too', async () => {
    const other = await startApnsStandIn({
      certificate: authority.issueServer(),
      topic: TOPIC,
      clientCaPem: authority.certPem,
    });
    closing.push(() => other.close());
    for (const passphrase of ['pässword', '']) {
      const pfxFile = files.write('client.p12', createPkcs12(authority.issueAppleClient(), passphrase));
      const pfxPassphrase = passphrase === '' ? null : passphrase;
      const notifier = start({ ...noIdentity, endpoint: other.endpoint, pfxFile, pfxPassphrase });
      expect(await notifier.send(pushFor(apnsToken()), never)).toEqual({ kind: 'delivered' });
    }
    expect(other.accepted).toBe(2);
  });

  it('of a .p12 file that run out soon are told to the operator', () => {
    const client = authority.issueAppleClient({ notAfter: new Date(Date.now() + 5 * 86_400_000 - 60_000) });
    const notifier = start(pfx(createPkcs12(client, 'x')));
    expect(notifier.health()).toMatchObject({ state: 'idle', detail: 'certificate expires in 5 days' });
  });

  it('may stand in one file with their key', async () => {
    const client = authority.issueAppleClient();
    const file = files.write('both.pem', client.keyPem + client.certPem);
    expect(skipReason({ ...entry, keyId: null, teamId: null, certFile: file, keyFile: file })).toBeNull();
  });

  it('that run out soon are told to the operator', async () => {
    const client = authority.issueAppleClient({ notAfter: new Date(Date.now() + 5 * 86_400_000 - 60_000) });
    const notifier = start({
      keyId: null,
      teamId: null,
      certFile: files.write('soon.pem', client.certPem),
      keyFile: files.write('soon-key.pem', client.keyPem),
    });
    expect(notifier.health()).toMatchObject({ state: 'idle', detail: 'certificate expires in 5 days' });
  });

  it.each<[string, () => Partial<ApnsEntry>, RegExp]>([
    ['no key', () => ({ keyFile: null }), /keyFile is missing/],
    ['no key id', () => ({ keyId: null }), /keyId and teamId/],
    ['a file that is not there', () => ({ keyFile: files.pathOf('nowhere') }), /keyFile: .*ENOENT/],
    ['a key that is none', () => ({ keyFile: files.write('text', 'hello') }), /keyFile: not a private key/],
    [
      'an RSA key for tokens',
      () => ({ keyFile: files.write('rsa', authority.issueAppleClient().keyPem) }),
      /P-256/,
    ],
    ['a wrong endpoint', () => ({ endpoint: 'http://127.0.0.1:1' }), /endpoint/],
    ['no CA file', () => ({ caFile: files.pathOf('nowhere') }), /caFile/],
    ['texts that fill the body', () => ({ alertBody: 'x'.repeat(200) }), /no room/],
    ['no topic', () => ({ topic: '' }), /topic/],
    [
      'a certificate that does not fit the key',
      () => certificate({}, authority.issueAppleClient().keyPem),
      /do not match/,
    ],
    ['an expired certificate', () => certificate({ notAfter: new Date(Date.now() - 1000) }), /expired/],
    ['a sandbox certificate for production', () => certificate({ production: false }), /environment/],
    [
      'a certificate that is none',
      () => ({ ...certificate({}), certFile: files.write('bad', 'hello') }),
      /certFile: not/,
    ],
    ['both ways at once', () => ({ ...certificate({}), keyId: 'K' }), /excludes/],
    ['a .p12 beside a key', () => ({ ...pfx(p12()), keyFile: files.pathOf('key.p8') }), /pfxFile excludes/],
    [
      'a .p12 that is not there',
      () => ({ ...pfx(p12()), pfxFile: files.pathOf('nowhere') }),
      /pfxFile: .*ENOENT/,
    ],
    [
      'a .p12 with another passphrase',
      () => ({ ...pfx(p12()), pfxPassphrase: 'wrong' }),
      /^pfxPassphrase: not the/,
    ],
    [
      'a .p12 without its passphrase',
      () => ({ ...pfx(p12()), pfxPassphrase: null }),
      /^pfxPassphrase is missing/,
    ],
    [
      'a .p12 as Keychain Access writes it',
      () => pfx(createPkcs12(authority.issueAppleClient(), 'x', 'legacy')),
      /pfxFile: .*RC2.*`openssl pkcs12 -legacy -in OLD.p12 -nodes -out NEW.pem`/,
    ],
    ['a .p12 that is none', () => pfx(Buffer.from('hello')), /^pfxFile: not a PKCS #12/],
    ['half a .p12', () => pfx(p12().subarray(0, 500)), /^pfxFile: not a PKCS #12/],
    [
      'a .p12 whose certificate is of another key',
      () => {
        const { certPem } = authority.issueAppleClient();
        return pfx(createPkcs12({ certPem, keyPem: authority.issueAppleClient().keyPem }, 'x'));
      },
      /^pfxFile: holds no certificate that belongs to its key/,
    ],
    [
      'a .p12 that has run out',
      () => pfx(createPkcs12(authority.issueAppleClient({ notAfter: new Date(Date.now() - 1000) }), 'x')),
      /^pfxFile: certificate has expired/,
    ],
    [
      'a .p12 for the sandbox in production',
      () => pfx(createPkcs12(authority.issueAppleClient({ production: false }), 'x')),
      /^pfxFile: .*environment/,
    ],
    [
      'a background push of priority 10',
      () => ({ pushType: 'background', priority: 10 }),
      /^priority: .*has 5/,
    ],
    [
      'a background push of priority 1',
      () => ({ pushType: 'background', priority: 1 }),
      /^priority: .*has 5/,
    ],
    ['a VoIP push to the plain topic', () => ({ pushType: 'voip' }), /^topic: .*\.voip/],
  ])('and keys that cannot work skip the entry with a reason: %s', (_case, changes, reason) => {
    expect(skipReason({ ...entry, ...changes() })).toMatch(reason);
  });

  const noIdentity = { keyFile: null, keyId: null, teamId: null };
  const p12 = (): Buffer => createPkcs12(authority.issueAppleClient(), 'x');

  function pfx(content: Buffer): Partial<ApnsEntry> {
    return { ...noIdentity, pfxFile: files.write('c.p12', content), pfxPassphrase: 'x' };
  }

  function certificate(
    options: Parameters<typeof authority.issueAppleClient>[0],
    otherKey?: string,
  ): Partial<ApnsEntry> {
    const client = authority.issueAppleClient(options);
    return {
      keyId: null,
      teamId: null,
      certFile: files.write('c.pem', client.certPem),
      keyFile: files.write('c-key.pem', otherKey ?? client.keyPem),
    };
  }
});
