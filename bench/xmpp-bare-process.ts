import { randomUUID } from 'node:crypto';
import { connect, sensitiveHeaders, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { performance } from 'node:perf_hooks';
import { readWakeMessage, type WakeMessage } from '../src/codec/wake-content.js';
import type { ServiceName } from '../src/domain/ids.js';
import { mendAsyncResourceBind } from '../src/lifecycle/async-resource-bind.js';
import { createApnsWakeWriter, type ApnsWakeRequest } from '../src/notifiers/apns/wake-request.js';
import { wakeFcmBody, wakeFcmParts, type FcmWakeParts } from '../src/notifiers/firebase/body.js';
import { Wakes } from '../src/xmpp-devices/wakes.js';
import { TOPIC } from '../test/simulators/world.js';
import { answerCalls } from './asked-process.js';
import { sleep } from './process.js';
import type { XmppBareCalls, XmppBareFlow, XmppBareSetup } from './xmpp-bare.js';
import { xmppPhoneOf, type XmppPhone, type XmppPhoneKind } from './xmpp-people.js';
import { hasBodyOf } from './xmpp-stanzas.js';

/*
 * Nothing but the provider's requests: for each publish the same one as the server's (headers, body, one connection), at
 * the same pace, over node:http2 as lean as it can be written.
 */

const LIFETIME_MS = 2_419_200_000;
const neverIndexed = [':path', 'authorization', 'apns-id'];

interface Bare extends XmppBareSetup {
  readonly apns: ClientHttp2Session;
  readonly fcm: ClientHttp2Session;
}

let bare: Bare | null = null;

const wakes = (isApns: boolean): Wakes =>
  new Wakes({
    name: isApns ? 'apns' : 'fcm',
    service: (isApns ? 'apns' : 'firebase') as ServiceName,
    notifierType: isApns ? 'apns' : 'firebase',
    priority: isApns ? 'auto' : 'high',
    lifetimeMs: LIFETIME_MS,
    alertTitle: 'New Message',
    alertBody: 'New Message',
    mutableContent: true,
    collapse: !isApns,
  });

const apnsWakes = wakes(true);
const fcmWakes = wakes(false);

function messageOf(kind: XmppPhoneKind, { node, device }: XmppPhone, hasBody: boolean): WakeMessage {
  const key = kind === 'p2' ? ({ kind, device, channel: '' } as const) : ({ kind: 'v1', node } as const);
  const summary = { messageCount: null, pendingSubscriptionCount: null, hasBody };
  const { content } = (kind === 'apns' ? apnsWakes : fcmWakes).compose(key, summary);
  const message = readWakeMessage(content.payload);
  if (message === null) throw new Error('no message');
  return message;
}

async function open(endpoint: string, caPem: string): Promise<ClientHttp2Session> {
  const session = connect(endpoint, { ca: caPem, settings: { enablePush: false } });
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject));
  return session;
}

/** The status is looked at, the body is not. */
function send(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: string,
  done: (isTaken: boolean) => void,
): void {
  const stream = session.request(headers);
  let isTaken = false;
  stream.on('response', (answer) => (isTaken = answer[':status'] === 200));
  stream.on('end', () => done(isTaken));
  stream.on('error', () => done(false));
  stream.resume();
  stream.end(body, 'latin1');
}

type Send = (index: number, done: (isTaken: boolean) => void) => void;

function toApns({ apns, facts, credentials }: Bare, phones: readonly XmppPhone[]): Send {
  const write = createApnsWakeWriter({ type: 'apns', topic: TOPIC, sandbox: false });
  const requestOf = (hasBody: boolean): ApnsWakeRequest =>
    write(messageOf('apns', xmppPhoneOf('apns', 0), hasBody));
  const [loud, silent] = [requestOf(true), requestOf(false)];
  const authority = new URL(facts.apnsEndpoint).host;
  return (index, done) => {
    const { pushType, priority, topic, body } = hasBodyOf(index) ? loud : silent;
    const headers = {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': authority,
      ':path': `/3/device/${phones[index % phones.length]?.token ?? ''}`,
      'apns-topic': topic,
      'apns-push-type': pushType,
      'apns-priority': priority,
      'apns-expiration': `${Math.floor((Date.now() + LIFETIME_MS) / 1000)}`,
      'apns-id': randomUUID(),
      [sensitiveHeaders]: neverIndexed,
      authorization: credentials.apnsAuthorization,
    };
    send(apns, headers, body, done);
  };
}

function toFcm({ fcm, facts, credentials }: Bare, phones: readonly XmppPhone[], kind: XmppPhoneKind): Send {
  const partsOf = (phone: XmppPhone): FcmWakeParts => wakeFcmParts(messageOf(kind, phone, true));
  // Of older clients' phones it is the same for all; a client of p2 is told its account.
  const [shared] = phones.slice(0, 1).map(partsOf);
  if (shared === undefined) throw new Error('no phones');
  const parts = kind === 'p2' ? phones.map(partsOf) : null;
  const headers = {
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': new URL(facts.fcmEndpoint).host,
    ':path': `/v1/projects/${credentials.projectId}/messages:send`,
    'content-type': 'application/json',
    [sensitiveHeaders]: ['authorization'],
    authorization: credentials.fcmAuthorization,
  };
  return (index, done) => {
    const at = index % phones.length;
    send(fcm, headers, wakeFcmBody(parts?.[at] ?? shared, phones[at]?.token ?? '', LIFETIME_MS), done);
  };
}

const sends = new Map<XmppPhoneKind, Send>();

async function run({ phones, count, perSecond, everyMs }: XmppBareFlow): Promise<number> {
  const sendOne = sends.get(phones);
  if (sendOne === undefined) throw new Error('nothing was prepared');
  let open = 0;
  let taken = 0;
  const done = (isTaken: boolean): void => {
    open -= 1;
    if (isTaken) taken += 1;
  };
  const startedAt = performance.now();
  for (let next = 0; next < count;) {
    const due = Math.min(count, ((performance.now() - startedAt) * perSecond) / 1000);
    for (; next < due; next += 1) {
      open += 1;
      sendOne(next, done);
    }
    await sleep(everyMs);
  }
  while (open > 0) await sleep(10);
  return taken;
}

answerCalls<XmppBareCalls>({
  setup: async (setup) => {
    const { facts, isMended } = setup;
    // As the server has it: its requests must not look dearer than they are there.
    if (isMended) mendAsyncResourceBind();
    bare = {
      ...setup,
      apns: await open(facts.apnsEndpoint, facts.caPem),
      fcm: await open(facts.fcmEndpoint, facts.caPem),
    };
    return null;
  },
  prepare: ({ phones: kind, devices }) => {
    if (bare === null) throw new Error('no setup');
    const made = Array.from({ length: devices }, (_, index) => xmppPhoneOf(kind, index));
    sends.set(kind, kind === 'apns' ? toApns(bare, made) : toFcm(bare, made, kind));
    return null;
  },
  run,
});
