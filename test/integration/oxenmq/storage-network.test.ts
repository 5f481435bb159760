import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decode, encode, type Encodable } from '../../../src/codec/bencode.js';
import { decodeNotifyMessage } from '../../../src/codec/notify-message.js';
import { eventually } from '../../simulators/eventually.js';
import { keyPairOf } from '../../simulators/storage-network/keys.js';
import { startStorageNetwork } from '../../simulators/storage-network/network.js';
import { SimulatedOxend } from '../../simulators/storage-network/oxend.js';
import { SimulatedStorageNode } from '../../simulators/storage-network/storage-node.js';
import { encodeMessage, type StoredMessage } from '../../simulators/storage-network/stored-message.js';
import { swarmOf, swarmSpaceOf } from '../../simulators/storage-network/swarm-space.js';
import { testClient, type Link } from './harness.js';

const load = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'));

interface Step {
  op: 'monitor' | 'message';
  connection: number;
  request_hex: string;
  reply_text: string;
  account: string;
  namespace: number;
  hash: string;
  timestamp_ms: number;
  expiry_ms: number;
  data_hex: string;
  notified_without_data: number[];
  notified_with_data: number[];
  payload_without_data_hex: string;
  payload_with_data_hex: string;
}

const monitor = load('monitor-messages') as {
  fixed_now: number;
  cases: { name: string; request_hex: string; reply_text: string }[];
  state_sequence: { steps: Step[] };
};
const swarm = load('swarm') as {
  cases: {
    name: string;
    swarm_ids: string[];
    accounts: { pubkey: string; swarm_id: string; swarm_space: string }[];
  }[];
};

const fixedClock = { nowMs: () => monitor.fixed_now * 1000 };

async function testNode(options: Parameters<typeof SimulatedStorageNode.start>[0] = {}) {
  const node = await SimulatedStorageNode.start(options);
  onTestFinished(() => node.stop());
  return node;
}

async function ask({ connection }: Link, body: Buffer): Promise<string> {
  const answer = await connection.request('monitor.messages', [body]);
  if (!answer.ok) throw new Error(answer.error.kind);
  expect(answer.value).toHaveLength(1);
  return String(answer.value[0]);
}

function message(account: Buffer, changes: Partial<StoredMessage> = {}): StoredMessage {
  return {
    account,
    namespace: 0,
    hash: 'h'.repeat(43),
    data: Buffer.from('body'),
    timestampMs: 1,
    expiryMs: 2,
    ...changes,
  };
}

/** A group's account, so that no key needs converting; the signature is not looked at. */
function entry(account: Buffer, changes: Record<string, Encodable> = {}): ReadonlyMap<string, Encodable> {
  return new Map<string, Encodable>([
    ['n', [0]],
    ['p', account],
    ['s', Buffer.alloc(64)],
    ['t', Math.floor(Date.now() / 1000)],
    ...Object.entries(changes),
  ]);
}

const account = Buffer.alloc(33, 3);

describe('the simulated storage node', () => {
  it('answers every request of the vectors as the original does', async () => {
    const node = await testNode({ verify: true, clock: fixedClock });
    const link = await testClient().up(node.address);
    for (const { name, request_hex, reply_text } of monitor.cases) {
      const reply = await ask(link, Buffer.from(request_hex, 'hex'));
      expect({ name, reply }).toEqual({ name, reply: reply_text });
    }
  });

  it('tells the connections that the vectors name, with and without data', async () => {
    const node = await testNode({ verify: true, clock: fixedClock });
    const links = new Map<number, Link>();
    for (const number of [1, 2]) links.set(number, await testClient().up(node.address));
    for (const step of monitor.state_sequence.steps) {
      if (step.op === 'monitor') {
        const link = links.get(step.connection);
        if (link === undefined) throw new Error('no such connection');
        expect(await ask(link, Buffer.from(step.request_hex, 'hex'))).toBe(step.reply_text);
        continue;
      }
      const told = node.storeMessage({
        account: Buffer.from(step.account, 'hex'),
        namespace: step.namespace,
        hash: step.hash,
        data: Buffer.from(step.data_hex, 'hex'),
        timestampMs: step.timestamp_ms,
        expiryMs: step.expiry_ms,
      });
      expect(told).toBe(step.notified_with_data.length + step.notified_without_data.length);
      for (const [number, { commands, connection }] of links) {
        // Answered behind the notification, if there is one.
        await connection.request('monitor.messages', []);
        const expected = step.notified_with_data.includes(number)
          ? [step.payload_with_data_hex]
          : step.notified_without_data.includes(number)
            ? [step.payload_without_data_hex]
            : [];
        expect(commands.map(({ parts }) => parts[0]?.toString('hex'))).toEqual(expected);
        commands.length = 0;
      }
    }
  });

  it('forgets everybody in a restart, and a subscription after 65 minutes', async () => {
    let nowMs = Date.now();
    const node = await testNode({ clock: { nowMs: () => nowMs } });
    const link = await testClient({ reconnectIntervalMs: 20 }).up(node.address);
    expect(await ask(link, encode(entry(account)))).toBe('d7:successi1ee');
    nowMs += 65 * 60_000 - 1;
    expect(node.storeMessage(message(account))).toBe(1);
    nowMs += 1;
    expect(node.storeMessage(message(account))).toBe(0);

    nowMs = Date.now();
    await ask(link, encode(entry(account)));
    expect(node.subscriptionsOf(account)).toHaveLength(1);
    await node.restart();
    await eventually(() => link.events.length === 3 && link.connection.isUp);
    expect(node.storeMessage(message(account))).toBe(0);
    await ask(link, encode(entry(account)));
    expect(node.storeMessage(message(account))).toBe(1);
  });

  it('misbehaves as told', async () => {
    const node = await testNode();
    const link = await testClient().up(node.address);
    const body = encode([entry(account)]);
    node.ignoreNextRequests = 1;
    expect(await link.connection.request('monitor.messages', [body], 50)).toMatchObject({
      error: { kind: 'timeout' },
    });
    node.failNextRequests = 1;
    expect(await ask(link, body)).toMatch(/^d7:errcodei1e/);
    node.refusals.set(account.toString('hex'), { errcode: 5, error: 'no' });
    expect(decode(Buffer.from(await ask(link, body)))).toMatchObject([{ size: 2 }]);
    expect(node).toMatchObject({ requests: 3, entries: 1, refused: 1, accepted: 0, monitoredAccounts: 0 });
    node.refusals.clear();
    node.replyDelayMs = 10;
    expect(await ask(link, body)).toBe('ld7:successi1eee');
  });

  it.each(swarm.cases)('agrees with the vectors on swarms: $name', ({ swarm_ids, accounts }) => {
    const ids = swarm_ids.map((id) => BigInt(`0x${id}`));
    const hex = (id: bigint) => id.toString(16).padStart(16, '0');
    for (const { pubkey, swarm_id, swarm_space } of accounts) {
      const id = Buffer.from(pubkey, 'hex');
      expect(hex(swarmSpaceOf(id))).toBe(swarm_space);
      expect(hex(swarmOf(id, ids))).toBe(swarm_id);
    }
  });
});

describe('the simulated oxend', () => {
  it('lists nodes with exact swarm ids, broken entries and all, and keeps subscribers informed', async () => {
    const oxend = await SimulatedOxend.start({ keyPair: keyPairOf(Buffer.alloc(32, 7)) });
    onTestFinished(() => oxend.stop());
    oxend.nodes = [
      { pubkey_x25519: 'aa', public_ip: '127.0.0.1', storage_lmq_port: 1, swarm_id: 17653479871529877503n },
      { swarm_id: 2n ** 64n - 1n },
      { raw: '"swarm_id":"text"' },
    ];
    const { connection, commands } = await testClient().up(oxend.address);
    const list = (body: string) => connection.request('rpc.get_service_nodes', [Buffer.from(body)]);
    const texts = async (answer: ReturnType<typeof list>) => {
      const settled = await answer;
      return settled.ok ? settled.value.map(String) : [];
    };

    expect(await texts(connection.request('ping.ping', []))).toEqual(['pong']);
    const [code, body] = await texts(list('{"active_only":true}'));
    expect(code).toBe('200');
    expect(body).toContain('"swarm_id":17653479871529877503,"swarm":"f4fdc269380bffff"');
    expect(body).toContain(
      '{"swarm_id":18446744073709551615,"swarm":"ffffffffffffffff"},{"swarm_id":"text"}',
    );
    const poll = JSON.stringify({ poll_block_hash: oxend.blockHash.toString('hex') });
    expect(await texts(list(poll))).toEqual(['200', '{"status":"OK","unchanged":true}']);
    expect((await texts(list('nonsense')))[0]).toBe('400');
    oxend.rawBody = '{';
    expect(await texts(list('{}'))).toEqual(['200', '{']);

    expect(await texts(connection.request('sub.block', []))).toEqual(['OK']);
    expect(await texts(connection.request('sub.block', []))).toEqual(['ALREADY']);
    expect(oxend.newBlock()).toBe(1);
    await eventually(() => commands.length === 1);
    expect(commands).toEqual([{ command: 'notify.block', parts: [Buffer.from('1800001'), oxend.blockHash] }]);
  });
});

describe('the simulated network', () => {
  it('delivers a copy from every node of the swarm, wherever the nodes move', async () => {
    const network = await startStorageNetwork({ swarms: 2, nodesPerSwarm: 2 });
    onTestFinished(() => network.close());
    const { up } = testClient();
    const links = new Map(
      await Promise.all(network.nodes.map(async (node) => [node, await up(node.address)] as const)),
    );
    for (const link of links.values()) await ask(link, encode(entry(account)));
    expect(network.deliver(message(account))).toBe(2);
    expect(network.deliver(message(account), 1)).toBe(1);

    const other = network.swarmIds.find((id) => id !== network.swarmOf(account)) ?? 0n;
    const [moved] = network.nodesOfSwarm(other);
    if (moved === undefined) throw new Error('no node');
    network.moveNode(moved, network.swarmOf(account));
    expect(network.deliver(message(account))).toBe(3);
    expect(network.oxend.nodes).toHaveLength(4);
    network.removeNode(moved);
    expect(network.deliver(message(account))).toBe(2);
    await network.addNode(network.swarmOf(account));
    expect(network.swarmNodesOf(account)).toHaveLength(3);
  });

  it('floods one client with 20,000 frames from five nodes, and none is lost', async () => {
    const network = await startStorageNetwork({ swarms: 1, nodesPerSwarm: 5 });
    onTestFinished(() => network.close());
    const { up, metrics } = testClient();
    let received = 0;
    let malformed = 0;
    const onCommand = (_command: string, parts: readonly Buffer[]) => {
      const notice = decodeNotifyMessage(parts[0] ?? Buffer.alloc(0));
      if (typeof notice === 'string') malformed += 1;
      else received += 1;
    };
    for (const node of network.nodes) {
      await ask(await up(node.address, { onCommand }), encode(entry(account, { d: 1 })));
    }
    const encoded = encodeMessage(message(account, { data: Buffer.alloc(1_000) }));
    for (let index = 0; index < 4_000; index += 1) {
      for (const node of network.nodes) node.storeEncoded(encoded);
    }
    // All 20,000 wait by now. Reading them leaves room for everything else, such as the timer of this loop.
    let interruptions = 0;
    await eventually(
      () => {
        if (received > 0 && received < 20_000) interruptions += 1;
        return received === 20_000;
      },
      { everyMs: 0, what: 'the last frame' },
    );
    expect(interruptions).toBeGreaterThan(2);
    expect(malformed).toBe(0);
    expect(network.nodes.map((node) => node.listener.sendFailures)).toEqual([0, 0, 0, 0, 0]);
    expect(metrics.oxenmqMalformed.total()).toBe(0);
  });
});
