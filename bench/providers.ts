import { randomBytes, randomUUID } from 'node:crypto';
import {
  connect,
  sensitiveHeaders,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../src/domain/clock.js';
import type { Push } from '../src/domain/push.js';
import { createApnsBodyTemplate } from '../src/notifiers/apns/body.js';
import type { ApnsEntry } from '../src/notifiers/apns/apns-entry.js';
import { connectNodeApn } from '../src/notifiers/apns/node-apn-connector.js';
import { fcmBody } from '../src/notifiers/firebase/body.js';
import type { FirebaseEntry } from '../src/notifiers/firebase/firebase-entry.js';
import { loadServiceAccount } from '../src/notifiers/firebase/service-account.js';
import { requestAccessToken } from '../src/notifiers/firebase/token-grant.js';
import { createTlsContext } from '../src/notifiers/tls-context.js';
import type { Notifier } from '../src/notifiers/port.js';
import {
  apnsToken,
  buildNotifier,
  CredentialFiles,
  fcmToken,
  never,
  pushFor,
} from '../test/contract/notifier-fixtures.js';
import { sleep } from './process.js';
import { forkStandIns, type ForkedStandIns } from '../test/simulators/providers/forked-stand-ins.js';

/*
 * What a push costs us beyond what node:http2 costs anybody: `Notifier.send` alone (no actor, no pipeline) against a
 * bare client in the same process that sends the same requests (headers, bodies, one connection, as many at once).
 * In turn, so that the noise of the machine meets all. The bare client makes its headers and bodies out of the same
 * pushes as it goes, with the same few concatenations; how it fares when somebody has made them for it beforehand is
 * shown, too.
 */

/** A message of 1 kB: 1,000 B and some 190 B around them, padded to 1,280, with nonce and tag. */
const SEALED_BYTES = 1320;
const IN_FLIGHT = 100;
const PUSHES_PER_ROUND = 4000;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 6;
/** For what the round before left behind: streams that close, garbage. */
const REST_MS = 30;

type Start<Item> = (item: Item, done: (good: boolean) => void) => void;

/** µs of CPU per push. */
interface Round {
  ours: number;
  bare: number;
  ready: number;
}

interface BareRequest {
  readonly headers: OutgoingHttpHeaders;
  readonly body: string;
}

interface Contest {
  readonly name: string;
  readonly bound: number;
  readonly endpoint: string;
  readonly notifier: Notifier;
  readonly makeToken: () => string;
  readonly bareRequest: (push: Push) => BareRequest;
}

/** CPU per push of FCM and APNs against a bare client. */
export async function benchProviders(say: (line: string) => void): Promise<void> {
  const standIns = await forkStandIns();
  const files = new CredentialFiles();
  try {
    say(
      `µs of CPU per push, 1 kB, ${IN_FLIGHT} at once over one connection; medians of ${ROUNDS} rounds of ` +
        `${PUSHES_PER_ROUND} in turn (\`Notifier.send\` alone):`,
    );
    say(
      '| provider | ours | bare node:http2 | ratio | middle half of the ratios | at most | bare with ready requests | ratio |',
    );
    say('|---|---|---|---|---|---|---|---|');
    for (const contest of [await firebase(standIns, files), apns(standIns, files)]) {
      say(await compete(contest, standIns.caPem));
      await contest.notifier.close();
    }
    const { refusals } = await standIns.counts();
    if (refusals > 0) throw new Error(`${refusals} requests were refused`);
  } finally {
    standIns.stop();
    files.remove();
  }
}

async function compete(contest: Contest, caPem: string): Promise<string> {
  const session = connect(contest.endpoint, { ca: caPem, settings: { enablePush: false } });
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject));
  const sendOurs: Start<Push> = (push, done) => {
    void contest.notifier.send(push, never).then((outcome) => done(outcome.kind === 'delivered'));
  };
  const round = async (order: number): Promise<Round> => {
    const pushes = Array.from({ length: PUSHES_PER_ROUND }, () => makePush(contest.makeToken()));
    const requests = pushes.map(contest.bareRequest);
    const measured: Round = { ours: NaN, bare: NaN, ready: NaN };
    const turns = [
      async () => (measured.ours = await cpuPerItem(pushes, sendOurs)),
      async () =>
        (measured.bare = await cpuPerItem(pushes, (push, done) =>
          sendBare(session, contest.bareRequest(push), done),
        )),
      async () =>
        (measured.ready = await cpuPerItem(requests, (request, done) => sendBare(session, request, done))),
    ];
    for (let turn = 0; turn < turns.length; turn += 1) await turns[(turn + order) % turns.length]?.();
    return measured;
  };
  for (let count = 0; count < WARM_UP_ROUNDS; count += 1) await round(count);
  const rounds: Round[] = [];
  for (let count = 0; count < ROUNDS; count += 1) rounds.push(await round(count));
  session.destroy();
  const median = (value: (round: Round) => number): number => quantile(rounds.map(value), 0.5);
  const ratios = rounds.map(({ ours, bare }) => ours / bare);
  const middle = [0.25, 0.75].map((share) => quantile(ratios, share).toFixed(2)).join(' to ');
  return (
    `| ${contest.name} | ${median(({ ours }) => ours).toFixed(0)} | ${median(({ bare }) => bare).toFixed(0)} ` +
    `| ${quantile(ratios, 0.5).toFixed(2)} | ${middle} | ${contest.bound} ` +
    `| ${median(({ ready }) => ready).toFixed(0)} | ${median(({ ours, ready }) => ours / ready).toFixed(2)} |`
  );
}

/** As lean as it can be written with node:http2: the status is looked at, the body is not. */
function sendBare(session: ClientHttp2Session, request: BareRequest, done: (good: boolean) => void): void {
  const stream: ClientHttp2Stream = session.request(request.headers);
  let good = false;
  stream.on('response', (headers) => (good = headers[':status'] === 200));
  stream.on('end', () => done(good));
  stream.on('error', () => done(false));
  stream.resume();
  stream.end(request.body, 'latin1');
}

async function cpuPerItem<Item>(items: readonly Item[], start: Start<Item>): Promise<number> {
  await sleep(REST_MS);
  collectGarbage();
  const before = process.cpuUsage();
  await new Promise<void>((resolve, reject) => {
    let next = 0;
    let left = items.length;
    const more = (): void => {
      const item = items[next];
      next += 1;
      if (item !== undefined) start(item, onDone);
    };
    const onDone = (good: boolean): void => {
      if (!good) return reject(new Error('a push was not delivered'));
      left -= 1;
      if (left === 0) resolve();
      else more();
    };
    for (let count = 0; count < IN_FLIGHT; count += 1) more();
  });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / items.length;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const makePush = (token: string): Push =>
  pushFor(token, { content: { kind: 'sealed', payload: randomBytes(SEALED_BYTES) } });

const payloadOf = (push: Push): string => push.content.payload.toString('base64');

function apns(standIns: ForkedStandIns, files: CredentialFiles): Contest {
  const entry: ApnsEntry = {
    type: 'apns',
    topic: standIns.topic,
    sandbox: false,
    keyFile: files.write('key.p8', standIns.p8Pem),
    keyId: standIns.keyId,
    teamId: standIns.teamId,
    endpoint: standIns.apnsEndpoint,
    caFile: files.write('ca.pem', standIns.caPem),
    connections: 1,
  };
  const { keyId, teamId, p8Pem } = standIns;
  const connector = connectNodeApn({
    credentials: { kind: 'token', key: p8Pem, keyId, teamId },
    sandbox: false,
    endpoint: null,
    trustAnchors: undefined,
  });
  if (!connector.ok || connector.value.signer === null) throw new Error('no provider token');
  const authorization = `bearer ${connector.value.signer.current}`;
  connector.value.shutdown();
  const template = createApnsBodyTemplate(entry);
  const authority = new URL(standIns.apnsEndpoint).host;
  return {
    name: 'APNs',
    bound: 1.25,
    endpoint: standIns.apnsEndpoint,
    notifier: buildNotifier(entry),
    makeToken: apnsToken,
    bareRequest: (push) => ({
      headers: {
        ':method': 'POST',
        ':scheme': 'https',
        ':authority': authority,
        ':path': `/3/device/${push.device.serviceId}`,
        'apns-topic': standIns.topic,
        'apns-push-type': 'alert',
        'apns-priority': '10',
        'apns-expiration': `${Math.floor(push.expiresAtMs / 1000)}`,
        'apns-id': randomUUID(),
        authorization,
        [sensitiveHeaders]: [':path', 'authorization', 'apns-id', 'apns-expiration'],
      },
      body: template.prefix + payloadOf(push) + template.suffix,
    }),
  };
}

async function firebase(standIns: ForkedStandIns, files: CredentialFiles): Promise<Contest> {
  const entry: FirebaseEntry = {
    type: 'firebase',
    serviceAccountFile: files.write('account.json', standIns.serviceAccountJson),
    endpoint: standIns.fcmEndpoint,
    caFile: files.write('ca.pem', standIns.caPem),
    connections: 1,
  };
  const account = loadServiceAccount(files.pathOf('account.json'));
  if (!account.ok) throw new Error(account.error);
  const grant = await requestAccessToken({
    account: account.value,
    clock: systemClock,
    timeoutMs: 10_000,
    tls: createTlsContext(undefined),
  });
  if (grant.kind !== 'granted') throw new Error('no access token');
  const authority = new URL(standIns.fcmEndpoint).host;
  return {
    name: 'FCM',
    bound: 1.1,
    endpoint: standIns.fcmEndpoint,
    notifier: buildNotifier(entry),
    makeToken: fcmToken,
    bareRequest: (push) => ({
      headers: {
        ':method': 'POST',
        ':scheme': 'https',
        ':authority': authority,
        ':path': `/v1/projects/${account.value.projectId}/messages:send`,
        authorization: `Bearer ${grant.accessToken}`,
        'content-type': 'application/json',
      },
      body: fcmBody({
        payload: payloadOf(push),
        token: push.device.serviceId,
        priority: push.priority,
        ttlSeconds: 3600,
      }),
    }),
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}
