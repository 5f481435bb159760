import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeWakeMessage } from '../../src/codec/wake-content.js';
import type { Clock } from '../../src/domain/clock.js';
import type { Outcome } from '../../src/domain/outcome.js';
import type { Push } from '../../src/domain/push.js';
import type { ApnsEntry } from '../../src/notifiers/apns/apns-entry.js';
import type { FirebaseEntry } from '../../src/notifiers/firebase/firebase-entry.js';
import type { HuaweiEntry } from '../../src/notifiers/huawei/huawei-entry.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createAuthority, createServiceAccount, createTokenKey } from '../simulators/certificates.js';
import { startApnsStandIn, type ApnsStandIn } from '../simulators/providers/apns-stand-in.js';
import type { ClientCredentialsStandIn } from '../simulators/providers/client-credentials-stand-in.js';
import { fcmError, startFcmStandIn, type FcmStandIn } from '../simulators/providers/fcm-stand-in.js';
import { hmsAnswer, HmsStandIn, startHuaweiOauth } from '../simulators/providers/hms-stand-in.js';
import { OauthStandIn } from '../simulators/providers/oauth-stand-in.js';
import {
  apnsToken,
  buildNotifier,
  CredentialFiles,
  fcmToken,
  never,
  pushFor,
  wakeMessage,
  wakePushFor,
} from './notifier-fixtures.js';

interface ApnsRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
  readonly mpa_push_services: {
    readonly apns: {
      readonly high: ApnsRequest;
      readonly silent: ApnsRequest;
      readonly errors: readonly { readonly apns: string; readonly record_removed: boolean }[];
    };
    readonly fcm_legacy: { readonly request: { readonly body: LegacyFcmBody } };
  };
  readonly p2: { readonly fcm_data: { readonly account: string } };
};
interface LegacyFcmBody {
  readonly priority: string;
  readonly collapse_key: string;
  readonly data: object;
}
const recorded = vectors.mpa_push_services;

const DELIVERED: Outcome = { kind: 'delivered' };
const MALFORMED: Outcome = { kind: 'dead-token', reason: 'malformed-token', sinceMs: null };
const TOPIC = 'org.example.app';
const APP_ID = '100000001';
const APP_SECRET = 'secret';
const DAY_MS = 86_400_000;
const HEX40 = 'fed5cdef1eb951110b7d9809b9fbc7be50fc897d';
const oddTokens = ['../x', 'a b', '\n', 'x\r\napns-topic: y', 'é', ' '.repeat(999), '?', '\u007f'];
const nasty = 'quote " backslash \\ newline \n nul \0 é \u{1f600} \u2028 </script>';

const authority = createAuthority();
const tokenKey = createTokenKey();
const files = new CredentialFiles();
const closing: (() => Promise<unknown>)[] = [];
let apns: ApnsStandIn;
let oauth: OauthStandIn;
let fcm: FcmStandIn;
let huaweiOauth: ClientCredentialsStandIn;
let hms: HmsStandIn;
let apnsEntry: ApnsEntry;
let firebaseEntry: FirebaseEntry;
let huaweiEntry: HuaweiEntry;

beforeAll(async () => {
  const caFile = files.write('ca.pem', authority.certPem);
  apns = await startApns(TOPIC);
  apnsEntry = {
    type: 'apns',
    topic: TOPIC,
    sandbox: false,
    keyFile: files.write('key.p8', tokenKey.p8Pem),
    keyId: tokenKey.keyId,
    teamId: tokenKey.teamId,
    endpoint: apns.endpoint,
    caFile,
  };
  oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri);
  oauth.trust(account);
  fcm = await startFcmStandIn({
    certificate: authority.issueServer(),
    projectId: account.projectId,
    isAccessTokenGood: oauth.isAccessTokenGood,
  });
  const serviceAccountFile = files.write('account.json', account.json);
  firebaseEntry = { type: 'firebase', serviceAccountFile, endpoint: fcm.endpoint, caFile };
  huaweiOauth = await startHuaweiOauth(authority.issueServer(), APP_ID, APP_SECRET);
  hms = await HmsStandIn.start({
    certificate: authority.issueServer(),
    path: `/v1/${APP_ID}/messages:send`,
    isAuthorizationGood: (authorization) => huaweiOauth.isGood(authorization),
  });
  huaweiEntry = {
    type: 'huawei',
    appId: APP_ID,
    appSecret: APP_SECRET,
    endpoint: hms.endpoint,
    tokenEndpoint: huaweiOauth.tokenEndpoint,
    caFile,
  };
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

afterAll(async () => {
  for (const standIn of [apns, fcm, oauth, hms, huaweiOauth]) await standIn.close();
  files.remove();
});

const startApns = (topic: string): Promise<ApnsStandIn> =>
  startApnsStandIn({ certificate: authority.issueServer(), topic, tokenKey });

/** Stands still, so that times come out in round numbers. */
const NOW_MS = Date.now();
const stillClock: Clock = { nowMs: () => NOW_MS };

function start(entry: ApnsEntry | FirebaseEntry | HuaweiEntry, clock?: Clock): Notifier {
  const notifier = buildNotifier(entry, clock);
  closing.push(() => notifier.close());
  return notifier;
}

async function deliver(notifier: Notifier, push: Push): Promise<void> {
  expect(await notifier.send(push, never)).toEqual(DELIVERED);
}

describe('a publish of an XMPP server, sent to Apple', () => {
  const last = () => apns.pushes.at(-1);
  /** What is new in every request, or differs on purpose: see the tests below. */
  const headersOf = ({ headers }: ApnsRequest): object => {
    const { ':path': _path, 'content-length': _length, 'apns-expiration': _expiration, ...fixed } = headers;
    return fixed;
  };

  it('is the request of the original when there is a message to show', async () => {
    const token = apnsToken();
    await deliver(start(apnsEntry), wakePushFor(token));
    const { high } = recorded.apns;
    expect(last()?.headers).toMatchObject(headersOf(high));
    expect(last()?.headers[':path']).toBe(`/3/device/${token}`);
    // Ours is compact, and the flag the number that Apple documents.
    const theirs = high.body.replace('"mutable-content":"1"', '"mutable-content":1').replaceAll(', "', ',"');
    expect(last()?.bodyText).toBe(theirs);
    expect(last()?.bodyText).toBe(
      '{"aps":{"mutable-content":1,"alert":{"title":"New Message","body":"New Message"},"sound":"default"}}',
    );
  });

  it('is the request of the original when there is nothing to show', async () => {
    await deliver(start(apnsEntry), wakePushFor(apnsToken(), { urgency: 'silent' }));
    const { silent } = recorded.apns;
    expect(last()?.headers).toMatchObject(headersOf(silent));
    expect(last()?.bodyText).toBe(silent.body);
  });

  it('is for a call what Apple wants: the type and the topic of calls', async () => {
    const calls = await startApns(`${TOPIC}.voip`);
    closing.push(() => calls.close());
    for (const topic of [TOPIC, `${TOPIC}.voip`]) {
      const notifier = start({ ...apnsEntry, topic, endpoint: calls.endpoint });
      await deliver(notifier, wakePushFor(apnsToken(), { urgency: 'voip' }));
      const push = calls.pushes.at(-1);
      expect(push?.headers).toMatchObject({
        'apns-topic': `${TOPIC}.voip`,
        'apns-push-type': 'voip', // the original says alert
        'apns-priority': '10',
      });
      expect(push?.bodyText).toBe('{"aps":{"content-available":1}}');
    }
  });

  it('that is no call is not sent to a topic that takes calls alone', async () => {
    const notifier = start({ ...apnsEntry, topic: `${TOPIC}.voip`, pushType: 'voip' });
    const { requests } = apns;
    for (const urgency of ['high', 'silent'] as const) {
      expect(await notifier.send(wakePushFor(apnsToken(), { urgency }), never)).toEqual({
        kind: 'dropped',
        reason: 'calls-only',
      });
    }
    expect(apns.requests).toBe(requests);
  });

  it('shows p2’s title alone, and says nothing of the account', async () => {
    const message = { alertTitle: 'New message', alertBody: null, mutableContent: false };
    const { account } = vectors.p2.fcm_data;
    await deliver(start(apnsEntry), wakePushFor(apnsToken(), { ...message, account, channel: HEX40 }));
    expect(last()?.bodyText).toBe('{"aps":{"alert":{"title":"New message"},"sound":"default"}}');
  });

  it('has the sound of the entry, and none of what the entry says about sealed pushes', async () => {
    const about = {
      badge: 7,
      category: 'SECRET',
      alertTitle: 'never',
      markers: ['pns'],
      priority: 5,
    } as const;
    for (const pushType of ['alert', 'background'] as const) {
      const priority = pushType === 'background' ? 5 : about.priority;
      const notifier = start({ ...apnsEntry, ...about, priority, pushType, sound: 'ping "1".caf' });
      await deliver(notifier, wakePushFor(apnsToken()));
      expect(last()?.headers).toMatchObject({ 'apns-push-type': 'alert', 'apns-priority': '10' });
      expect(last()?.bodyText).toBe(
        '{"aps":{"mutable-content":1,"alert":{"title":"New Message","body":"New Message"},"sound":"ping \\"1\\".caf"}}',
      );
    }
    await deliver(start({ ...apnsEntry, sound: null }), wakePushFor(apnsToken(), { alertBody: null }));
    expect(last()?.bodyText).toBe('{"aps":{"mutable-content":1,"alert":{"title":"New Message"}}}');
  });

  it('expires when the push does: the original’s date is that of its start', async () => {
    const expiresAtMs = Date.now() + 28 * DAY_MS + 999;
    await deliver(start(apnsEntry), wakePushFor(apnsToken(), {}, { expiresAtMs }));
    expect(last()?.headers['apns-expiration']).toBe(`${Math.floor(expiresAtMs / 1000)}`);
    expect(last()?.headers[':authority']).toMatch(/:\d+$/);
  });

  it('takes the place of one with the same collapse key, else at most that of its own first attempt', async () => {
    const plain = start(apnsEntry);
    const repeating = start({ ...apnsEntry, collapseRepeats: true });
    for (const notifier of [plain, repeating]) {
      await deliver(notifier, wakePushFor(apnsToken(), { collapseKey: 'xmpp-body-push' }));
      expect(last()?.headers['apns-collapse-id']).toBe('xmpp-body-push');
    }
    const push = wakePushFor(apnsToken());
    await deliver(plain, push);
    expect(last()?.headers).not.toHaveProperty('apns-collapse-id');
    await deliver(repeating, push);
    expect(last()?.headers['apns-collapse-id']).toBe(push.dedupeKey.toString('hex'));
    await deliver(plain, wakePushFor(apnsToken(), { collapseKey: 'x'.repeat(64) }));
    expect(last()?.headers['apns-collapse-id']).toHaveLength(64);
  });

  it('goes without a collapse key that no header can hold', async () => {
    const notifier = start(apnsEntry);
    for (const collapseKey of ['x'.repeat(65), '', 'é', 'a\r\nb', '\0']) {
      await deliver(notifier, wakePushFor(apnsToken(), { collapseKey }));
      expect(last()?.headers).not.toHaveProperty('apns-collapse-id');
    }
  });

  it('has the same apns-id for every attempt', async () => {
    const push = wakePushFor(apnsToken());
    const notifier = start(apnsEntry);
    await deliver(notifier, push);
    const id = last()?.headers['apns-id'];
    await deliver(notifier, { ...push, attempts: 1 });
    expect(last()?.headers['apns-id']).toBe(id);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is signed anew when Apple calls the provider token expired, and is the same push then', async () => {
    const notifier = start(apnsEntry);
    apns.answers.next({ status: 403, body: { reason: 'ExpiredProviderToken' } });
    await deliver(notifier, wakePushFor(apnsToken(), { urgency: 'silent' }));
    expect(last()?.headers).toMatchObject({ 'apns-push-type': 'background', 'apns-priority': '5' });
  });

  /** Where the original removes a device and we do not, or the other way round. */
  const differs: Readonly<Record<string, string>> = {
    '400 DeviceTokenNotForTopic': 'with a wrong topic that is every token',
  };

  it.each(recorded.apns.errors)('answered with $apns ends the device as the original does', async (error) => {
    const [status = '', reason = ''] = error.apns.split(' ');
    const token = apnsToken();
    const notifier = start(apnsEntry);
    await deliver(notifier, wakePushFor(apnsToken()));
    const timestamp = 1_700_000_000_123;
    apns.answers.forToken(token, { status: Number(status), body: { reason, timestamp } });
    const outcome = await notifier.send(wakePushFor(token), never);
    apns.answers.forToken(token, null);
    const isDead = error.record_removed && differs[error.apns] === undefined;
    expect(outcome.kind === 'dead-token').toBe(isDead);
    if (reason === 'Unregistered') expect(outcome).toMatchObject({ sinceMs: timestamp });
  });

  it('for a token that is no hex is concluded here', async () => {
    const notifier = start(apnsEntry);
    const { requests } = apns;
    for (const token of [...oddTokens, 'xyz']) {
      expect(await notifier.send(wakePushFor(token), never)).toEqual(MALFORMED);
    }
    expect(apns.requests).toBe(requests);
    // As the vectors have it: for Apple to judge.
    expect(await notifier.send(wakePushFor('ABCDEF01'), never)).toMatchObject({ reason: 'BadDeviceToken' });
  });
});

describe('a publish of an XMPP server, sent to Google', () => {
  const last = () => fcm.pushes.at(-1);

  it('is what the original said, in version 1 of the interface', async () => {
    const { collapse_key: collapseKey, priority } = recorded.fcm_legacy.request.body;
    const token = fcmToken();
    const push = wakePushFor(token, { collapseKey }, { expiresAtMs: NOW_MS + 28 * DAY_MS });
    await deliver(start(firebaseEntry, stillClock), push);
    expect(last()?.message).toEqual({
      android: { collapse_key: collapseKey, priority },
      data: { wake: '1' }, // the original's is empty
      token,
    });
    expect(last()?.bodyText).toBe(
      '{"message":{"android":{"collapse_key":"mod_push_appserver_fcm.collapse","priority":"high"},' +
        `"data":{"wake":"1"},"token":"${token}"}}`,
    );
  });

  it('tells p2’s clients which account and which room it is', async () => {
    const notifier = start(firebaseEntry);
    const { fcm_data: data } = vectors.p2;
    await deliver(notifier, wakePushFor(fcmToken(), { ...data, collapseKey: data.account.slice(0, 6) }));
    expect(last()?.message).toMatchObject({ data, android: { collapse_key: 'acd0bf' } });
    await deliver(notifier, wakePushFor(fcmToken(), { ...data, channel: HEX40 }));
    expect(last()?.message.data).toEqual({ ...data, channel: HEX40 });
    await deliver(notifier, wakePushFor(fcmToken(), { channel: HEX40 }));
    expect(last()?.message.data).toEqual({ channel: HEX40 });
  });

  it.each([
    ['high', 'high'],
    ['voip', 'high'],
    ['silent', 'normal'],
  ] as const)('of urgency %s has priority %s', async (urgency, priority) => {
    await deliver(start(firebaseEntry), wakePushFor(fcmToken(), { urgency }));
    expect(last()?.message.android?.priority).toBe(priority);
    expect(last()?.message.android).not.toHaveProperty('collapse_key');
  });

  it('says how long it is good for when that is less than Google keeps it anyway', async () => {
    const notifier = start(firebaseEntry, stillClock);
    const ttlOf = async (leftMs: number): Promise<string | undefined> => {
      await deliver(notifier, wakePushFor(fcmToken(), {}, { expiresAtMs: NOW_MS + leftMs }));
      return last()?.message.android?.ttl;
    };
    expect(await ttlOf(3_600_000)).toBe('3600s');
    expect(await ttlOf(1)).toBe('1s');
    expect(await ttlOf(28 * DAY_MS - 1_000)).toBe('2419199s');
    // The lifetime of the original's default, but for what it took to come here.
    expect(await ttlOf(28 * DAY_MS - 20)).toBeUndefined();
    expect(await ttlOf(29 * DAY_MS)).toBeUndefined();
  });

  it('for a token that Google cannot have made is concluded here', async () => {
    const notifier = start(firebaseEntry);
    const { requests } = fcm;
    for (const token of oddTokens.filter((odd) => !/^[!-~]+$/.test(odd))) {
      expect(await notifier.send(wakePushFor(token), never)).toEqual(MALFORMED);
    }
    expect(fcm.requests).toBe(requests);
    await deliver(notifier, wakePushFor('"},\\"x'));
    expect(last()?.token).toBe('"},\\"x');
  });

  it('says as much about its device as any other push', async () => {
    const notifier = start(firebaseEntry);
    const token = fcmToken();
    fcm.answers.forToken(token, fcmError(404, 'NOT_FOUND', 'UNREGISTERED'));
    expect(await notifier.send(wakePushFor(token), never)).toMatchObject({ kind: 'dead-token' });
    fcm.answers.forToken(token, { status: 500 });
    expect(await notifier.send(wakePushFor(token), never)).toMatchObject({ kind: 'retry' });
    fcm.answers.forToken(token, null);
  });
});

describe('a publish of an XMPP server, sent to Huawei', () => {
  const last = () => hms.pushes.at(-1);

  it('is a data message with what Google is told', async () => {
    const notifier = start(huaweiEntry, stillClock);
    const expiresAtMs = NOW_MS + 3_600_500;
    await deliver(notifier, wakePushFor('h1', { collapseKey: 'xmpp-body-push' }, { expiresAtMs }));
    expect(last()?.bodyText).toBe(
      '{"validate_only":false,"message":{"data":"{\\"wake\\":\\"1\\"}",' +
        '"android":{"urgency":"HIGH","ttl":"3600s"},"token":["h1"]}}',
    );
    const { fcm_data: data } = vectors.p2;
    await deliver(notifier, wakePushFor('h1', { ...data, channel: HEX40, urgency: 'silent' }));
    expect(last()).toMatchObject({
      data: { ...data, channel: HEX40 },
      android: { urgency: 'NORMAL' },
    });
    await deliver(notifier, wakePushFor('h1', { urgency: 'voip' }));
    expect(last()?.android).toMatchObject({ urgency: 'HIGH' });
  });

  it('lives a second at least and 15 days at most, as Huawei wants it', async () => {
    const notifier = start(huaweiEntry, stillClock);
    await deliver(notifier, wakePushFor('h', {}, { expiresAtMs: NOW_MS + 900 }));
    expect(last()?.android).toMatchObject({ ttl: '1s' });
    await deliver(notifier, wakePushFor('h', {}, { expiresAtMs: NOW_MS + 28 * DAY_MS }));
    expect(last()?.android).toMatchObject({ ttl: '1296000s' });
  });

  it('for a token that Huawei cannot have made is concluded here; one that is dead is dead', async () => {
    const notifier = start(huaweiEntry);
    const { requests } = hms.http;
    for (const token of oddTokens.filter((odd) => !/^[!-~]+$/.test(odd))) {
      expect(await notifier.send(wakePushFor(token), never)).toEqual(MALFORMED);
    }
    expect(hms.http.requests).toBe(requests);
    hms.forToken('q', hmsAnswer('80300007'));
    expect(await notifier.send(wakePushFor('q'), never)).toMatchObject({ kind: 'dead-token' });
    hms.forToken('q', null);
  });
});

describe('all three', () => {
  const each = [
    ['apns', () => start(apnsEntry), 'a1'.repeat(32)],
    ['firebase', () => start(firebaseEntry), 'f'.repeat(40)],
    ['huawei', () => start(huaweiEntry), 'h'.repeat(40)],
  ] as const;

  it.each(each)('send no publish that has expired or cannot be read: %s', async (_type, make, token) => {
    const notifier = make();
    const expired = wakePushFor(token, {}, { expiresAtMs: Date.now() - 1 });
    expect(await notifier.send(expired, never)).toEqual({ kind: 'dropped', reason: 'expired' });
    for (const junk of ['', '{}', '{"u":"loud","t":"x"}', '{"u":"high","t":5}', 'null', 'junk']) {
      const push = pushFor(token, { content: { kind: 'wake', payload: Buffer.from(junk) } });
      expect(await notifier.send(push, never)).toEqual({ kind: 'dropped', reason: 'unreadable-content' });
    }
  });

  it.each(each)(
    'send each push its own message, also when many share and take turns: %s',
    async (type, make, token) => {
      const notifier = make();
      const seen = { apns: apns.pushes, firebase: fcm.pushes, huawei: hms.pushes }[type];
      const before = seen.length;
      const words = ['one', 'two', 'three', 'four', 'five', 'six'];
      const payloads = words.map((word) =>
        encodeWakeMessage(wakeMessage({ alertTitle: word, account: word })),
      );
      const orderOf = (index: number): number => ((index * index) % 11) % words.length;
      const indexes = Array.from({ length: 60 }, (_, index) => orderOf(index));
      const outcomes = await Promise.all(
        indexes.map((index) => {
          const payload = payloads[index] ?? Buffer.alloc(0);
          return notifier.send(wakePushFor(token, {}, { content: { kind: 'wake', payload } }), never);
        }),
      );
      expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
      const sent = seen
        .slice(before)
        .map(({ bodyText }) => /one|two|three|four|five|six/.exec(bodyText)?.[0]);
      expect(sent.sort()).toEqual(indexes.map((index) => words[index]).sort());
    },
  );

  it('stay valid whatever the message and the token say', async () => {
    const notifiers = each.map(([, make]) => make());
    const text = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }), fc.constant(nasty));
    const optional = fc.option(text, { nil: null });
    const message = fc.record({
      urgency: fc.constantFrom('high', 'silent'),
      alertTitle: text,
      alertBody: optional,
      collapseKey: optional,
      account: optional,
      channel: optional,
      mutableContent: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.constant('a1'.repeat(32))), message, async (token, changes) => {
        for (const notifier of notifiers) {
          const { kind } = await notifier.send(wakePushFor(token, changes), never);
          expect(['delivered', 'dead-token']).toContain(kind);
        }
      }),
      { numRuns: 80 },
    );
    for (const { bodyText } of [...apns.pushes, ...fcm.pushes, ...hms.pushes]) {
      expect(bodyText).toMatch(/^[\x20-\x7e]+$/);
    }
    expect(apns.refusals.filter(({ status }) => status === 404)).toEqual([]);
  });

  it.each(each)('end a push at once when it is aborted: %s', async (_type, make, token) => {
    const aborted = AbortSignal.abort();
    expect(await make().send(wakePushFor(token), aborted)).toMatchObject({ kind: 'retry' });
  });
});
