import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.js';
import { documentedHmsCodes, documentedHmsTokenReasons } from '../../src/notifiers/huawei/answers.js';
import type { HuaweiEntry } from '../../src/notifiers/huawei/huawei-entry.js';
import { createHuaweiNotifier } from '../../src/notifiers/huawei/huawei-notifier.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import type { ClientCredentialsStandIn } from '../simulators/providers/client-credentials-stand-in.js';
import {
  hmsAnswer,
  hmsOauthError,
  HmsStandIn,
  startHuaweiOauth,
} from '../simulators/providers/hms-stand-in.js';
import type { Http1Answer } from '../simulators/providers/http1-stand-in.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { CredentialFiles, MovableClock, never, pushFor, serviceName } from './notifier-fixtures.js';

interface Vectors {
  readonly provider_bodies: readonly {
    readonly payload: string;
    readonly huawei_token: string;
    readonly huawei_body: string;
  }[];
  readonly payloads: readonly { readonly name: string; readonly enc_payload: string }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;

const APP_ID = '100000001';
const APP_SECRET = 'f00d+secret/of&the=app';
const authority = createAuthority();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
let oauth: ClientCredentialsStandIn;
let hms: HmsStandIn;
let entry: HuaweiEntry;

beforeAll(async () => {
  oauth = await startHuaweiOauth(authority.issueServer(), APP_ID, APP_SECRET);
  hms = await startAnother();
  closing.length = 0;
  entry = {
    type: 'huawei',
    appId: APP_ID,
    appSecret: APP_SECRET,
    endpoint: hms.endpoint,
    tokenEndpoint: oauth.tokenEndpoint,
    caFile: files.write('ca.pem', authority.certPem),
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  hms.http.standing = null;
  oauth.http.standing = null;
});

afterAll(async () => {
  await hms.close();
  await oauth.close();
  files.remove();
});

async function startAnother(changes: { path?: string; good?: boolean } = {}): Promise<HmsStandIn> {
  const { path = `/v1/${APP_ID}/messages:send`, good } = changes;
  const other = await HmsStandIn.start({
    certificate: authority.issueServer(),
    path,
    isAuthorizationGood: (authorization) => good ?? oauth.isGood(authorization),
  });
  closing.push(() => other.close());
  return other;
}

function build(changes: Partial<HuaweiEntry>, clock: MovableClock) {
  return createHuaweiNotifier(serviceName('tested'), { ...entry, ...changes }, { clock });
}

function start(changes: Partial<HuaweiEntry> = {}, clock = new MovableClock()): Notifier {
  const built = build(changes, clock);
  if (!built.ok) throw new Error(built.error);
  closing.push(() => built.value.close());
  return built.value;
}

const hmsToken = (): string => `IQAAAACy${randomBytes(60).toString('base64url')}`;

async function outcomeOf(answer: Http1Answer, notifier = start()): Promise<Outcome> {
  const token = hmsToken();
  hms.forToken(token, answer);
  const outcome = await notifier.send(pushFor(token), never);
  hms.forToken(token, null);
  return outcome;
}

async function startDelivering(): Promise<Notifier> {
  const notifier = start();
  expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
  return notifier;
}

const throttle = { kind: 'retry', cause: 'throttled', scope: 'notifier' };
const retry = { kind: 'retry', cause: 'server', scope: 'push' };

describe('what Huawei receives', () => {
  it.each(vectors.provider_bodies)(
    'is the message of the original, with the time to live that it lacks: $payload',
    async (vector) => {
      const payload = vectors.payloads.find(({ name }) => name === vector.payload);
      const clock = new MovableClock();
      const push = pushFor(vector.huawei_token, {
        content: { kind: 'sealed', payload: Buffer.from(payload?.enc_payload ?? '', 'base64') },
        expiresAtMs: clock.nowMs() + 3_600_999,
      });
      expect(await start({}, clock).send(push, never)).toEqual({ kind: 'delivered' });
      const received = hms.pushes.at(-1);
      expect(received?.bodyText).toMatch(/"urgency": "HIGH", "ttl": "3600s"\}/);
      expect(received?.bodyText.replace(', "ttl": "3600s"', '')).toBe(vector.huawei_body);
      expect(received?.headers.authorization).toMatch(/^Bearer EgAd/);
    },
  );

  it('goes to the project with version 2 of the interface', async () => {
    const other = await startAnother({ path: '/v2/736430079244/messages:send' });
    const notifier = start({ endpoint: other.endpoint, apiVersion: 'v2', projectId: '736430079244' });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('comes over few connections that stay open, with one access token', async () => {
    const other = await startAnother();
    const grants = oauth.grants;
    const notifier = start({ endpoint: other.endpoint, connections: 4 });
    const send = (): Promise<Outcome> => notifier.send(pushFor(hmsToken()), never);
    const outcomes = await Promise.all(Array.from({ length: 100 }, send));
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(other.http.connections).toBeLessThanOrEqual(4);
    expect(other.http.maxInFlightSeen).toBeLessThanOrEqual(4);
    expect(notifier.capabilities.maxInFlight).toBe(4);
    expect(oauth.grants - grants).toBe(1);
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });

  it('lives 15 days at most and a second at least; a push that has expired is not sent', async () => {
    const notifier = start();
    await notifier.send(pushFor(hmsToken(), { expiresAtMs: Date.now() + 1e11 }), never);
    expect(hms.pushes.at(-1)?.android).toMatchObject({ ttl: '1296000s' });
    await notifier.send(pushFor(hmsToken(), { expiresAtMs: Date.now() + 900 }), never);
    expect(hms.pushes.at(-1)?.android).toMatchObject({ ttl: '1s' });
    const outcome = await notifier.send(pushFor(hmsToken(), { expiresAtMs: Date.now() - 1 }), never);
    expect(outcome).toEqual({ kind: 'dropped', reason: 'expired' });
  });

  it('stays valid JSON whatever the token holds, and says when it need not wake anybody', async () => {
    const token = `${'"\\'.repeat(16)}ü`;
    await start().send(pushFor(token, { priority: 'normal' }), never);
    expect(hms.pushes.at(-1)).toMatchObject({ token, android: { urgency: 'NORMAL' }, data: { spns: '1' } });
  });

  it('stays within 4096 bytes with the largest payload that the notifier says it takes', async () => {
    const notifier = start();
    expect(notifier.capabilities.maxPayloadBytes).toBeGreaterThanOrEqual(2856);
    const payload = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    const content = { kind: 'sealed', payload } as const;
    const push = pushFor(hmsToken(), { content, expiresAtMs: Date.now() + 1e11 });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
  });

  it('is never what was not sealed', async () => {
    const push = pushFor(hmsToken(), { content: { kind: 'unsealed', payload: Buffer.from('de') } });
    expect(await start().send(push, never)).toEqual({ kind: 'dropped', reason: 'not-sealed' });
  });
});

const tokenReasons: Readonly<Record<string, string>> = {
  tokenFormatError: 'dead-token',
  tokenPlatformNotSupport: 'dead-token',
  noRight: 'misconfigured',
  countryNotSupport: 'dropped',
  atomicUnableSendUnsubscribedMsg: 'dropped',
  notSupportPlayVoice: 'dropped',
  differentImgVerifyPolicy: 'dropped',
  noPushTypeRight: 'misconfigured',
  noRightToSendThisLiveNotificationEvent: 'misconfigured',
  disableSendHuaweiMsgBecauseOfPenalty: 'misconfigured',
  appinfoError: 'misconfigured',
};

describe('every documented result code', () => {
  const cases: Readonly<Record<string, object>> = {
    '80000000': { kind: 'delivered' },
    '80100000': { kind: 'delivered' },
    '80100001': { kind: 'dropped' },
    '80100002': { kind: 'dropped' },
    '80100003': { kind: 'dropped' },
    '80100004': { kind: 'dropped' },
    '80100013': { kind: 'dropped' },
    '80100016': { kind: 'dropped' },
    '80100017': throttle,
    '80100022': { kind: 'dropped' },
    '80200001': { kind: 'misconfigured' },
    '80200003': { kind: 'misconfigured' },
    '80200005': { kind: 'misconfigured' },
    '80300002': { kind: 'misconfigured' },
    '80300007': { kind: 'dead-token', sinceMs: null },
    '80300008': { kind: 'dropped' },
    '80300010': { kind: 'dropped' },
    '80300011': { kind: 'misconfigured' },
    '80300029': throttle,
    '80300030': { kind: 'dropped' },
    '80300036': { kind: 'misconfigured' },
    '80300037': { kind: 'misconfigured' },
    '80600003': { kind: 'retry', cause: 'server', scope: 'notifier' },
    '81000001': retry,
    '82000001': { kind: 'dropped' },
  };

  it('is in the table', () => {
    expect([...documentedHmsCodes].sort()).toEqual(Object.keys(cases).sort());
  });

  it.each(Object.entries(cases))('%s, whatever the status it comes with', async (code, outcome) => {
    const reason = code === '80000000' || code === '80100000' ? {} : { reason: code };
    const notifier = start();
    const expected = { ...outcome, ...reason };
    expect(await outcomeOf(hmsAnswer(code, 'no', 400), notifier)).toMatchObject(expected);
    expect(await outcomeOf(hmsAnswer(code), notifier)).toMatchObject(expected);
  });

  it('a code that is a number counts as well', async () => {
    const body = { code: 80300008, msg: 'Push message size is too long.' };
    expect(await outcomeOf({ body })).toEqual({ kind: 'dropped', reason: '80300008' });
  });

  it.each([
    ['partly, and ours was taken', '{"success":1,"failure":0}', { kind: 'delivered' }],
    [
      'partly, and ours was not taken',
      '{"success":0,"failure":1,"illegal_tokens":["x"]}',
      { kind: 'dead-token' },
    ],
    ['partly, and ours is named', '{"illegal_tokens":["x"]}', { kind: 'dead-token' }],
    [
      'partly, for another reason',
      '{"illegalTokens":{"countryNotSupport":["x"]},"success":0}',
      { kind: 'dropped', reason: '80100000-countryNotSupport' },
    ],
  ])('80100000 is judged by what it says of our one token: %s', async (_case, msg, outcome) => {
    expect(await outcomeOf(hmsAnswer('80100000', msg))).toMatchObject(outcome);
  });

  it('knows every documented reason of a refused token', () => {
    expect([...documentedHmsTokenReasons].sort()).toEqual(Object.keys(tokenReasons).sort());
  });

  it.each(Object.entries(tokenReasons))('80300007 because of %s is %s', async (word, kind) => {
    const msg = JSON.stringify({ illegalTokens: { [word]: ['x'] }, failure: 1 });
    expect(await outcomeOf(hmsAnswer('80300007', msg))).toMatchObject({ kind, reason: `80300007-${word}` });
  });

  it('80300007 for a reason that nobody knows deletes nothing and repeats no word of it', async () => {
    const msg = JSON.stringify({ illegalTokens: { someToken123: ['x'] }, failure: 1 });
    expect(await outcomeOf(hmsAnswer('80300007', msg))).toEqual({ kind: 'dropped', reason: '80300007' });
  });
});

describe('what one client can provoke', () => {
  it('stops nobody else: a token of another app', async () => {
    const notifier = start();
    const noRight = hmsAnswer('80300007', '{"illegalTokens":{"noRight":["x"]},"failure":1}');
    const forbidden = hmsAnswer('80300002');
    expect(await outcomeOf(noRight, notifier)).toMatchObject({ kind: 'misconfigured' });
    expect(await outcomeOf(forbidden, notifier)).toMatchObject({ kind: 'misconfigured' });
    await notifier.send(pushFor(hmsToken()), never);
    expect(await outcomeOf(noRight, notifier)).toMatchObject({ kind: 'dropped' });
    expect(await outcomeOf(forbidden, notifier)).toMatchObject({ kind: 'dropped' });
  });

  it.each(Object.entries(tokenReasons).filter(([, kind]) => kind === 'misconfigured'))(
    'stops nobody else: a token that is refused because of %s',
    async (word) => {
      const notifier = await startDelivering();
      const msg = JSON.stringify({ illegalTokens: { [word]: ['x'] }, failure: 1 });
      expect(await outcomeOf(hmsAnswer('80300007', msg), notifier)).toMatchObject({ kind: 'dropped' });
    },
  );

  it('is told from our own fault by who is refused: any number of strangers, or those that were served', async () => {
    const notifier = start();
    const served = [hmsToken(), hmsToken(), hmsToken()];
    for (const token of served) await notifier.send(pushFor(token), never);
    for (let count = 0; count < 40; count += 1) {
      expect(await outcomeOf(hmsAnswer('80300002'), notifier)).toMatchObject({ kind: 'dropped' });
    }
    hms.http.standing = hmsAnswer('80300002');
    for (const token of [...served, hmsToken()]) {
      expect(await notifier.send(pushFor(token), never)).toMatchObject({ kind: 'misconfigured' });
    }
    hms.http.standing = null;
    await notifier.send(pushFor(hmsToken()), never);
    expect(await outcomeOf(hmsAnswer('80300002'), notifier)).toMatchObject({ kind: 'dropped' });
  });
});

describe('every documented HTTP status', () => {
  it.each<[Http1Answer, object]>([
    [
      { status: 400, body: 'no' },
      { kind: 'dropped', reason: 'http-400' },
    ],
    [
      { status: 401, body: '' },
      { kind: 'misconfigured', reason: 'http-401' },
    ],
    [
      { status: 404, body: '<html>' },
      { kind: 'misconfigured', reason: 'http-404' },
    ],
    [
      { status: 500, body: '' },
      { ...retry, reason: 'http-500' },
    ],
    [
      { status: 502, body: '<html>' },
      { ...retry, reason: 'http-502' },
    ],
    [
      { status: 503, body: '' },
      { ...throttle, reason: 'http-503', afterMs: null },
    ],
    [
      { status: 503, body: { code: '81000001' }, headers: { 'retry-after': '2' } },
      { ...throttle, reason: 'http-503', afterMs: 2_000 },
    ],
    // not documented, but what servers say
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { ...throttle, afterMs: 7_000 },
    ],
    [{ status: 302, headers: { location: 'https://127.0.0.1/' } }, { kind: 'misconfigured' }],
    [{ status: 403, body: 'no' }, { kind: 'misconfigured' }],
    [{ status: 408 }, retry],
    [{ status: 413 }, { kind: 'dropped' }],
    [{ status: 504 }, retry],
  ])('%j', async (answer, outcome) => {
    expect(await outcomeOf(answer)).toMatchObject(outcome);
  });

  it('a Retry-After counts for what is to be repeated, as a date too, and is cut to an hour', async () => {
    const answer = hmsAnswer('81000001');
    const date = new Date(Date.now() + 120_000).toUTCString();
    const dated = await outcomeOf({ ...answer, headers: { 'retry-after': date } });
    if (dated.kind !== 'retry' || dated.afterMs === null) throw new Error('expected a wait');
    expect(dated.afterMs).toBeGreaterThan(100_000);
    expect(dated.afterMs).toBeLessThanOrEqual(120_000);
    const long = await outcomeOf({ status: 503, headers: { 'retry-after': '999999999' } });
    expect(long).toMatchObject({ afterMs: 3_600_000 });
  });
});

describe('answers that are not documented', () => {
  it.each<[string, Http1Answer, object]>([
    ['no JSON', { body: '<html>welcome to the hotel</html>' }, { ...retry, reason: 'no-result-code' }],
    ['nothing', { body: '' }, { ...retry, reason: 'no-result-code' }],
    ['another JSON', { body: '[1, null]' }, { ...retry, reason: 'no-result-code' }],
    ['null', { body: 'null' }, { ...retry, reason: 'no-result-code' }],
    ['a code that is none', { body: { code: 'delivered' } }, { ...retry, reason: 'no-result-code' }],
    ['an answer without end', { instead: 'endless' }, { ...retry, reason: 'no-result-code' }],
    ['a new code', hmsAnswer('80700001'), { ...retry, reason: '80700001' }],
    ['a new code about the message', hmsAnswer('80100099'), { kind: 'dropped', reason: '80100099' }],
    ['a new code about groups', hmsAnswer('82000010'), { kind: 'dropped', reason: '82000010' }],
    ['a new code about who we are', hmsAnswer('80200099'), { kind: 'misconfigured', reason: '80200099' }],
    [
      'a new code with a status that tells',
      hmsAnswer('80700001', 'no', 403),
      { kind: 'misconfigured', reason: '80700001' },
    ],
  ])('%s', async (_case, answer, outcome) => {
    expect(await outcomeOf(answer)).toMatchObject(outcome);
  });
});

describe('trouble on the way', () => {
  const transport = { kind: 'retry', cause: 'transport', scope: 'push', afterMs: null };

  it.each([
    ['hang', 'timeout'],
    ['drip', 'timeout'],
    ['interim', 'timeout'],
    ['close', 'connection-lost'],
    ['reset', 'connection-lost'],
    ['close-mid-body', 'connection-lost'],
    ['reset-mid-body', 'connection-lost'],
    ['garbage', 'malformed'],
  ] as const)('%s is a retry', async (instead, reason) => {
    hms.http.next({ instead, body: '{"code": "80000000", ' });
    const notifier = start({ requestTimeoutMs: 1_000 });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ ...transport, reason });
    expect(notifier.health()).toEqual({ state: 'failing', detail: reason });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('nobody there is a retry', async () => {
    const other = await startAnother();
    const { endpoint } = other;
    await other.close();
    closing.pop();
    const outcome = await start({ endpoint }).send(pushFor(hmsToken()), never);
    expect(outcome).toEqual({ ...transport, reason: 'unreachable' });
  });

  it('a certificate that nobody trusts is a retry, and nothing was sent', async () => {
    const stranger = createAuthority('Stranger');
    const other = await HmsStandIn.start({
      certificate: stranger.issueServer(),
      path: `/v1/${APP_ID}/messages:send`,
      isAuthorizationGood: () => true,
    });
    closing.push(() => other.close());
    const outcome = await start({ endpoint: other.endpoint }).send(pushFor(hmsToken()), never);
    expect(outcome).toEqual({ ...transport, reason: 'tls-failed' });
    expect(other.http.requests).toBe(0);
  });

  it('a connection that is open but dead is replaced', async () => {
    const relay = await TcpRelay.start(hms.http.port);
    closing.push(() => relay.close());
    const notifier = start({ endpoint: relay.endpoint, requestTimeoutMs: 1_000, connections: 1 });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
    relay.swallowPresent();
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ ...transport, reason: 'timeout' });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
    expect(relay.connections).toBe(2);
  });

  it('an abort or a close settles what is under way', async () => {
    hms.http.standing = { instead: 'hang' };
    const notifier = start();
    const abort = new AbortController();
    const seen = hms.http.requests;
    const aborted = notifier.send(pushFor(hmsToken()), abort.signal);
    const closed = notifier.send(pushFor(hmsToken()), never);
    await eventually(() => hms.http.requests === seen + 2);
    abort.abort();
    expect(await aborted).toEqual({ ...transport, reason: 'aborted' });
    await notifier.close();
    expect(await closed).toEqual({ ...transport, reason: 'closed' });
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ ...transport, reason: 'closed' });
  });
});

describe('access tokens', () => {
  it('are renewed in the background five minutes before they run out: no push waits', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    const far = { expiresAtMs: Date.now() + 1e8 };
    await notifier.send(pushFor(hmsToken(), far), never);
    const grants = oauth.grants;
    clock.offsetMs = 54 * 60_000;
    await notifier.send(pushFor(hmsToken(), far), never);
    expect(oauth.grants).toBe(grants);
    const first = hms.pushes.at(-1)?.headers.authorization;
    clock.offsetMs = 56 * 60_000;
    await notifier.send(pushFor(hmsToken(), far), never);
    expect(hms.pushes.at(-1)?.headers.authorization).toBe(first);
    await eventually(async () => {
      await notifier.send(pushFor(hmsToken(), far), never);
      return hms.pushes.at(-1)?.headers.authorization !== first;
    });
    expect(oauth.grants).toBe(grants + 1);
  });

  it.each(['80200001', '80200003', '80200005'])(
    'that Huawei refuses with %s are replaced once, and the push goes again',
    async (code) => {
      const notifier = await startDelivering();
      const grants = oauth.grants;
      hms.http.next(hmsAnswer(code));
      const before = hms.pushes.at(-1)?.headers.authorization;
      expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
      expect(oauth.grants - grants).toBe(1);
      expect(hms.pushes.at(-1)?.headers.authorization).not.toBe(before);
    },
  );

  it('that are revoked under many pushes are replaced once for all of them', async () => {
    const notifier = await startDelivering();
    const grants = oauth.grants;
    oauth.good.clear();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => notifier.send(pushFor(hmsToken()), never)),
    );
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(oauth.grants - grants).toBe(1);
  });

  it('are not asked for again and again when Huawei refuses all of them', async () => {
    const other = await startAnother({ good: false });
    const notifier = start({ endpoint: other.endpoint });
    const grants = oauth.grants;
    for (let count = 0; count < 5; count += 1) {
      const outcome = await notifier.send(pushFor(hmsToken()), never);
      expect(outcome).toEqual({ kind: 'misconfigured', reason: '80200001' });
    }
    expect(oauth.grants - grants).toBe(2);
  });

  it.each<[string, Http1Answer, object]>([
    ['a wrong secret', hmsOauthError(1101, 12304), { kind: 'misconfigured', reason: 'oauth-1101-12304' }],
    ['an unknown app', hmsOauthError(1101, 20003), { kind: 'misconfigured', reason: 'oauth-1101-20003' }],
    [
      'an error in a success',
      { body: { error: 1102, error_description: 'missing parameter' } },
      { kind: 'misconfigured', reason: 'oauth-1102' },
    ],
    ['another refusal', { status: 403, body: 'no' }, { kind: 'misconfigured', reason: 'token-http-403' }],
    ['no such address', { status: 404, body: 'no' }, { kind: 'misconfigured', reason: 'token-http-404' }],
    ['a redirect', { status: 302, headers: { location: '/x' } }, { kind: 'misconfigured' }],
    ['flow control', hmsOauthError(1302, 1), { kind: 'retry', cause: 'throttled', scope: 'notifier' }],
    ['an internal error', hmsOauthError(70001401, 1), { kind: 'retry', cause: 'server', scope: 'notifier' }],
    ['a server error', { status: 500 }, { kind: 'retry', cause: 'server', scope: 'notifier' }],
    ['their own 590', { status: 590 }, { kind: 'retry', cause: 'server', scope: 'notifier' }],
    [
      'throttling',
      { status: 429, headers: { 'retry-after': '7' } },
      { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: 7_000 },
    ],
    ['a broken connection', { instead: 'reset' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['half an answer', { instead: 'close-mid-body', body: '{"acc' }, { kind: 'retry', cause: 'transport' }],
    ['silence', { instead: 'hang' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['garbage', { instead: 'garbage' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['no JSON', { body: '<html>' }, { kind: 'retry', cause: 'server' }],
    ['no token', { body: {} }, { kind: 'retry', cause: 'server' }],
    [
      'a token that would break a header',
      { body: { access_token: 'x\r\ny', expires_in: 9 } },
      { kind: 'retry', cause: 'server' },
    ],
    ['an endless answer', { instead: 'endless' }, { kind: 'retry', cause: 'server' }],
  ])('that cannot be had make the push wait or tell the operator: %s', async (_case, answer, outcome) => {
    oauth.http.standing = answer;
    const notifier = start({ tokenTimeoutMs: 700 });
    const requests = oauth.http.requests;
    expect(await notifier.send(pushFor(hmsToken()), never)).toMatchObject(outcome);
    expect(await notifier.send(pushFor(hmsToken()), never)).toMatchObject(outcome);
    expect(oauth.http.requests - requests).toBe(1);
    expect(notifier.health().state).toBe('failing');
  });

  it('are asked for again after a while, and everything goes on', async () => {
    const clock = new MovableClock();
    oauth.http.standing = { status: 500 };
    const notifier = start({}, clock);
    await notifier.send(pushFor(hmsToken()), never);
    oauth.http.standing = null;
    clock.offsetMs = 1_500;
    expect(await notifier.send(pushFor(hmsToken()), never)).toEqual({ kind: 'delivered' });
    expect(notifier.health()).toEqual({ state: 'connected', detail: null });
  });

  it('do not hold up an abort or a close', async () => {
    oauth.http.standing = { instead: 'hang' };
    const notifier = start();
    const abort = new AbortController();
    const aborted = notifier.send(pushFor(hmsToken()), abort.signal);
    const closed = notifier.send(pushFor(hmsToken()), never);
    abort.abort();
    expect(await aborted).toMatchObject({ kind: 'retry', reason: 'aborted' });
    await notifier.close();
    expect(await closed).toMatchObject({ kind: 'retry', reason: 'closed' });
  });
});

describe('what operators get to see', () => {
  it('holds no secret, token or payload, whatever Huawei echoes', async () => {
    const token = hmsToken();
    const echo = `${APP_SECRET} ${token} Bearer EgAd`;
    const notifier = start();
    const seen: unknown[] = [];
    for (const answer of [
      hmsAnswer(echo, echo),
      hmsAnswer('80300007', JSON.stringify({ illegalTokens: { [echo]: [echo] } })),
      hmsAnswer('80200099', echo, 401),
      { status: 418, body: echo },
    ]) {
      hms.forToken(token, answer);
      seen.push(await notifier.send(pushFor(token), never), notifier.health());
    }
    oauth.http.standing = { status: 400, body: { error: echo, error_description: echo, sub_error: echo } };
    const other = start();
    seen.push(await other.send(pushFor(token), never), other.health());
    const text = JSON.stringify(seen);
    for (const secret of [APP_SECRET, token, 'EgAd']) expect(text).not.toContain(secret);
  });
});

describe('options that cannot work skip the entry with a reason', () => {
  it.each<[string, Partial<HuaweiEntry>, RegExp]>([
    ['no app', { appId: null }, /^appId is missing$/],
    ['no secret', { appSecret: null }, /^appSecret is missing$/],
    ['an app that is a path', { appId: '1/../2' }, /^appId is malformed$/],
    ['version 2 without a project', { apiVersion: 'v2' }, /^projectId is missing/],
    ['a project that is a path', { apiVersion: 'v2', projectId: 'a?b' }, /^projectId is malformed$/],
    ['a wrong endpoint', { endpoint: 'https://host/path' }, /^endpoint/],
    ['a token endpoint without TLS', { tokenEndpoint: 'http://host/token' }, /^tokenEndpoint/],
    ['a token endpoint that is none', { tokenEndpoint: 'token' }, /^tokenEndpoint/],
    ['no CA file', { caFile: '/nowhere/ca.pem' }, /^caFile/],
  ])('%s', (_case, changes, reason) => {
    const built = build(changes, new MovableClock());
    if (built.ok) throw new Error('expected a refusal');
    expect(built.error).toMatch(reason);
    expect(built.error).not.toContain(APP_SECRET);
  });
});
