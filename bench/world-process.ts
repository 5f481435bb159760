import { performance } from 'node:perf_hooks';
import { encodeMessage, type EncodedMessage } from '../test/simulators/storage-network/stored-message.js';
import { makeMessage } from '../test/simulators/world.js';
import { startSurroundings } from './surroundings.js';
import type { Load, LoadResult, WorldCommand, WorldReply } from './world.js';

/*
 * The network, Apple and Google in a process of their own: what is measured in the server is the server's. Both ends of
 * a push are here, so that its way through the server is timed by one clock.
 */

const { network, apns, facts } = await startSurroundings();

/** When the message for a token was sent last; one is under way per token. */
const sentAt = new Map<string, number>();
let latenciesMs: number[] = [];
apns.onAccepted = ({ token }) => {
  const at = sentAt.get(token);
  if (at === undefined) return;
  sentAt.delete(token);
  latenciesMs.push(performance.now() - at);
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function run({ devices, messages, perSecond, copies, bytes }: Load): Promise<LoadResult> {
  latenciesMs = [];
  sentAt.clear();
  const acceptedBefore = apns.accepted;
  const data = Buffer.alloc(bytes, 0x61);
  const targets = devices.map(({ account: id, token }) => ({ account: Buffer.from(id, 'hex'), token }));
  const encode = (index: number): EncodedMessage =>
    encodeMessage(makeMessage(targets[index % targets.length]?.account ?? Buffer.alloc(33), data));
  // A burst is a burst only when its frames are ready.
  const ready = perSecond === 0 ? Array.from({ length: messages }, (_, index) => encode(index)) : null;
  const startedAt = performance.now();
  let told = 0;
  for (let sent = 0; sent < messages;) {
    const due =
      perSecond === 0 ? messages : Math.min(messages, ((performance.now() - startedAt) * perSecond) / 1000);
    for (; sent < due; sent += 1) {
      const target = targets[sent % targets.length];
      if (target === undefined) break;
      const encoded = ready?.[sent] ?? encode(sent);
      sentAt.set(target.token, performance.now());
      told += network.deliverEncoded(target.account, encoded, copies);
    }
    await sleep(1);
  }
  const sentForMs = performance.now() - startedAt;
  for (let idle = 0, last = -1; apns.accepted - acceptedBefore < messages && idle < 100;) {
    await sleep(50);
    idle = apns.accepted === last ? idle + 1 : 0;
    last = apns.accepted;
  }
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? NaN;
  return {
    delivered: apns.accepted - acceptedBefore,
    told,
    sentForMs,
    tookMs: performance.now() - startedAt,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

async function obey(command: WorldCommand): Promise<unknown> {
  switch (command.kind) {
    case 'run':
      return run(command.load);
    case 'registered':
      return network.nodes.reduce((sum, node) => sum + node.monitoredAccounts, 0);
    case 'accepted':
      return apns.accepted;
    case 'monitor-entries':
      return network.nodes.reduce((sum, node) => sum + node.entries, 0);
    case 'move-node': {
      const [from, to] = network.swarmIds;
      const node = from === undefined ? undefined : network.nodesOfSwarm(from)[0];
      if (node !== undefined && to !== undefined) network.moveNode(node, to);
      network.newBlock();
      return null;
    }
    case 'new-block':
      return network.newBlock();
    case 'restart-node':
      await network.nodes[0]?.restart();
      return null;
    case 'stop':
      process.exit(0);
  }
}

process.on('message', (message) => {
  const { id, command } = message as { id: number; command: WorldCommand };
  void obey(command).then((value) => process.send?.({ kind: 'reply', id, value } satisfies WorldReply));
});
process.send?.({ kind: 'ready', facts } satisfies WorldReply);
