import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.js';
import { documentedFcmCodes, documentedFcmStatuses } from '../../src/notifiers/firebase/answers.js';
import type { FirebaseEntry } from '../../src/notifiers/firebase/firebase-entry.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority, createServiceAccount, createTokenKey } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { fcmError, startFcmStandIn, type FcmStandIn } from '../simulators/providers/fcm-stand-in.js';
import { OauthStandIn } from '../simulators/providers/oauth-stand-in.js';
import type { ScriptedAnswer } from '../simulators/providers/scripted-answers.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import {
  buildNotifier,
  CredentialFiles,
  fcmToken,
  MovableClock,
  never,
  pushFor,
  skipReason,
} from './notifier-fixtures.js';

interface Vectors {
  readonly provider_bodies: readonly {
    readonly payload: string;
    readonly fcm_token: string;
    readonly fcm_body: string;
  }[];
  readonly payloads: readonly { readonly name: string; readonly enc_payload: string }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;

const authority = createAuthority();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
let oauth: OauthStandIn;
let fcm: FcmStandIn;
let account: ReturnType<typeof createServiceAccount>;
let entry: FirebaseEntry;

beforeAll(async () => {
  oauth = await OauthStandIn.start();
  account = createServiceAccount(oauth.tokenUri);
  oauth.trust(account);
  fcm = await startFcmStandIn({
    certificate: authority.issueServer(),
    projectId: account.projectId,
    isAccessTokenGood: oauth.isAccessTokenGood,
  });
  entry = {
    type: 'firebase',
    serviceAccountFile: files.write('account.json', account.json),
    endpoint: fcm.endpoint,
    caFile: files.write('ca.pem', authority.certPem),
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  fcm.answers.standing = null;
  oauth.standing = null;
  oauth.expiresInSeconds = 3599;
});

afterAll(async () => {
  await fcm.close();
  await oauth.close();
  files.remove();
});

function start(changes: Partial<FirebaseEntry> = {}, clock = new MovableClock()): Notifier {
  const notifier = buildNotifier({ ...entry, ...changes }, clock);
  closing.push(() => notifier.close());
  return notifier;
}

async function startAnother(
  options: Partial<Parameters<typeof startFcmStandIn>[0]> = {},
): Promise<FcmStandIn> {
  const other = await startFcmStandIn({
    certificate: authority.issueServer(),
    projectId: account.projectId,
    isAccessTokenGood: oauth.isAccessTokenGood,
    ...options,
  });
  closing.push(() => other.close());
  return other;
}

async function outcomeOf(answer: ScriptedAnswer): Promise<Outcome> {
  const token = fcmToken();
  fcm.answers.forToken(token, answer);
  const outcome = await start({ requestTimeoutMs: 2_000 }).send(pushFor(token), never);
  fcm.answers.forToken(token, null);
  return outcome;
}

describe('what Google receives', () => {
  it.each(vectors.provider_bodies)(
    'is the message of the original, with the priority and expiry that it lacks: $payload',
    async (vector) => {
      const payload = vectors.payloads.find(({ name }) => name === vector.payload);
      const clock = new MovableClock();
      const push = pushFor(vector.fcm_token, {
        content: { kind: 'sealed', payload: Buffer.from(payload?.enc_payload ?? '', 'base64') },
        expiresAtMs: clock.nowMs() + 3_600_999,
      });
      expect(await start({}, clock).send(push, never)).toEqual({ kind: 'delivered' });
      const body = fcm.pushes.at(-1)?.bodyText ?? '';
      expect(body).toMatch(/"ttl":"3600s"/);
      const withoutAddition = body.replace('"android":{"priority":"high","ttl":"3600s"},', '');
      expect(withoutAddition).toBe(vector.fcm_body.replace(',"validate_only":false', ''));
    },
  );

  it('comes over one TLS session with one access token, however many pushes there are', async () => {
    const other = await startAnother({ maxConcurrentStreams: 20 });
    const grants = oauth.grants;
    const notifier = start({ endpoint: other.endpoint, widenAfterMs: 10_000 });
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, () => notifier.send(pushFor(fcmToken()), never)),
    );
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(other.connections).toBe(1);
    expect(other.maxStreamsSeen).toBeLessThanOrEqual(20);
    expect(oauth.grants - grants).toBe(1);
    expect(notifier.health()).toMatchObject({ state: 'connected', detail: null });
  });

  it('lives 28 days at most, and a push that has expired is not sent', async () => {
    const notifier = start();
    await notifier.send(pushFor(fcmToken(), { expiresAtMs: Date.now() + 1e11 }), never);
    expect(fcm.pushes.at(-1)?.message.android?.ttl).toBe('2419200s');
    const outcome = await notifier.send(pushFor(fcmToken(), { expiresAtMs: Date.now() - 1 }), never);
    expect(outcome).toEqual({ kind: 'dropped', reason: 'expired' });
  });

  it('stays valid JSON whatever the token holds', async () => {
    const token = `${'"\\'.repeat(16)}ü`;
    await start().send(pushFor(token, { priority: 'normal' }), never);
    expect(fcm.pushes.at(-1)?.message).toMatchObject({ token, android: { priority: 'normal' } });
  });

  it('stays within the 4096 bytes of data, with the largest payload that the notifier says it takes', async () => {
    const notifier = start();
    const payload = Buffer.alloc(notifier.capabilities.maxPayloadBytes, 7);
    expect(payload.length).toBeGreaterThanOrEqual(2856);
    const push = pushFor(fcmToken(), { content: { kind: 'sealed', payload } });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
  });
});

describe('every documented answer', () => {
  const badRequest = (field: string): object => ({
    '@type': 'type.googleapis.com/google.rpc.BadRequest',
    fieldViolations: [{ field, description: 'Invalid' }],
  });
  const quota = (subject: string): object => ({
    '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
    violations: [{ subject, description: 'exceeded' }],
  });

  const cases: readonly (readonly [string, ScriptedAnswer, object])[] = [
    [
      'UNSPECIFIED_ERROR',
      fcmError(500, 'UNKNOWN', 'UNSPECIFIED_ERROR'),
      { kind: 'retry', cause: 'server', scope: 'push' },
    ],
    ['INVALID_ARGUMENT', fcmError(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'), { kind: 'dropped' }],
    ['UNREGISTERED', fcmError(404, 'NOT_FOUND', 'UNREGISTERED'), { kind: 'dead-token', sinceMs: null }],
    [
      'SENDER_ID_MISMATCH',
      fcmError(403, 'PERMISSION_DENIED', 'SENDER_ID_MISMATCH'),
      { kind: 'misconfigured' },
    ],
    [
      'QUOTA_EXCEEDED',
      fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'),
      { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: 60_000 },
    ],
    [
      'UNAVAILABLE',
      { ...fcmError(503, 'UNAVAILABLE', 'UNAVAILABLE'), headers: { 'retry-after': '30' } },
      { kind: 'retry', cause: 'server', scope: 'notifier', afterMs: 30_000 },
    ],
    [
      'INTERNAL',
      fcmError(500, 'INTERNAL', 'INTERNAL'),
      { kind: 'retry', cause: 'server', scope: 'push', afterMs: null },
    ],
    [
      'THIRD_PARTY_AUTH_ERROR',
      fcmError(401, 'UNAUTHENTICATED', 'THIRD_PARTY_AUTH_ERROR'),
      { kind: 'misconfigured' },
    ],
  ];

  it('is in the table', () => {
    expect([...documentedFcmCodes].sort()).toEqual(cases.map(([code]) => code).sort());
  });

  it.each(cases)('%s', async (reason, answer, outcome) => {
    expect(await outcomeOf(answer)).toEqual(expect.objectContaining({ ...outcome, reason }));
  });

  /** google.rpc.Code with the HTTP status that Google maps it to, for answers without an `errorCode`. */
  const statuses: readonly (readonly [string, number, object])[] = [
    ['CANCELLED', 499, { kind: 'retry', cause: 'server', scope: 'push' }],
    ['UNKNOWN', 500, { kind: 'retry', cause: 'server', scope: 'push' }],
    ['INVALID_ARGUMENT', 400, { kind: 'dropped' }],
    ['DEADLINE_EXCEEDED', 504, { kind: 'retry', cause: 'server', scope: 'push' }],
    ['NOT_FOUND', 404, { kind: 'misconfigured' }],
    ['ALREADY_EXISTS', 409, { kind: 'dropped' }],
    ['PERMISSION_DENIED', 403, { kind: 'misconfigured' }],
    ['UNAUTHENTICATED', 401, { kind: 'misconfigured' }],
    ['RESOURCE_EXHAUSTED', 429, { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: 60_000 }],
    ['FAILED_PRECONDITION', 400, { kind: 'misconfigured' }],
    ['ABORTED', 409, { kind: 'retry', cause: 'server', scope: 'push' }],
    ['OUT_OF_RANGE', 400, { kind: 'dropped' }],
    ['UNIMPLEMENTED', 501, { kind: 'misconfigured' }],
    ['INTERNAL', 500, { kind: 'retry', cause: 'server', scope: 'push' }],
    ['UNAVAILABLE', 503, { kind: 'retry', cause: 'server', scope: 'notifier' }],
    ['DATA_LOSS', 500, { kind: 'retry', cause: 'server', scope: 'push' }],
  ];

  it('is in the table by its status, too', () => {
    expect([...documentedFcmStatuses].sort()).toEqual(statuses.map(([status]) => status).sort());
  });

  it.each(statuses)('%s (%d) without an errorCode', async (reason, code, outcome) => {
    expect(await outcomeOf(fcmError(code, reason, null))).toEqual(
      expect.objectContaining({ ...outcome, reason }),
    );
  });

  it.each([
    ['a number of seconds', '45', 45_000, 45_000],
    ['a date', new Date(Date.now() + 90_000).toUTCString(), 80_000, 91_000],
    ['more than an hour, which is cut', '999999', 3_600_000, 3_600_000],
    ['something else, which is not heard', 'soon', 60_000, 60_000],
  ])('honours Retry-After given as %s', async (_form, value, leastMs, mostMs) => {
    const answer = fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED');
    const outcome = await outcomeOf({ ...answer, headers: { 'retry-after': value } });
    if (outcome.kind !== 'retry' || outcome.afterMs === null) throw new Error('expected a wait');
    expect(outcome.afterMs).toBeGreaterThanOrEqual(leastMs);
    expect(outcome.afterMs).toBeLessThanOrEqual(mostMs);
  });

  it('INVALID_ARGUMENT is the end of a token only when the answer names the token', async () => {
    const details = [badRequest('message.token')];
    const byField = fcmError(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', { details });
    expect(await outcomeOf(byField)).toMatchObject({ kind: 'dead-token', reason: 'INVALID_ARGUMENT' });
    const message = 'The registration token is not a valid FCM registration token';
    const byWords = fcmError(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', { message });
    expect(await outcomeOf(byWords)).toMatchObject({ kind: 'dead-token' });
    const otherField = fcmError(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', {
      details: [badRequest('message.data')],
    });
    expect(await outcomeOf(otherField)).toMatchObject({ kind: 'dropped' });
  });

  it('a quota of one device holds up that device only, and a Retry-After date counts', async () => {
    const answer = fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', { details: [quota('device:x')] });
    const date = new Date(Date.now() + 120_000).toUTCString();
    const outcome = await outcomeOf({ ...answer, headers: { 'retry-after': date } });
    if (outcome.kind !== 'retry' || outcome.afterMs === null) throw new Error('expected a wait');
    expect(outcome).toMatchObject({ cause: 'throttled', scope: 'push' });
    expect(outcome.afterMs).toBeGreaterThan(100_000);
    expect(outcome.afterMs).toBeLessThanOrEqual(120_000);
  });
});

describe('what one client can provoke', () => {
  it('stops nobody else: a token of another project or platform, and a quota that may be of one device', async () => {
    const foreign = fcmToken();
    const browser = fcmToken();
    const flooded = fcmToken();
    fcm.answers.forToken(foreign, fcmError(403, 'PERMISSION_DENIED', 'SENDER_ID_MISMATCH'));
    fcm.answers.forToken(browser, fcmError(401, 'UNAUTHENTICATED', 'THIRD_PARTY_AUTH_ERROR'));
    fcm.answers.forToken(flooded, fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'));
    const notifier = start();
    expect(await notifier.send(pushFor(foreign), never)).toMatchObject({ kind: 'misconfigured' });
    expect(await notifier.send(pushFor(browser), never)).toMatchObject({ kind: 'misconfigured' });
    expect(await notifier.send(pushFor(flooded), never)).toMatchObject({ kind: 'retry', scope: 'notifier' });
    await notifier.send(pushFor(fcmToken()), never);
    expect(await notifier.send(pushFor(foreign), never)).toMatchObject({ kind: 'dropped' });
    expect(await notifier.send(pushFor(browser), never)).toMatchObject({ kind: 'dropped' });
    expect(await notifier.send(pushFor(flooded), never)).toMatchObject({ kind: 'retry', scope: 'push' });
  });

  it('a quota with Retry-After holds up all unless it is said to be of a device', async () => {
    const token = fcmToken();
    const answer = fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED');
    fcm.answers.forToken(token, { ...answer, headers: { 'retry-after': '2' } });
    const notifier = start();
    await notifier.send(pushFor(fcmToken()), never);
    expect(await notifier.send(pushFor(token), never)).toMatchObject({
      kind: 'retry',
      scope: 'notifier',
      afterMs: 2000,
    });
  });

  it('a quota of the project holds up all, whatever was delivered before', async () => {
    const token = fcmToken();
    const violation = { subject: 'project:waggle-test', description: 'Message rate exceeded' };
    const details = [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [violation] }];
    fcm.answers.forToken(token, fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', { details }));
    const notifier = start();
    await notifier.send(pushFor(fcmToken()), never);
    expect(await notifier.send(pushFor(token), never)).toMatchObject({ kind: 'retry', scope: 'notifier' });
  });
});

describe('answers that are not documented', () => {
  it.each([
    [fcmError(418, 'TEAPOT', 'NEW_CODE'), { kind: 'misconfigured', reason: 'http-418' }],
    [
      { status: 404, body: '<html>' },
      { kind: 'misconfigured', reason: 'http-404' },
    ],
    [
      { status: 400, body: '' },
      { kind: 'dropped', reason: 'http-400' },
    ],
    [
      { status: 400, body: '[1]' },
      { kind: 'dropped', reason: 'http-400' },
    ],
    [
      { status: 413, body: '' },
      { kind: 'dropped', reason: 'http-413' },
    ],
    [
      { status: 408, body: '' },
      { kind: 'retry', cause: 'server', scope: 'push' },
    ],
    [
      { status: 500, body: '' },
      { kind: 'retry', cause: 'server', scope: 'push' },
    ],
    [
      { status: 502, body: '<html>' },
      { kind: 'retry', cause: 'server', scope: 'push' },
    ],
    [
      { status: 503, body: 'null' },
      { kind: 'retry', cause: 'server', scope: 'notifier', afterMs: null },
    ],
  ] as const)('%j is judged by its status or class', async (answer, outcome) => {
    expect(await outcomeOf(answer)).toMatchObject(outcome);
  });
});

describe('trouble on the way', () => {
  it.each([
    ['hang', 'timeout'],
    ['reset', 'reset'],
    ['destroy', 'connection-lost'],
  ] as const)('%s is a retry', async (instead, reason) => {
    const other = await startAnother();
    other.answers.next({ instead });
    const notifier = start({ endpoint: other.endpoint, requestTimeoutMs: 300 });
    const outcome = await notifier.send(pushFor(fcmToken()), never);
    expect(outcome).toMatchObject({ kind: 'retry', cause: 'transport', scope: 'push', reason });
  });

  it('GOAWAY loses nothing', async () => {
    const other = await startAnother();
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(fcmToken()), never);
    other.answers.standing = { delayMs: 50, status: 200 };
    const sent = Array.from({ length: 50 }, () => notifier.send(pushFor(fcmToken()), never));
    await eventually(() => other.requests > 25);
    other.goAway();
    const late = Array.from({ length: 50 }, () => notifier.send(pushFor(fcmToken()), never));
    const outcomes = await Promise.all([...sent, ...late]);
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(other.requests).toBe(101);
  });

  it('a stream above the last one of a GOAWAY, and a refused one, are sent again at once', async () => {
    const other = await startAnother();
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(fcmToken()), never); // node cannot say GOAWAY with 0 as the last stream
    other.answers.next({ instead: 'goaway' }, { instead: 'refuse' });
    expect(await notifier.send(pushFor(fcmToken()), never)).toEqual({ kind: 'delivered' });
    expect(other.connections).toBe(2);
    expect(other.accepted).toBe(2);
  });

  it('a connection that breaks after GOAWAY, with requests that Google may have acted upon, is a retry', async () => {
    const other = await startAnother();
    const notifier = start({ endpoint: other.endpoint });
    await notifier.send(pushFor(fcmToken()), never);
    other.answers.standing = { instead: 'hang' };
    const taken = notifier.send(pushFor(fcmToken()), never);
    await eventually(() => other.requests === 2);
    other.goAway();
    other.destroyConnections();
    expect(await taken).toMatchObject({ kind: 'retry', cause: 'transport', reason: 'connection-lost' });
    expect(other.requests).toBe(2);
  });

  it('an answer that never ends is given up at the time limit, unless its status said all', async () => {
    const other = await startAnother();
    other.byteEveryMs = 1_000;
    const notifier = start({ endpoint: other.endpoint, requestTimeoutMs: 300 });
    other.answers.next(fcmError(500, 'INTERNAL', 'INTERNAL'), { status: 200, body: { name: 'x' } });
    expect(await notifier.send(pushFor(fcmToken()), never)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
    });
    expect(await notifier.send(pushFor(fcmToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('nobody listening is a retry that comes quickly', async () => {
    const other = await startAnother();
    const { endpoint } = other;
    await other.close();
    closing.pop();
    const notifier = start({ endpoint });
    for (let count = 0; count < 2; count += 1) {
      const outcome = await notifier.send(pushFor(fcmToken()), never);
      expect(outcome).toMatchObject({ kind: 'retry', cause: 'transport', reason: 'unreachable' });
    }
    expect(notifier.health()).toMatchObject({ state: 'failing', detail: 'unreachable' });
  });

  it('a server that is not trusted is a retry that says why', async () => {
    const other = await startAnother({ certificate: createAuthority('stranger').issueServer() });
    const outcome = await start({ endpoint: other.endpoint }).send(pushFor(fcmToken()), never);
    expect(outcome).toMatchObject({ kind: 'retry', cause: 'transport', reason: 'tls-failed' });
  });

  it('a connection that is never finished ends at the time limit for connecting', async () => {
    const relay = await TcpRelay.start(fcm.port);
    closing.push(() => relay.close());
    relay.swallowNew = true;
    const notifier = start({ endpoint: relay.endpoint, connectTimeoutMs: 150 });
    const outcome = await notifier.send(pushFor(fcmToken()), never);
    expect(outcome).toMatchObject({ kind: 'retry', cause: 'transport', reason: 'connect-timeout' });
  });

  it('a connection that is open but dead is replaced', async () => {
    const relay = await TcpRelay.start(fcm.port);
    closing.push(() => relay.close());
    const notifier = start({ endpoint: relay.endpoint, requestTimeoutMs: 150, deadAfterTimeouts: 1 });
    await notifier.send(pushFor(fcmToken()), never);
    relay.swallowPresent();
    expect(await notifier.send(pushFor(fcmToken()), never)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
    });
    expect(await notifier.send(pushFor(fcmToken()), never)).toEqual({ kind: 'delivered' });
    expect(relay.connections).toBe(2);
  });

  it('closing or aborting settles what waits for an access token', async () => {
    oauth.standing = { instead: 'hang' };
    const notifier = start();
    const abort = new AbortController();
    const aborted = notifier.send(pushFor(fcmToken()), abort.signal);
    const closed = notifier.send(pushFor(fcmToken()), never);
    abort.abort();
    expect(await aborted).toMatchObject({ kind: 'retry', reason: 'aborted' });
    await notifier.close();
    expect(await closed).toMatchObject({ kind: 'retry', reason: 'closed' });
  });
});

describe('access tokens', () => {
  it('are renewed in the background before they run out: no push waits', async () => {
    const clock = new MovableClock();
    const notifier = start({}, clock);
    await notifier.send(pushFor(fcmToken()), never);
    const grants = oauth.grants;
    const far = { expiresAtMs: Date.now() + 1e8 };
    clock.offsetMs = 54 * 60_000;
    await notifier.send(pushFor(fcmToken(), far), never);
    expect(oauth.grants).toBe(grants);
    clock.offsetMs = 56 * 60_000;
    const first = fcm.pushes.at(-1)?.headers.authorization;
    await notifier.send(pushFor(fcmToken(), far), never);
    expect(fcm.pushes.at(-1)?.headers.authorization).toBe(first);
    await eventually(() => oauth.grants === grants + 1);
    await eventually(async () => {
      await notifier.send(pushFor(fcmToken(), far), never);
      return fcm.pushes.at(-1)?.headers.authorization !== first;
    });
  });

  it('that Google refuses are replaced once and the push goes again', async () => {
    const notifier = start();
    await notifier.send(pushFor(fcmToken()), never);
    const grants = oauth.grants;
    oauth.granted.clear();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => notifier.send(pushFor(fcmToken()), never)),
    );
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(oauth.grants - grants).toBe(1);
  });

  it('are not asked for again and again when Google refuses all of them', async () => {
    const other = await startAnother({ isAccessTokenGood: () => false });
    const notifier = start({ endpoint: other.endpoint });
    const grants = oauth.grants;
    for (let count = 0; count < 5; count += 1) {
      const outcome = await notifier.send(pushFor(fcmToken()), never);
      expect(outcome).toEqual({ kind: 'misconfigured', reason: 'UNAUTHENTICATED' });
    }
    expect(oauth.grants - grants).toBe(2);
  });

  it.each<[string, ScriptedAnswer, object]>([
    [
      'invalid_grant',
      { status: 400, body: { error: 'invalid_grant' } },
      { kind: 'misconfigured', reason: 'invalid_grant' },
    ],
    ['another refusal', { status: 403, body: 'no' }, { kind: 'misconfigured', reason: 'token-http-403' }],
    ['a server error', { status: 500 }, { kind: 'retry', cause: 'server', scope: 'notifier' }],
    [
      'throttling',
      { status: 429, headers: { 'retry-after': '7' } },
      { kind: 'retry', cause: 'throttled', scope: 'notifier', afterMs: 7_000 },
    ],
    ['a broken connection', { instead: 'destroy' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['silence', { instead: 'hang' }, { kind: 'retry', cause: 'transport', scope: 'notifier' }],
    ['no JSON', { status: 200, body: '<html>' }, { kind: 'retry', cause: 'server' }],
    ['no token', { status: 200, body: {} }, { kind: 'retry', cause: 'server' }],
    ['an endless answer', { status: 200, body: 'x'.repeat(200_000) }, { kind: 'retry', cause: 'transport' }],
  ])('that cannot be had make the push wait or tell the operator: %s', async (_case, answer, outcome) => {
    oauth.standing = answer;
    const notifier = start({ tokenTimeoutMs: 200 });
    const requests = oauth.requests;
    expect(await notifier.send(pushFor(fcmToken()), never)).toMatchObject(outcome);
    expect(await notifier.send(pushFor(fcmToken()), never)).toMatchObject(outcome);
    expect(oauth.requests - requests).toBe(1);
    expect(notifier.health().state).toBe('failing');
  });

  it('are asked for again after a while, and everything goes on', async () => {
    const clock = new MovableClock();
    oauth.standing = { status: 500 };
    const notifier = start({}, clock);
    await notifier.send(pushFor(fcmToken()), never);
    oauth.standing = null;
    clock.offsetMs = 1_500;
    expect(await notifier.send(pushFor(fcmToken()), never)).toEqual({ kind: 'delivered' });
  });

  it('come from an https address of the key file, too', async () => {
    const secure = await OauthStandIn.start({ certificate: authority.issueServer() });
    closing.push(() => secure.close());
    const other = createServiceAccount(secure.tokenUri);
    secure.trust(other);
    const target = await startAnother({ isAccessTokenGood: secure.isAccessTokenGood });
    const notifier = start({
      endpoint: target.endpoint,
      serviceAccountFile: files.write('secure.json', other.json),
    });
    expect(await notifier.send(pushFor(fcmToken()), never)).toEqual({ kind: 'delivered' });
    expect(secure.grants).toBe(1);
  });
});

describe('key files that cannot work skip the entry with a reason', () => {
  const changed = (change: Readonly<Record<string, unknown>>): string =>
    files.write('changed.json', JSON.stringify({ ...(JSON.parse(account.json) as object), ...change }));

  it.each<[string, () => Partial<FirebaseEntry>, RegExp]>([
    ['none given', () => ({ serviceAccountFile: null }), /serviceAccountFile is missing/],
    ['not there', () => ({ serviceAccountFile: files.pathOf('nowhere') }), /ENOENT/],
    [
      'not JSON',
      () => ({ serviceAccountFile: files.write('text', '{"private_key": "secret') }),
      /^serviceAccountFile: not JSON$/,
    ],
    ['no e-mail', () => ({ serviceAccountFile: changed({ client_email: '' }) }), /client_email/],
    ['no project', () => ({ serviceAccountFile: changed({ project_id: undefined }) }), /project_id/],
    [
      'a project that is a path',
      () => ({ serviceAccountFile: changed({ project_id: 'a/../b' }) }),
      /project_id/,
    ],
    ['a broken key', () => ({ serviceAccountFile: changed({ private_key: 'secret' }) }), /private key/],
    ['an EC key', () => ({ serviceAccountFile: changed({ private_key: createTokenKey().p8Pem }) }), /RSA/],
    [
      'a token_uri that is none',
      () => ({ serviceAccountFile: changed({ token_uri: 'file:///x' }) }),
      /token_uri/,
    ],
    ['a wrong endpoint', () => ({ endpoint: 'https://host/path' }), /endpoint/],
    ['no CA file', () => ({ caFile: files.pathOf('nowhere') }), /caFile/],
  ])('%s', (_case, changes, reason) => {
    const found = skipReason({ ...entry, ...changes() });
    expect(found).toMatch(reason);
    expect(found).not.toContain('secret');
  });
});
