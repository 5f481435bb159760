import { randomBytes, randomUUID } from 'node:crypto';
import { connect, sensitiveHeaders, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { LegacyMessage } from '../src/codec/legacy-content.js';
import { mendAsyncResourceBind } from '../src/lifecycle/async-resource-bind.js';
import { createLegacyApnsBody } from '../src/notifiers/apns/legacy-body.js';
import { legacyFcmBody, legacyFcmMembers } from '../src/notifiers/firebase/body.js';
import { sessionBrand } from '../test/simulators/legacy-brands.js';
import { TOPIC } from '../test/simulators/world.js';
import { answerCalls } from './asked-process.js';
import type { BarePreparation, LegacyBareCalls } from './legacy-bare.js';
import { groupsOf, membersOf, phoneOf, type LegacyPhone, type People } from './legacy-people.js';
import { sleep } from './process.js';

/*
 * Nothing but the pushes: for each message to a group the same requests as the server's (headers, bodies, one connection
 * for each provider), all at once, over node:http2 as lean as it can be written. Nobody asks for them, nobody looks
 * anybody up, nothing is counted, kept or tried again: what remains is what no push server on Node can save.
 */

interface Bare {
  readonly apns: ClientHttp2Session;
  readonly fcm: ClientHttp2Session;
  readonly people: People;
  /** What is the same in all requests. */
  readonly apnsHeaders: OutgoingHttpHeaders;
  readonly fcmHeaders: OutgoingHttpHeaders;
}

interface PreparedGroup {
  readonly phones: readonly LegacyPhone[];
  readonly message: LegacyMessage;
}

const neverIndexed = [':path', 'authorization', 'apns-id'];
const apnsBody = createLegacyApnsBody({ type: 'apns', topic: TOPIC, sandbox: false });
let bare: Bare | null = null;
let prepared: PreparedGroup[] = [];

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

function sendGroup(
  { apns, fcm, apnsHeaders, fcmHeaders }: Bare,
  { phones, message }: PreparedGroup,
  done: (isTaken: boolean) => void,
): void {
  // Once for all of its members, as anybody would.
  const body = apnsBody(message);
  const members = legacyFcmMembers(message);
  for (const { type, token } of phones) {
    if (type === 'ios') {
      const headers = { ...apnsHeaders, ':path': `/3/device/${token}`, 'apns-id': randomUUID() };
      send(apns, headers, body, done);
    } else send(fcm, fcmHeaders, legacyFcmBody(token, members), done);
  }
}

function prepare({ groups, count, bytes }: BarePreparation): null {
  if (bare === null) throw new Error('no setup');
  const { people } = bare;
  const { first, count: there } = groupsOf(groups, people);
  const { alertTitle, alertBody } = sessionBrand;
  prepared = Array.from({ length: count }, (_, index) => ({
    phones: membersOf(first + (index % there), people).map(phoneOf),
    message: { alertTitle, alertBody, data: randomBytes(bytes).toString('base64') },
  }));
  return null;
}

async function run(perSecond: number): Promise<number> {
  if (bare === null) throw new Error('no setup');
  let open = 0;
  let taken = 0;
  const done = (isTaken: boolean): void => {
    open -= 1;
    if (isTaken) taken += 1;
  };
  const startedAt = performance.now();
  for (const [index, group] of prepared.entries()) {
    await sleep(Math.max(0, startedAt + (index * 1000) / perSecond - performance.now()));
    open += group.phones.length;
    sendGroup(bare, group, done);
  }
  while (open > 0) await sleep(10);
  return taken;
}

// As the server has it.
mendAsyncResourceBind();

answerCalls<LegacyBareCalls>({
  setup: async ({ facts, people, credentials }) => {
    const common = { ':method': 'POST', ':scheme': 'https' };
    bare = {
      apns: await open(facts.apnsEndpoint, facts.caPem),
      fcm: await open(facts.fcmEndpoint, facts.caPem),
      people,
      apnsHeaders: {
        ...common,
        ':authority': new URL(facts.apnsEndpoint).host,
        'apns-topic': TOPIC,
        'apns-push-type': 'alert',
        'apns-priority': '10',
        authorization: credentials.apnsAuthorization,
        [sensitiveHeaders]: neverIndexed,
      },
      fcmHeaders: {
        ...common,
        ':authority': new URL(facts.fcmEndpoint).host,
        ':path': `/v1/projects/${credentials.projectId}/messages:send`,
        authorization: credentials.fcmAuthorization,
        'content-type': 'application/json',
      },
    };
    return null;
  },
  prepare,
  run,
});
