import { performance } from 'node:perf_hooks';
import type { ApnsStandIn } from '../test/simulators/providers/apns-stand-in.js';
import { fcmError, type FcmStandIn } from '../test/simulators/providers/fcm-stand-in.js';
import { decodePush } from '../test/simulators/session-push.js';
import { encodeMessage } from '../test/simulators/storage-network/stored-message.js';
import { makeMessage } from '../test/simulators/world.js';
import { Ledger } from './ledger.js';
import { sleep } from './process.js';
import { startSurroundings } from './surroundings.js';
import type {
  Flow,
  ProviderState,
  Throttling,
  TrafficCall,
  TrafficCalls,
  TrafficName,
  TrafficReply,
  TrafficService,
} from './traffic.js';

/*
 * Both ends of a push are here, so that its way through the server is timed by one clock. A message carries its number,
 * and every push that arrives is opened with its device's key: nothing is lost or doubled unseen.
 */

interface Target {
  readonly account: Buffer;
  readonly key: Buffer;
}

const surroundings = await startSurroundings({ record: true });
const { network, fcm } = surroundings;
let { apns } = surroundings;
const ledgers: Record<TrafficService, Ledger> = { apns: new Ledger(), firebase: new Ledger() };
const targets: Record<TrafficService, Map<string, Target>> = { apns: new Map(), firebase: new Map() };
const strangers = { arrived: 0, tokens: new Set<string>(), firstAtMs: NaN, lastAtMs: NaN };
let isStopped = false;

function arrive(service: TrafficService, token: string, payload: unknown): void {
  const nowMs = performance.now();
  const target = targets[service].get(token);
  if (target === undefined) {
    strangers.arrived += 1;
    strangers.tokens.add(token);
    if (Number.isNaN(strangers.firstAtMs)) strangers.firstAtMs = nowMs;
    strangers.lastAtMs = nowMs;
    return;
  }
  const { data } = decodePush(String(payload), target.key);
  ledgers[service].arrive(Number.parseInt(data?.latin1Slice(0, 10) ?? '', 10), nowMs);
}

function listenToApns(standIn: ApnsStandIn): void {
  standIn.onAccepted = ({ token, body }) => {
    standIn.pushes.length = 0;
    arrive('apns', token, body['enc_payload']);
  };
}

function listenToFcm(standIn: FcmStandIn): void {
  standIn.onAccepted = ({ token, message }) => {
    standIn.pushes.length = 0;
    arrive('firebase', token, message.data['enc_payload']);
  };
}

async function flow({ service, perSecond, bytes, seconds }: Flow): Promise<null> {
  isStopped = false;
  const accounts = [...targets[service].values()].map(({ account }) => account);
  const startedAt = performance.now();
  const total = perSecond * seconds;
  for (let sent = 0; sent < total && !isStopped;) {
    const due = Math.min(total, ((performance.now() - startedAt) * perSecond) / 1000);
    for (; sent < due; sent += 1) {
      const account = accounts[sent % accounts.length];
      if (account === undefined) throw new Error('no device of this service');
      const message = ledgers[service].send(performance.now());
      const data = Buffer.alloc(bytes, 0x61);
      data.latin1Write(message.toString().padStart(10, '0'));
      network.deliverEncoded(account, encodeMessage(makeMessage(account, data)), 1);
    }
    await sleep(1);
  }
  return null;
}

let isApnsGone = false;

async function setApns(state: ProviderState): Promise<null> {
  apns.answers.standing = state === 'silent' ? { instead: 'hang' } : null;
  if (state === 'gone') {
    isApnsGone = true;
    await apns.close();
  } else if (isApnsGone) {
    isApnsGone = false;
    apns = await surroundings.restartApns();
    listenToApns(apns);
  }
  return null;
}

let refusedAtMs: number[] = [];
let nextAtMs = NaN;

function throttle(throttling: Throttling | null): null {
  if (throttling === null) {
    fcm.answers.standing = null;
    return null;
  }
  refusedAtMs = [];
  nextAtMs = NaN;
  const violation = { subject: 'project:bench', description: 'Message rate of the project' };
  const failure = { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [violation] };
  const answer = fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', {
    details: throttling.namesProject ? [failure] : [],
  });
  const headers = { ...answer.headers, 'retry-after': String(throttling.retryAfter) };
  fcm.answers.standing = { ...answer, headers };
  fcm.onRequest = () => {
    const nowMs = performance.now();
    if (fcm.answers.standing !== null) refusedAtMs.push(nowMs);
    else if (Number.isNaN(nextAtMs)) nextAtMs = nowMs;
  };
  return null;
}

type Handlers = {
  readonly [Name in TrafficName]: (
    given: TrafficCalls[Name][0],
  ) => TrafficCalls[Name][1] | Promise<TrafficCalls[Name][1]>;
};

const handlers: Handlers = {
  now: () => performance.now(),
  devices: (devices) => {
    for (const { service, account, token, encryptionKey } of devices) {
      const target = { account: Buffer.from(account, 'hex'), key: Buffer.from(encryptionKey, 'hex') };
      targets[service].set(token, target);
    }
    return null;
  },
  registered: () => network.nodes.reduce((sum, node) => sum + node.monitoredAccounts, 0),
  flow,
  stop: () => {
    isStopped = true;
    return null;
  },
  latencies: ({ service, fromMs, toMs }) => ledgers[service].latencies(fromMs, toMs),
  recovery: ({ service, fromMs, perSecond }) => ledgers[service].recovery(fromMs, perSecond),
  apns: setApns,
  throttle,
  refusals: () => ({
    refused: refusedAtMs.length,
    firstAtMs: refusedAtMs[0] ?? NaN,
    lastAtMs: refusedAtMs.at(-1) ?? NaN,
    nextAtMs,
  }),
  strangers: () => ({
    arrived: strangers.arrived,
    different: strangers.tokens.size,
    firstAtMs: strangers.firstAtMs,
    lastAtMs: strangers.lastAtMs,
  }),
  'forget-times': () => {
    strangers.firstAtMs = NaN;
    return null;
  },
};

async function answer({ id, name, given }: TrafficCall): Promise<TrafficReply> {
  try {
    const handle = handlers[name] as (given: unknown) => unknown;
    return { kind: 'reply', id, value: await handle(given) };
  } catch (error) {
    return { kind: 'failed', id, error: String(error) };
  }
}

listenToApns(apns);
listenToFcm(fcm);
process.on('message', (message) => {
  void answer(message as TrafficCall).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready', facts: surroundings.facts } satisfies TrafficReply);
