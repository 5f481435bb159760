import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { sessionBrand } from '../test/simulators/legacy-brands.js';
import { LegacyClient, type LegacyCall } from '../test/simulators/legacy-client.js';
import { answerCalls } from './asked-process.js';
import type {
  FlowResult,
  LegacyClientCalls,
  LegacyServer,
  Preparation,
  RequestFlow,
} from './legacy-client.js';
import { accountId, groupId, groupsOf, phoneOf, strangerId } from './legacy-people.js';
import { PostConnection, type PostAnswer } from './post-connection.js';
import { sleep } from './process.js';

/*
 * The last storage nodes of all onion paths: they post frames over connections that stay open. The frames are those of
 * the tests' client, made beforehand; here bytes are written, and of the answers status and length are looked at.
 */

const MAX_REQUESTS = 200_000;
/** The first replies, and one of so many, are decrypted and read; the others say the same when they are as long. */
const OPENED_EVERY = 50;
const OPENED_FIRST = 500;
/** New phones are numbered from here. */
const FIRST_NEW_PHONE = 100_000_000;

type MakeCall = (index: number) => LegacyCall;

let server: LegacyServer | null = null;
let requests: Buffer[] = [];
/** By the number of the request. */
let opened = new Map<number, LegacyCall>();
let firstNewPhone = FIRST_NEW_PHONE;
/** Of the body that says `Success`. */
let doneBytes: number | null = null;

function makeCalls({ subject, bytes }: Preparation, { url, key, people }: LegacyServer): MakeCall {
  const client = new LegacyClient(url, Buffer.from(key, 'hex'), sessionBrand);
  const notify = (sendTo: string): LegacyCall =>
    client.frame('notify', { send_to: sendTo, data: randomBytes(bytes).toString('base64') });
  switch (subject.kind) {
    case 'accounts':
      return (index) => notify(accountId(index % people.devices));
    case 'groups': {
      const { first, count } = groupsOf(subject.groups, people);
      return (index) => notify(groupId(first + (index % count)));
    }
    case 'strangers':
      return (index) => notify(strangerId(index));
    case 'registrations':
      return (index) => {
        const { token, type } = phoneOf(firstNewPhone + index);
        return client.frame('register', { token, pubKey: accountId(firstNewPhone + index), device: type });
      };
  }
}

function prepare(preparation: Preparation): number {
  const { count } = preparation;
  if (server === null) throw new Error('no server');
  if (count > MAX_REQUESTS) throw new Error(`more than ${MAX_REQUESTS} requests`);
  const startedAt = performance.now();
  const make = makeCalls(preparation, server);
  const host = new URL(server.url).host;
  requests = [];
  opened = new Map();
  for (let index = 0; index < count; index += 1) {
    const call = make(index);
    const { path, frame } = call;
    const head =
      `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: Oxen Storage Server/2.8.0\r\n` +
      `content-type: application/octet-stream\r\ncontent-length: ${frame.length}\r\n\r\n`;
    requests.push(Buffer.concat([Buffer.from(head), frame]));
    if (index < OPENED_FIRST || index % OPENED_EVERY === 0) opened.set(index, call);
  }
  if (preparation.subject.kind === 'registrations') firstNewPhone += count;
  return (performance.now() - startedAt) / 1000;
}

/** null when it was done. */
function refusalOf(index: number, answer: PostAnswer | null): string | null {
  if (answer === null) return 'the connection was lost';
  const { status, body } = answer;
  if (status !== 200) return `HTTP ${status}`;
  const call = opened.get(index);
  if (call !== undefined) {
    const reply = call.open(body);
    if (reply === null) return 'a reply that cannot be read';
    if (reply.body.code !== 1) return `${reply.status} ${reply.body.message}`;
    doneBytes ??= body.length;
  }
  return body.length === doneBytes ? null : 'another reply';
}

/** One flow on its way. */
class Flow {
  next = 0;
  underWay = 0;
  readonly latenciesMs: number[] = [];
  readonly refusals = new Map<string, number>();

  /** False: the connection is gone. `dueAtMs`: when it should have gone out. */
  async send(connection: PostConnection, dueAtMs: number): Promise<boolean> {
    const index = this.next % requests.length;
    const request = requests[index];
    if (request === undefined) throw new Error('nothing was prepared');
    this.next += 1;
    this.underWay += 1;
    const answer = await connection.send(request);
    this.underWay -= 1;
    this.latenciesMs.push(performance.now() - dueAtMs);
    const refusal = refusalOf(index, answer);
    if (refusal !== null) this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
    return answer !== null;
  }
}

/** Each connection sends its next request as soon as it has its answer. */
async function runClosed(
  flow: Flow,
  { count, seconds }: RequestFlow,
  connections: PostConnection[],
): Promise<void> {
  const endAt = performance.now() + seconds * 1000;
  const work = async (connection: PostConnection): Promise<void> => {
    let isOpen = true;
    while (isOpen && flow.next < count && performance.now() < endAt) {
      isOpen = await flow.send(connection, performance.now());
    }
  };
  await Promise.all(connections.map(work));
}

/** Requests go out when they are due, or as soon afterwards as there is a connection. */
async function runPaced(
  flow: Flow,
  { count, seconds, connections }: RequestFlow,
  perSecond: number,
  idle: PostConnection[],
): Promise<void> {
  const total = Math.min(count, Math.floor(perSecond * seconds));
  const startedAt = performance.now();
  const dueAt = (): number => startedAt + (flow.next * 1000) / perSecond;
  const isDue = (): boolean => flow.next < total && dueAt() <= performance.now();
  let lost = 0;
  const work = async (connection: PostConnection): Promise<void> => {
    while (isDue()) {
      if (await flow.send(connection, dueAt())) continue;
      lost += 1;
      return;
    }
    idle.push(connection);
  };
  while (flow.next < total || flow.underWay > 0) {
    if (lost === connections) break;
    while (isDue()) {
      const connection = idle.pop();
      if (connection === undefined) break;
      void work(connection);
    }
    // A group now and then must not cost a thousand looks at the clock.
    await sleep(flow.next < total ? Math.max(0, dueAt() - performance.now()) : 1);
  }
}

async function run(wanted: RequestFlow): Promise<FlowResult> {
  if (server === null) throw new Error('no server');
  const url = new URL(server.url);
  const open = Array.from({ length: wanted.connections }, () => PostConnection.open(url));
  const connections = await Promise.all(open);
  const flow = new Flow();
  const startedAt = performance.now();
  if (wanted.perSecond === null) await runClosed(flow, wanted, connections);
  else await runPaced(flow, wanted, wanted.perSecond, [...connections]);
  const tookMs = performance.now() - startedAt;
  for (const connection of connections) connection.end();
  const { latenciesMs, next: sent } = flow;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? NaN;
  const refused = [...flow.refusals.values()].reduce((sum, each) => sum + each, 0);
  return {
    sent,
    done: sent - refused,
    refusals: [...flow.refusals].map(([what, times]) => `${times} x ${what}`),
    seconds: tookMs / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

answerCalls<LegacyClientCalls>({
  server: (given) => {
    server = given;
    return null;
  },
  prepare,
  run,
});
