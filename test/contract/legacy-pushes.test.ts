import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
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
  legacyPushFor,
  never,
  pushFor,
  skipReason,
} from './notifier-fixtures.js';

interface ProviderRequests {
  readonly apns: {
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly absent_headers: readonly string[];
    readonly body: { readonly aps: { readonly alert: { readonly title: string; readonly body: string } } };
  };
  readonly fcm: { readonly body: object };
  readonly huawei: { readonly body: object; readonly headers: Readonly<Record<string, string>> };
}
const { apps } = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v1.json', import.meta.url), 'utf8'),
) as { apps: Readonly<Record<string, { readonly provider_requests: ProviderRequests }>> };
const brands = Object.entries(apps).map(([brand, app]) => ({ brand, requests: app.provider_requests }));

const DELIVERED: Outcome = { kind: 'delivered' };
const TOPIC = 'com.loki-project.loki-messenger';
const APP_ID = '100000001';
const APP_SECRET = 'secret';
/** What clients may register: nothing of it is looked at. */
const oddTokens = [
  '../x',
  'a b',
  '\n',
  'x\r\napns-topic: y',
  'é',
  '\u{1f600}'.repeat(20),
  ' '.repeat(999),
  '?',
  '%2e%2e/',
];
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

function start(entry: ApnsEntry | FirebaseEntry | HuaweiEntry): Notifier {
  const notifier = buildNotifier(entry);
  closing.push(() => notifier.close());
  return notifier;
}

async function deliver(notifier: Notifier, push: Push): Promise<void> {
  expect(await notifier.send(push, never)).toEqual(DELIVERED);
}

/** The request of the vectors with the values of this push in the place of `<token>` and `<data>`. */
function filled(template: unknown, token: string, data: string): unknown {
  return JSON.parse(JSON.stringify(template), (_key, value: unknown) =>
    value === '<token>' ? token : value === '<data>' ? data : value,
  );
}

const base64Of = (characters: number): string => 'QUJD'.repeat(characters / 4 + 1).slice(0, characters);

describe('a message of an older client, sent to Apple', () => {
  const last = () => apns.pushes.at(-1);

  it.each(brands)('is the request of the original: $brand', async ({ requests }) => {
    const { headers, absent_headers: absent, body, path } = requests.apns;
    const { title, body: text } = body.aps.alert;
    const topic = headers['apns-topic'] ?? '';
    const other = await startApns(topic);
    closing.push(() => other.close());
    const token = apnsToken();
    const notifier = start({ ...apnsEntry, topic, endpoint: other.endpoint });
    await deliver(notifier, legacyPushFor(token, { alertTitle: title, alertBody: text, data: 'MQ==' }));
    const [seen] = other.pushes;
    expect(seen?.body).toEqual(filled(body, token, 'MQ=='));
    expect(seen?.headers[':path']).toBe(path.replace('<token>', token));
    const { 'apns-id': _id, ...fixed } = headers;
    expect(seen?.headers).toMatchObject(fixed);
    // Provider tokens are a way to authenticate that the original does not have.
    for (const name of absent.filter((header) => header !== 'authorization')) {
      expect(seen?.headers).not.toHaveProperty(name);
    }
  });

  it('is compact, in the order of the original and in ASCII', async () => {
    await deliver(start(apnsEntry), legacyPushFor(apnsToken(), { alertTitle: 'Grüße', data: 'MQ==' }));
    expect(last()?.bodyText).toBe(
      '{"aps":{"alert":{"title":"Gr\\u00fc\\u00dfe","body":"You\'ve got a new message"},"badge":1,"sound":"default",' +
        '"mutable-content":1,"category":"SECRET"},"ENCRYPTED_DATA":"MQ==","remote":1}',
    );
  });

  it('has badge, sound, category, priority and collapse id as the entry says, but its own texts', async () => {
    const notifier = start({
      ...apnsEntry,
      alertTitle: 'never seen',
      badge: null,
      sound: 'ping "1".caf',
      category: null,
      mutableContent: false,
      priority: 5,
      collapseRepeats: true,
    });
    const push = legacyPushFor(apnsToken());
    await deliver(notifier, push);
    expect(last()?.body).toMatchObject({
      aps: { alert: { title: 'Session', body: "You've got a new message" }, sound: 'ping "1".caf' },
    });
    expect(Object.keys(last()?.body['aps'] ?? {})).toEqual(['alert', 'sound']);
    expect(last()?.headers).toMatchObject({
      'apns-priority': '5',
      'apns-collapse-id': push.dedupeKey.toString('hex'),
    });
  });

  it('is an alert of priority 10 also where sealed pushes are background pushes', async () => {
    await deliver(start({ ...apnsEntry, pushType: 'background' }), legacyPushFor(apnsToken()));
    expect(last()?.headers).toMatchObject({ 'apns-push-type': 'alert', 'apns-priority': '10' });
  });

  it('is not sent to a topic that takes no alerts', async () => {
    const notifier = start({ ...apnsEntry, topic: `${TOPIC}.voip`, pushType: 'voip' });
    expect(await notifier.send(legacyPushFor(apnsToken()), never)).toEqual({
      kind: 'dropped',
      reason: 'legacy-content',
    });
  });

  it('has the same apns-id for every attempt', async () => {
    const other = await startApns(TOPIC);
    closing.push(() => other.close());
    const ids = new Set<unknown>();
    other.onRequest = (headers) => ids.add(headers['apns-id']);
    const notifier = start({ ...apnsEntry, endpoint: other.endpoint });
    const push = legacyPushFor(apnsToken());
    other.answers.next({ status: 500 }, { instead: 'refuse' });
    expect(await notifier.send(push, never)).toMatchObject({ kind: 'retry' });
    await deliver(notifier, { ...push, attempts: 1 });
    expect(other.requests).toBe(3);
    expect([...ids]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    await deliver(notifier, legacyPushFor(push.device.serviceId));
    expect(ids.size).toBe(2);
  });

  it('carries as much data as fits the 4096 bytes, and beyond that goes without', async () => {
    const notifier = start(apnsEntry);
    await deliver(notifier, legacyPushFor(apnsToken(), { data: base64Of(3926) }));
    expect(last()?.bodyText).toHaveLength(4096);
    expect(last()?.body['ENCRYPTED_DATA']).toBe(base64Of(3926));
    for (const data of [base64Of(3927), base64Of(10_240), 'é'.repeat(1_000), '"'.repeat(2_000), null]) {
      await deliver(notifier, legacyPushFor(apnsToken(), { data }));
      expect(last()?.body).toEqual({
        aps: expect.objectContaining({ 'mutable-content': 1 }) as unknown,
        remote: 1,
      });
    }
  });

  it('stays valid JSON whatever the data', async () => {
    const notifier = start(apnsEntry);
    await deliver(notifier, legacyPushFor(apnsToken(), { data: nasty, alertTitle: nasty, alertBody: nasty }));
    expect(last()?.body).toMatchObject({
      aps: { alert: { title: nasty, body: nasty } },
      ENCRYPTED_DATA: nasty,
    });
    expect(last()?.bodyText).toMatch(/^[\x20-\x7e]+$/);
  });

  it('for a token that is no hex is concluded here, and harms no other push on the connection', async () => {
    const notifier = start(apnsEntry);
    const { requests } = apns;
    for (const token of [...oddTokens, 'xyz', 'h']) {
      expect(await notifier.send(legacyPushFor(token), never)).toEqual({
        kind: 'dead-token',
        reason: 'malformed-token',
        sinceMs: null,
      });
    }
    expect(apns.requests).toBe(requests);
    const outcomes = await Promise.all(
      [...oddTokens, ...Array.from({ length: 50 }, apnsToken)].map((token) =>
        notifier.send(legacyPushFor(token), never),
      ),
    );
    expect(outcomes.filter(({ kind }) => kind === 'delivered')).toHaveLength(50);
  });

  it('for any hex is for Apple to judge, however short or long', async () => {
    const notifier = start(apnsEntry);
    for (const token of ['a', 'ABC', 'f'.repeat(63)]) {
      expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({
        kind: 'dead-token',
        reason: 'BadDeviceToken',
      });
    }
    await deliver(notifier, legacyPushFor('f'.repeat(998)));
  });

  it('that Apple calls too large is dropped and its device kept; a device that is gone is dead', async () => {
    const notifier = start(apnsEntry);
    const token = apnsToken();
    apns.answers.forToken(token, { status: 413, body: { reason: 'PayloadTooLarge' } });
    for (let count = 0; count < 5; count += 1) {
      expect(await notifier.send(legacyPushFor(token), never)).toEqual({
        kind: 'dropped',
        reason: 'PayloadTooLarge',
      });
    }
    apns.answers.forToken(token, {
      status: 410,
      body: { reason: 'Unregistered', timestamp: 1_700_000_000_123 },
    });
    expect(await notifier.send(legacyPushFor(token), never)).toEqual({
      kind: 'dead-token',
      reason: 'Unregistered',
      sinceMs: 1_700_000_000_123,
    });
    apns.answers.forToken(token, null);
  });
});

describe('a message of an older client, sent to Google', () => {
  const last = () => fcm.pushes.at(-1);
  const body = (): unknown => JSON.parse(last()?.bodyText ?? 'null');

  it.each(brands)('is the request of the original: $brand', async ({ requests }) => {
    const token = fcmToken();
    await deliver(start(firebaseEntry), legacyPushFor(token, { data: 'MQ==' }));
    expect(body()).toEqual(filled(requests.fcm.body, token, 'MQ=='));
    expect(last()?.bodyText).toBe(
      `{"message":{"token":"${token}","data":{"ENCRYPTED_DATA":"MQ=="},"android":{"priority":"high"}}}`,
    );
  });

  it('carries as much data as fits the 4096 bytes, and beyond that goes without', async () => {
    const notifier = start(firebaseEntry);
    await deliver(notifier, legacyPushFor(fcmToken(), { data: base64Of(4082) }));
    expect(last()?.message.data).toEqual({ ENCRYPTED_DATA: base64Of(4082) });
    await deliver(notifier, legacyPushFor(fcmToken(), { data: 'é'.repeat(2_041) }));
    expect(last()?.message.data).toEqual({ ENCRYPTED_DATA: 'é'.repeat(2_041) });
    for (const data of [base64Of(4083), base64Of(10_240), 'é'.repeat(2_042), null]) {
      await deliver(notifier, legacyPushFor(fcmToken(), { data }));
      expect(last()?.message.data).toEqual({ omitted: '1' });
    }
  });

  it('stays valid JSON whatever the data and the token', async () => {
    const notifier = start(firebaseEntry);
    await deliver(notifier, legacyPushFor('"},\\"x', { data: nasty }));
    expect(last()).toMatchObject({ token: '"},\\"x', message: { data: { ENCRYPTED_DATA: nasty } } });
    expect(last()?.bodyText).toMatch(/^[\x20-\x7e]+$/);
    await deliver(notifier, legacyPushFor('z'));
    await deliver(notifier, legacyPushFor('x'.repeat(999)));
  });

  it('for a token that Google cannot have made is concluded here', async () => {
    const notifier = start(firebaseEntry);
    const { requests } = fcm;
    for (const token of oddTokens.filter((odd) => !/^[!-~]+$/.test(odd))) {
      expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({ reason: 'malformed-token' });
    }
    expect(fcm.requests).toBe(requests);
  });

  it('says as much about its device as any other push', async () => {
    const notifier = start(firebaseEntry);
    const token = fcmToken();
    fcm.answers.forToken(token, fcmError(404, 'NOT_FOUND', 'UNREGISTERED'));
    expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({ kind: 'dead-token' });
    fcm.answers.forToken(token, { status: 413, body: '' });
    expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({ kind: 'dropped' });
    fcm.answers.forToken(token, { status: 500 });
    expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({ kind: 'retry' });
    fcm.answers.forToken(token, null);
  });
});

describe('a message of an older client, sent to Huawei', () => {
  const last = () => hms.pushes.at(-1);

  it.each(brands)('is the request of the original: $brand', async ({ requests }) => {
    await deliver(start(huaweiEntry), legacyPushFor('hms-token-huawei-1', { data: 'MQ==' }));
    expect(JSON.parse(last()?.bodyText ?? 'null')).toEqual(
      filled(requests.huawei.body, 'hms-token-huawei-1', 'MQ=='),
    );
    const withoutBlanks = last()?.headers['content-type']?.replace(' ', '');
    expect(withoutBlanks?.toLowerCase()).toBe(requests.huawei.headers['Content-Type']?.toLowerCase());
  });

  it('is compact, in the order of the original', async () => {
    await deliver(start(huaweiEntry), legacyPushFor('q', { data: 'MQ==' }));
    expect(last()?.bodyText).toBe(
      '{"validate_only":false,"message":{"data":"MQ==","android":{"urgency":"HIGH"},"token":["q"]}}',
    );
  });

  it('carries as much data as fits the 4096 bytes, and beyond that goes without', async () => {
    const notifier = start(huaweiEntry);
    const fitting = 4096 - 87;
    await deliver(notifier, legacyPushFor('q', { data: base64Of(fitting) }));
    expect(last()?.dataText).toBe(base64Of(fitting));
    expect(last()?.bodyText).toHaveLength(4097); // the token is not counted
    for (const data of [base64Of(fitting + 1), base64Of(10_240), '\\'.repeat(2_100), 'é'.repeat(700), null]) {
      await deliver(notifier, legacyPushFor('q', { data }));
      expect(last()?.data).toEqual({ omitted: '1' });
    }
  });

  it('stays valid JSON whatever the data and the token', async () => {
    const notifier = start(huaweiEntry);
    await deliver(notifier, legacyPushFor('"],\\"x', { data: nasty }));
    expect(last()).toMatchObject({ token: '"],\\"x', dataText: nasty });
    await deliver(notifier, legacyPushFor('x'.repeat(999)));
  });

  it('for a token that Huawei cannot have made is concluded here', async () => {
    const notifier = start(huaweiEntry);
    const { requests } = hms.http;
    for (const token of oddTokens.filter((odd) => !/^[!-~]+$/.test(odd))) {
      expect(await notifier.send(legacyPushFor(token), never)).toMatchObject({ reason: 'malformed-token' });
    }
    expect(hms.http.requests).toBe(requests);
  });

  it('says as much about its device as any other push', async () => {
    const notifier = start(huaweiEntry);
    hms.forToken('q', hmsAnswer('80300007'));
    expect(await notifier.send(legacyPushFor('q'), never)).toMatchObject({ kind: 'dead-token' });
    hms.forToken('q', hmsAnswer('80300008'));
    expect(await notifier.send(legacyPushFor('q'), never)).toMatchObject({ kind: 'dropped' });
    hms.forToken('q', hmsAnswer('81000001'));
    expect(await notifier.send(legacyPushFor('q'), never)).toMatchObject({ kind: 'retry' });
    hms.forToken('q', null);
  });
});

describe('all three', () => {
  const each = [
    ['apns', () => start(apnsEntry), 'a1'.repeat(32)],
    ['firebase', () => start(firebaseEntry), 'f'.repeat(40)],
    ['huawei', () => start(huaweiEntry), 'h'.repeat(40)],
  ] as const;

  it.each(each)('send nothing that has expired or cannot be read: %s', async (_type, make, token) => {
    const notifier = make();
    const expired = legacyPushFor(token, {}, { expiresAtMs: Date.now() - 1 });
    expect(await notifier.send(expired, never)).toEqual({ kind: 'dropped', reason: 'expired' });
    for (const junk of ['', 'de', 'd1:b0:1:t0:', 'junk']) {
      const push = pushFor(token, { content: { kind: 'legacy', payload: Buffer.from(junk) } });
      expect(await notifier.send(push, never)).toEqual({ kind: 'dropped', reason: 'unreadable-content' });
    }
  });

  it.each(each)(
    'send each push its own message, also when notices take turns: %s',
    async (type, make, token) => {
      const notifier = make();
      const contents = ['one', 'two', 'three'].map((data) => legacyPushFor(token, { data }).content);
      const pushes = Array.from({ length: 30 }, (_, index) => {
        const content = contents[(index % 7) % 3] ?? { kind: 'legacy', payload: Buffer.alloc(0) };
        return pushFor(token, { content, dedupeKey: Buffer.alloc(16, index) });
      });
      const before = { apns: apns.pushes.length, firebase: fcm.pushes.length, huawei: hms.pushes.length };
      const outcomes = await Promise.all(pushes.map((push) => notifier.send(push, never)));
      expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
      const texts = { apns: apns.pushes, firebase: fcm.pushes, huawei: hms.pushes }[type]
        .slice(before[type])
        .map(({ bodyText }) => /"(one|two|three)"/.exec(bodyText)?.[1] ?? '');
      const expected = Array.from(
        { length: 30 },
        (_, index) => ['one', 'two', 'three'][(index % 7) % 3] ?? '',
      );
      expect(texts.sort()).toEqual(expected.sort());
    },
  );

  it('never break a request, whatever the token and the data', async () => {
    const notifiers = each.map(([, make]) => make());
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, text, async (token, data) => {
        for (const notifier of notifiers) {
          const { kind } = await notifier.send(legacyPushFor(token, { data }), never);
          expect(['delivered', 'dead-token']).toContain(kind);
        }
      }),
      { numRuns: 60 },
    );
    for (const standIn of [apns, fcm]) {
      expect(standIn.refusals.filter(({ status }) => status === 404)).toEqual([]);
    }
  });
});

describe('the option markers', () => {
  const both = ['spns', 'pns'];
  const room = { kind: 'sealed', payload: Buffer.alloc(2856, 7) } as const;
  const base64 = room.payload.toString('base64');

  it('adds keys beside the payload', async () => {
    await deliver(start({ ...apnsEntry, markers: both }), pushFor(apnsToken(), { content: room }));
    expect(apns.pushes.at(-1)?.bodyText).toContain(`}, "spns": 1, "pns": 1, "enc_payload": "${base64}"}`);
    await deliver(start({ ...firebaseEntry, markers: both }), pushFor(fcmToken(), { content: room }));
    expect(fcm.pushes.at(-1)?.bodyText).toContain(`"data":{"enc_payload":"${base64}","pns":"1","spns":"1"}`);
    await deliver(start({ ...huaweiEntry, markers: both }), pushFor(fcmToken(), { content: room }));
    expect(hms.pushes.at(-1)?.data).toEqual({ enc_payload: base64, spns: '1', pns: '1' });
  });

  it('may leave them out', async () => {
    await deliver(start({ ...apnsEntry, markers: [] }), pushFor(apnsToken(), { content: room }));
    expect(Object.keys(apns.pushes.at(-1)?.body ?? {})).toEqual(['aps', 'enc_payload']);
    await deliver(start({ ...firebaseEntry, markers: [] }), pushFor(fcmToken(), { content: room }));
    expect(fcm.pushes.at(-1)?.message.data).toEqual({ enc_payload: base64 });
    await deliver(start({ ...huaweiEntry, markers: [] }), pushFor(fcmToken(), { content: room }));
    expect(hms.pushes.at(-1)?.data).toEqual({ enc_payload: base64 });
  });

  it('takes its room from the payload', async () => {
    const tokens = { apns: apnsToken(), firebase: fcmToken(), huawei: fcmToken() };
    for (const entry of [apnsEntry, firebaseEntry, huaweiEntry]) {
      const notifier = start({ ...entry, markers: both });
      const { maxPayloadBytes } = notifier.capabilities;
      expect(maxPayloadBytes).toBeLessThan(start(entry).capabilities.maxPayloadBytes);
      const payload = Buffer.alloc(maxPayloadBytes, 7);
      await deliver(notifier, pushFor(tokens[entry.type], { content: { kind: 'sealed', payload } }));
    }
  });

  it('is nothing to older clients', async () => {
    await deliver(start({ ...firebaseEntry, markers: both }), legacyPushFor(fcmToken(), { data: 'MQ==' }));
    expect(fcm.pushes.at(-1)?.message.data).toEqual({ ENCRYPTED_DATA: 'MQ==' });
  });

  it.each<[readonly string[], RegExp]>([
    [['spns', 'spns'], /^markers: spns is there twice$/],
    [['enc_payload'], /^markers: enc_payload has a meaning already$/],
    [['aps'], /^markers: aps has/],
    [['ENCRYPTED_DATA'], /^markers: ENCRYPTED_DATA has/],
    [['google_x'], /^markers: google_x has/],
    [[''], /^markers: letters/],
    [['a"b'], /^markers: letters/],
    [['ü'], /^markers: letters/],
    [Array.from({ length: 9 }, (_, index) => `m${index}`), /^markers: at most 8/],
  ])('that cannot work skips the entry with a reason: %j', (markers, reason) => {
    for (const entry of [apnsEntry, firebaseEntry, huaweiEntry]) {
      expect(skipReason({ ...entry, markers })).toMatch(reason);
    }
  });

  it('that leaves no room for the payload, too', () => {
    const markers = Array.from({ length: 8 }, (_, index) => `${index}`.padStart(32, 'm'));
    expect(skipReason({ ...apnsEntry, markers })).toMatch(/markers leave no room/);
    expect(skipReason({ ...huaweiEntry, markers })).toMatch(/markers leave no room/);
    expect(skipReason({ ...firebaseEntry, markers })).toBeNull();
    expect(start({ ...firebaseEntry, markers }).capabilities.maxPayloadBytes).toBeGreaterThanOrEqual(2856);
  });
});
