import { generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/domain/device.js';
import type { ClientError } from '../../src/domain/errors.js';
import type { Outcome } from '../../src/domain/outcome.js';
import type { Push } from '../../src/domain/push.js';
import type { Result } from '../../src/domain/result.js';
import {
  documentedStatuses,
  NOBODY_LISTENS_MS,
  THROTTLED_ENDPOINT_MS,
} from '../../src/notifiers/unifiedpush/answers.js';
import type { UnifiedpushEntry } from '../../src/notifiers/unifiedpush/unifiedpush-entry.js';
import { createUnifiedpushNotifier } from '../../src/notifiers/unifiedpush/unifiedpush-notifier.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import type { Http1Answer } from '../simulators/providers/http1-stand-in.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { DISCOVERY, UnifiedpushStandIn, type TestApp } from '../simulators/providers/unifiedpush-stand-in.js';
import {
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
let server: UnifiedpushStandIn;
let entry: UnifiedpushEntry;

beforeAll(async () => {
  server = await UnifiedpushStandIn.start({ certificate: authority.issueServer(), host: 'localhost' });
  entry = {
    type: 'unifiedpush',
    allowNetworks: ['127.0.0.0/8'],
    ports: [],
    caFile: files.write('ca.pem', authority.certPem),
    requestTimeoutMs: 2_000,
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  server.http.standing = null;
});

afterAll(async () => {
  await server.close();
  files.remove();
});

function start(changes: Partial<UnifiedpushEntry> = {}, clock = new MovableClock()): Notifier {
  const made = createUnifiedpushNotifier(serviceName('tested'), { ...entry, ...changes }, { clock });
  if (!made.ok) throw new Error(made.error);
  closing.push(() => made.value.close());
  return made.value;
}

async function startServer(): Promise<UnifiedpushStandIn> {
  const other = await UnifiedpushStandIn.start({ certificate: authority.issueServer(), host: 'localhost' });
  closing.push(() => other.close());
  return other;
}

const subscribe = async (notifier: Notifier, serviceInfo: unknown): Promise<Result<Device, ClientError>> =>
  notifier.validate(serviceInfo, 'subscribe');

async function deviceFor(notifier: Notifier, app: TestApp): Promise<Device> {
  const device = await subscribe(notifier, app.serviceInfo());
  if (!device.ok) throw new Error(device.error.message);
  return device.value;
}

async function errorOf(notifier: Notifier, serviceInfo: unknown): Promise<ClientError | null> {
  const device = await subscribe(notifier, serviceInfo);
  return device.ok ? null : device.error;
}

const pushTo = (device: Device, changes: Partial<Push> = {}): Push =>
  pushFor(device.serviceId, { device, ...changes });

const textOf = (push: Push): string =>
  `{"enc_payload":"${push.content.payload.toString('base64')}","spns":"1"}`;

async function outcomeOf(answer: Http1Answer, changes: Partial<UnifiedpushEntry> = {}): Promise<Outcome> {
  const app = server.register({ withKeys: false });
  const notifier = start(changes);
  const device = await deviceFor(notifier, app);
  server.http.next(answer);
  return notifier.send(pushTo(device), never);
}

describe('what a push server receives for a publish of an XMPP server', () => {
  const urgent = wakePushFor('x', { account: 'acd0bf', collapseKey: 'acd0bf' }).content;
  const silent = wakePushFor('x', { urgency: 'silent' }).content;
  const headers = () => server.http.recorded.at(-1)?.headers;

  it('is the plain text for an app without keys', async () => {
    const app = server.register({ withKeys: false });
    const notifier = start();
    const device = await deviceFor(notifier, app);
    for (const content of [urgent, silent]) {
      expect(await notifier.send(pushTo(device, { content }), never)).toEqual({ kind: 'delivered' });
    }
    expect(app.received.map(String)).toEqual(['{"wake":"high","account":"acd0bf"}', '{"wake":"silent"}']);
    expect(headers()).toMatchObject({ urgency: 'low' });
    expect(headers()).not.toHaveProperty('topic');
  });

  it('is encrypted for an app with keys, and takes the place of one with the same collapse key', async () => {
    const app = server.register({ withKeys: true });
    const notifier = start();
    const device = await deviceFor(notifier, app);
    const topics = new Set<unknown>();
    for (let count = 0; count < 2; count += 1) {
      const push = pushTo(device, { content: urgent, dedupeKey: Buffer.alloc(16, count) });
      expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
      topics.add(headers()?.['topic']);
    }
    expect(headers()).toMatchObject({ urgency: 'high', 'content-encoding': 'aes128gcm' });
    expect([...topics]).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{32}$/)]);
    expect(app.received.map(String)).toEqual(Array(2).fill('{"wake":"high","account":"acd0bf"}'));
  });
});

describe('what a push server receives', () => {
  it('is the plain text for an app without keys', async () => {
    const app = server.register({ withKeys: false });
    const notifier = start();
    const push = pushTo(await deviceFor(notifier, app), { expiresAtMs: Date.now() + 3_600_500 });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
    expect(app.received.map(String)).toEqual([textOf(push)]);
    const { headers, method, path } = server.http.recorded.at(-1) ?? {};
    expect({ method, path }).toEqual({ method: 'POST', path: app.path });
    expect(headers).toMatchObject({ ttl: '3600', urgency: 'high' });
    expect(headers).not.toHaveProperty('content-encoding');
    expect(headers).not.toHaveProperty('authorization');
  });

  it('is encrypted for an app with keys, which reads the same text', async () => {
    const app = server.register({ withKeys: true });
    const notifier = start();
    const push = pushTo(await deviceFor(notifier, app), { priority: 'normal' });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
    expect(app.received.map(String)).toEqual([textOf(push)]);
    const { headers, body } = server.http.recorded.at(-1) ?? {};
    expect(headers).toMatchObject({ 'content-encoding': 'aes128gcm', urgency: 'normal' });
    expect(headers?.['topic']).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(body?.includes('enc_payload')).toBe(false);
  });

  it.each([false, true])('stays within 4096 bytes with the largest payload, keys: %s', async (withKeys) => {
    const app = server.register({ withKeys });
    const notifier = start();
    const { maxPayloadBytes } = notifier.capabilities;
    expect(maxPayloadBytes).toBeGreaterThanOrEqual(2856);
    const device = await deviceFor(notifier, app);
    const sized = (bytes: number): Push =>
      pushTo(device, { content: { kind: 'sealed', payload: Buffer.alloc(bytes, 7) } });
    expect(await notifier.send(sized(maxPayloadBytes), never)).toEqual({ kind: 'delivered' });
    expect(await notifier.send(sized(maxPayloadBytes + 1), never)).toEqual({
      kind: 'dropped',
      reason: 'too-large',
    });
  });

  it('is signed when there is a key, with the one that the app registered with', async () => {
    const pem = (): string =>
      generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString();
    const vapidKeyFiles = [files.write('vapid-1.pem', pem()), files.write('vapid-2.pem', pem())];
    const app = server.register({ withKeys: true });
    const notifier = start({ vapidKeyFiles, subject: 'mailto:push@example.org' });
    await notifier.send(pushTo(await deviceFor(notifier, app)), never);
    const header = server.http.recorded.at(-1)?.headers.authorization ?? '';
    const [, claims = '', key = ''] = /^vapid t=[^.]+\.([^.]+)\.[^,]+, k=(.+)$/.exec(header) ?? [];
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      aud: server.http.endpointAt('localhost'),
      sub: 'mailto:push@example.org',
    });
    const other = start({ vapidKeyFiles: vapidKeyFiles.toReversed(), subject: 'mailto:push@example.org' });
    const chosen = await subscribe(other, { ...app.serviceInfo(), vapid_key: key });
    if (!chosen.ok) throw new Error(chosen.error.message);
    await other.send(pushTo(chosen.value), never);
    expect(server.http.recorded.at(-1)?.headers.authorization).toContain(`k=${key}`);
    const foreign = await errorOf(start(), { ...app.serviceInfo(), vapid_key: key });
    expect(foreign).toMatchObject({ code: 4, message: expect.stringContaining('vapid_key') as string });
  });

  it('is nothing for a push that has expired or was never sealed', async () => {
    const app = server.register({ withKeys: false });
    const notifier = start();
    const device = await deviceFor(notifier, app);
    const requests = server.http.requests;
    expect(await notifier.send(pushTo(device, { expiresAtMs: Date.now() }), never)).toEqual({
      kind: 'dropped',
      reason: 'expired',
    });
    const unsealed = pushTo(device, { content: { kind: 'unsealed', payload: Buffer.from('de') } });
    expect(await notifier.send(unsealed, never)).toEqual({ kind: 'dropped', reason: 'not-sealed' });
    const { content: legacy } = legacyPushFor('x');
    expect(await notifier.send(pushTo(device, { content: legacy }), never)).toEqual({
      kind: 'dropped',
      reason: 'legacy-content',
    });
    const corrupt = pushTo({ ...device, serviceData: Buffer.alloc(90, 1) });
    expect(await notifier.send(corrupt, never)).toEqual({ kind: 'dropped', reason: 'service-data-corrupt' });
    expect(server.http.requests).toBe(requests);
  });
});

describe('every answer', () => {
  const retry = (afterMs: number | null): object => ({
    kind: 'retry',
    cause: 'server',
    scope: 'push',
    afterMs,
  });
  const cases: readonly (readonly [number, object])[] = [
    [200, { kind: 'delivered' }],
    [201, { kind: 'delivered' }],
    [202, { kind: 'delivered' }],
    [204, { kind: 'delivered' }],
    [400, { kind: 'dropped' }],
    [401, { kind: 'dropped' }],
    [403, { kind: 'dropped' }],
    [404, { kind: 'dead-token', sinceMs: null }],
    [405, { kind: 'dropped' }],
    [408, retry(null)],
    [410, { kind: 'dead-token', sinceMs: null }],
    [413, { kind: 'dropped' }],
    [425, retry(null)],
    [429, retry(THROTTLED_ENDPOINT_MS)],
    [500, retry(null)],
    [502, retry(null)],
    [503, retry(null)],
    [504, retry(null)],
    [507, retry(NOBODY_LISTENS_MS)],
  ];

  it('is in the table', () => {
    expect([...documentedStatuses].sort()).toEqual(cases.map(([status]) => status).sort());
  });

  it.each([
    ...cases,
    [299, { kind: 'delivered' }],
    [301, { kind: 'dropped' }],
    [308, { kind: 'dropped' }],
    [418, { kind: 'dropped' }],
    [599, retry(null)],
    [999, retry(null)],
  ] as const)('%d', async (status, outcome) => {
    const location = `${server.http.endpoint}/an/ordinary/page`;
    const requests = server.http.requests;
    expect(
      await outcomeOf({ status, headers: { location }, body: status === 204 ? '' : 'no JSON' }),
    ).toMatchObject(outcome);
    expect(server.http.requests - requests).toBe(2); // discovery and push; no redirect was followed
  });

  it.each<[string, Http1Answer, object]>([
    ['an empty body', { status: 200, body: '' }, { kind: 'delivered' }],
    ['a huge body', { status: 201, instead: 'endless' }, { kind: 'delivered' }],
    ['silence', { instead: 'hang' }, { ...retry(null), reason: 'timeout' }],
    ['a slow drip', { status: 201, instead: 'drip' }, { ...retry(null), reason: 'timeout' }],
    ['a closed connection', { instead: 'close' }, { ...retry(null), reason: 'connection-lost' }],
    ['a reset', { instead: 'reset' }, { ...retry(null), reason: 'connection-lost' }],
    [
      'a body that breaks off',
      { instead: 'close-mid-body', body: 'half' },
      { ...retry(null), reason: 'connection-lost' },
    ],
    ['something else than HTTP', { instead: 'garbage' }, { ...retry(null), reason: 'malformed' }],
  ])('%s', async (_name, answer, outcome) => {
    expect(await outcomeOf(answer, { requestTimeoutMs: 400 })).toMatchObject(outcome);
  });

  it('a connection that is open but dead is replaced', async () => {
    const app = server.register({ withKeys: false });
    const relay = await TcpRelay.start(server.http.port);
    closing.push(() => relay.close());
    const endpoint = relay.endpoint + app.path;
    const notifier = start({ requestTimeoutMs: 400 });
    const device = await subscribe(notifier, { endpoint });
    if (!device.ok) throw new Error(device.error.message);
    expect(await notifier.send(pushTo(device.value), never)).toEqual({ kind: 'delivered' });
    relay.swallowPresent();
    expect(await notifier.send(pushTo(device.value), never)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
    });
    expect(await notifier.send(pushTo(device.value), never)).toEqual({ kind: 'delivered' });
  });

  it('no server at all, an untrusted one, and our own stop', async () => {
    const gone = await startServer();
    const app = gone.register({ withKeys: false });
    const notifier = start();
    const device = await deviceFor(notifier, app);
    await gone.close();
    expect(await notifier.send(pushTo(device), never)).toMatchObject({
      ...retry(null),
      reason: 'unreachable',
    });

    const stranger = start({ caFile: null, discovery: false });
    const known = await deviceFor(stranger, server.register({ withKeys: false }));
    expect(await stranger.send(pushTo(known), never)).toMatchObject({ ...retry(null), reason: 'tls-failed' });

    const stopping = start();
    const waiting = await deviceFor(stopping, server.register({ withKeys: false }));
    server.http.standing = { instead: 'hang' };
    const controller = new AbortController();
    const aborted = stopping.send(pushTo(waiting), controller.signal);
    const closed = stopping.send(pushTo(waiting), never);
    await eventually(() => server.http.inFlight === 2);
    controller.abort();
    expect(await aborted).toMatchObject({ kind: 'retry', reason: 'aborted' });
    await stopping.close();
    expect(await closed).toMatchObject({ kind: 'retry', reason: 'closed' });
  });

  it('an address that is not allowed any more drops the push and connects to nobody', async () => {
    const app = server.register({ withKeys: false });
    const device = await deviceFor(start(), app);
    const connections = server.http.tcpConnections;
    const strict = start({ allowNetworks: [] });
    expect(await strict.send(pushTo(device), never)).toEqual({
      kind: 'dropped',
      reason: 'endpoint-not-allowed',
    });
    // The name is fine, the address behind it is not.
    const elsewhere = start({ allowNetworks: ['10.0.0.0/8'] });
    expect(await elsewhere.send(pushTo(device), never)).toEqual({
      kind: 'dropped',
      reason: 'forbidden-address',
    });
    expect(server.http.tcpConnections).toBe(connections);
  });
});

describe('one server or endpoint in trouble', () => {
  it('429 pauses that endpoint for as long as it says, and nobody else on the same server', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const flooded = await deviceFor(notifier, server.register({ withKeys: false }));
    const other = await deviceFor(notifier, server.register({ withKeys: false }));
    server.http.next({ status: 429, headers: { 'retry-after': '2' } });
    expect(await notifier.send(pushTo(flooded), never)).toMatchObject({ kind: 'retry', afterMs: 2_000 });
    const requests = server.http.requests;
    const postponed = await notifier.send(pushTo(flooded), never);
    expect(postponed).toMatchObject({ kind: 'postponed', reason: 'endpoint-paused' });
    expect(postponed.kind === 'postponed' && postponed.afterMs).toBeLessThanOrEqual(2_000);
    expect(server.http.requests).toBe(requests);
    expect(await notifier.send(pushTo(other), never)).toEqual({ kind: 'delivered' });
    clock.offsetMs += 2_000;
    expect(await notifier.send(pushTo(flooded), never)).toEqual({ kind: 'delivered' });
  });

  it('429 to several endpoints in a row means us: the whole server is left alone', async () => {
    const notifier = start();
    const devices = await Promise.all(
      Array.from({ length: 4 }, () => deviceFor(notifier, server.register({ withKeys: false }))),
    );
    server.http.standing = { status: 429, headers: { 'retry-after': '60' } };
    const outcomes: Outcome[] = [];
    for (const device of devices) outcomes.push(await notifier.send(pushTo(device), never));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['retry', 'retry', 'retry', 'postponed']);
    expect(outcomes.at(-1)).toMatchObject({ reason: 'origin-paused' });
  });

  it('503 pauses the server until the date that it names', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const device = await deviceFor(notifier, server.register({ withKeys: false }));
    const date = new Date(Date.now() + 60_000).toUTCString();
    server.http.next({ status: 503, headers: { 'retry-after': date } });
    expect(await notifier.send(pushTo(device), never)).toMatchObject({ kind: 'retry', reason: 'http-503' });
    expect(await notifier.send(pushTo(device), never)).toMatchObject({
      kind: 'postponed',
      reason: 'origin-paused',
    });
    clock.offsetMs += 61_000;
    expect(await notifier.send(pushTo(device), never)).toEqual({ kind: 'delivered' });
  });

  it('a server that hangs holds a few requests, is left alone after a while, and delays no other', async () => {
    const slow = await startServer();
    const notifier = start({ requestTimeoutMs: 300 });
    const hanging = await deviceFor(notifier, slow.register({ withKeys: false }));
    const well = await deviceFor(notifier, server.register({ withKeys: false }));
    slow.http.standing = { instead: 'hang' };
    const slowOnes = Array.from({ length: 100 }, () => notifier.send(pushTo(hanging), never));
    const startedMs = performance.now();
    for (let count = 0; count < 20; count += 1) {
      expect(await notifier.send(pushTo(well), never)).toEqual({ kind: 'delivered' });
    }
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    const kinds = (await Promise.all(slowOnes)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'retry')).toHaveLength(8);
    expect(kinds.filter((kind) => kind === 'postponed')).toHaveLength(92);
    expect(await notifier.send(pushTo(hanging), never)).toMatchObject({ reason: 'origin-failing' });
    slow.http.standing = null;
  });
});

describe('a subscribe', () => {
  it('names the device by its endpoint in normal form, with or without keys, also as `token`', async () => {
    const app = server.register({ withKeys: true });
    const notifier = start();
    const { endpoint, ...keys } = app.serviceInfo();
    const device = await deviceFor(notifier, app);
    expect(device.serviceId).toBe(endpoint);
    expect(device.serviceData).toHaveLength(90);
    const spelled = endpoint?.replace('https://localhost', 'HTTPS://LOCALHOST.');
    for (const info of [
      { token: endpoint, ...keys },
      { endpoint: `${spelled}#fragment`, ...keys },
      { endpoint, keys },
    ]) {
      expect(await subscribe(notifier, info)).toEqual({ ok: true, value: device });
    }
    expect(await subscribe(notifier, { endpoint, p256dh: null, auth: null })).toEqual({
      ok: true,
      value: { serviceId: endpoint, serviceData: null },
    });
  });

  it('asks a server once whether it is one, for all its endpoints, and again after a day', async () => {
    const other = await startServer();
    const clock = new MovableClock();
    const notifier = start({}, clock);
    await Promise.all(
      Array.from({ length: 20 }, () => deviceFor(notifier, other.register({ withKeys: false }))),
    );
    expect(other.discoveries).toBe(1);
    expect(
      notifier.validate(other.register({ withKeys: false }).serviceInfo(), 'subscribe'),
    ).not.toBeInstanceOf(Promise);
    clock.offsetMs += 25 * 3_600_000;
    await deviceFor(notifier, other.register({ withKeys: false }));
    expect(other.discoveries).toBe(2);
  });

  it.each<[string, Http1Answer]>([
    ['a page', { body: '<html>' }],
    ['nothing', {}],
    ['other JSON', { body: { unifiedpush: { version: 2 } } }],
    ['null', { body: 'null' }],
    ['a list', { body: '[]' }],
    ['not found', { status: 404, body: DISCOVERY }],
    ['a redirect', { status: 302, headers: { location: '/up?up=1' }, body: DISCOVERY }],
    ['a huge answer', { instead: 'endless' }],
  ])('is refused when the endpoint answers with %s', async (_name, answer) => {
    const other = await startServer();
    const app = other.register({ withKeys: false });
    other.http.next(answer);
    expect(await errorOf(start(), app.serviceInfo())).toEqual({
      code: 4,
      message: 'Invalid endpoint: it does not answer as a UnifiedPush server',
    });
  });

  it('with a page that is no endpoint shuts nobody else of that server out', async () => {
    const other = await startServer();
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const page = { endpoint: other.ordinaryPage };
    expect(await errorOf(notifier, page)).toMatchObject({ code: 4 });
    const requests = other.http.requests;
    expect(await errorOf(notifier, page)).toMatchObject({ code: 4 });
    expect(other.http.requests).toBe(requests);
    await deviceFor(notifier, other.register({ withKeys: false }));
    // A server that was found good is believed.
    expect(await errorOf(notifier, { endpoint: other.ordinaryPage })).toBeNull();
  });

  it.each([404, 503])(
    'fetches few pages of a server that is none, whatever clients name: %d',
    async (status) => {
      const victim = await startServer();
      victim.http.standing = { status };
      const clock = new MovableClock();
      const notifier = start({}, clock);
      const pages = Array.from({ length: 100 }, (_, number) => ({
        endpoint: `${victim.http.endpoint}/expensive/page/${number}?${'x'.repeat(40)}`,
      }));
      const codes = new Set<number | undefined>();
      for (const page of pages) codes.add((await errorOf(notifier, page))?.code);
      const together = await Promise.all(pages.map((page) => errorOf(notifier, page)));
      for (const error of together) codes.add(error?.code);
      expect(victim.http.requests).toBe(20);
      expect(codes.has(undefined)).toBe(false);
      clock.offsetMs += 2 * 60_000;
      victim.http.standing = null;
      await deviceFor(notifier, victim.register({ withKeys: false }));
    },
  );

  it('of a server that said yes days ago is believed while nobody can be asked', async () => {
    const other = await startServer();
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const { serviceId } = await deviceFor(notifier, other.register({ withKeys: false }));
    clock.offsetMs += 25 * 3_600_000;
    other.http.standing = { status: 404 };
    const { origin } = new URL(serviceId);
    for (let number = 0; number < 20; number += 1) {
      const page = { endpoint: `${origin}/page/${number}?${'x'.repeat(40)}` };
      expect(await errorOf(notifier, page)).toMatchObject({ code: 4 });
    }
    await deviceFor(notifier, other.register({ withKeys: false }));
  });

  it('gets a time-out when the endpoint cannot be asked, and the next one asks again', async () => {
    const other = await startServer();
    const app = other.register({ withKeys: false });
    const notifier = start({ requestTimeoutMs: 300 });
    const timeout = { code: 3, message: 'The endpoint could not be reached' };
    for (const answer of [
      { instead: 'hang' },
      { status: 503 },
      { instead: 'drip' },
      { instead: 'reset' },
    ] as const) {
      other.http.next(answer);
      expect(await errorOf(notifier, app.serviceInfo())).toEqual(timeout);
    }
    await deviceFor(notifier, app);
    await other.close();
    const never = start();
    expect(await errorOf(never, app.serviceInfo())).toEqual(timeout);
    expect(await errorOf(never, app.serviceInfo())).toEqual(timeout);
  });

  it('is refused for an address of the inside, and connects to nobody', async () => {
    const connections = server.http.tcpConnections;
    const app = server.register({ withKeys: false });
    expect(await errorOf(start({ allowNetworks: ['10.0.0.0/8'] }), app.serviceInfo())).toEqual({
      code: 4,
      message: 'Invalid endpoint: address not allowed',
    });
    expect(await errorOf(start({ allowNetworks: [] }), app.serviceInfo())).toMatchObject({ code: 4 });
    expect(server.http.tcpConnections).toBe(connections);
  });

  it.each<[string, unknown, number, string]>([
    ['no object', 'x', 4, 'Invalid service_info: expected an object'],
    ['no endpoint', {}, 1, "Error: missing required key 'endpoint'"],
    ['an endpoint that is no text', { endpoint: 5 }, 4, 'Invalid endpoint: expected a string'],
    ['no URL', { endpoint: 'secret-token' }, 4, 'Invalid endpoint: not an https URL'],
    [
      'plain http',
      { endpoint: `http://ntfy.sh/up${'a'.repeat(40)}` },
      4,
      'Invalid endpoint: not an https URL',
    ],
    ['a short endpoint', { endpoint: 'https://ntfy.sh/up?up=1' }, 4, 'Invalid endpoint: too short'],
    ['a long endpoint', { endpoint: `https://ntfy.sh/${'a'.repeat(1000)}` }, 4, 'Invalid endpoint: too long'],
    [
      'a query that looks like a host',
      { endpoint: 'https://10.0.0.1/?q=.google.com&aaaaaaaaaaa' },
      4,
      'Invalid endpoint: address not allowed',
    ],
    [
      'one key of two',
      { endpoint: `https://ntfy.sh/up${'a'.repeat(40)}`, auth: 'AAAAAAAAAAAAAAAAAAAAAA' },
      1,
      "Error: missing required key 'p256dh'",
    ],
    [
      'a key that is no point',
      {
        endpoint: `https://ntfy.sh/up${'a'.repeat(40)}`,
        auth: 'AAAAAAAAAAAAAAAAAAAAAA',
        p256dh: Buffer.alloc(65, 4).toString('base64url'),
      },
      4,
      'Invalid p256dh: not a point on P-256',
    ],
    [
      'keys that are no object',
      { endpoint: `https://ntfy.sh/up${'a'.repeat(40)}`, keys: [] },
      4,
      'Invalid keys: expected an object',
    ],
  ])('with %s is refused', async (_name, serviceInfo, code, message) => {
    expect(await errorOf(start(), serviceInfo)).toEqual({ code, message });
  });

  it('with keys and an endpoint of a browser maker needs no discovery, which these do not know', async () => {
    const app = server.register({ withKeys: true });
    const endpoint = `https://updates.push.services.mozilla.com/wpush/v2/${'a'.repeat(60)}`;
    const device = start().validate({ ...app.serviceInfo(), endpoint }, 'subscribe');
    expect(device).toMatchObject({ ok: true, value: { serviceId: endpoint } });
  });

  it('asks nothing when discovery is off, and an unsubscribe never does', async () => {
    const requests = server.http.requests;
    const page = { endpoint: server.ordinaryPage };
    expect(await subscribe(start({ discovery: false }), page)).toMatchObject({ ok: true });
    const strict = start({ allowNetworks: [], ports: [443] });
    expect(await strict.validate(page, 'unsubscribe')).toEqual({
      ok: true,
      value: { serviceId: server.ordinaryPage, serviceData: null },
    });
    expect(server.http.requests).toBe(requests);
  });
});

describe('options', () => {
  const reasonFor = (changes: Partial<UnifiedpushEntry>): string | null => {
    const clock = new MovableClock();
    const made = createUnifiedpushNotifier(serviceName('tested'), { ...entry, ...changes }, { clock });
    if (!made.ok) return made.error;
    void made.value.close();
    return null;
  };

  it('need nothing, and are named when they are wrong', () => {
    expect(reasonFor({ caFile: null })).toBeNull();
    expect(reasonFor({ caFile: files.pathOf('missing.pem') })).toMatch(/^caFile: .*ENOENT/);
    expect(reasonFor({ allowNetworks: ['10.0.0.0/99'] })).toMatch(/^allowNetworks/);
    expect(reasonFor({ vapidKeyFiles: [files.write('bad.pem', 'no key')] })).toMatch(/^vapidKeyFiles/);
    const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    const file = files.write('good.pem', key.export({ format: 'pem', type: 'pkcs8' }).toString());
    expect(reasonFor({ vapidKeyFiles: [file] })).toBe('subject is missing');
    expect(reasonFor({ vapidKeyFiles: [file], subject: 'push@example.org' })).toMatch(/^subject/);
    expect(reasonFor({ vapidKeyFiles: [file], subject: 'mailto:push@example.org' })).toBeNull();
  });

  it('allowHttp takes a server of the own network without TLS', async () => {
    const plain = await UnifiedpushStandIn.start();
    closing.push(() => plain.close());
    const app = plain.register({ withKeys: false });
    const notifier = start({ allowHttp: true });
    expect(notifier.health()).toEqual({ state: 'idle', detail: null });
    expect(await notifier.send(pushTo(await deviceFor(notifier, app)), never)).toEqual({ kind: 'delivered' });
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });
});
