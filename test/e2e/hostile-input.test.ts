import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import type { RecordedApnsPush } from '../simulators/providers/apns-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';
import { OxenmqListener, type Reply, type Route } from '../simulators/storage-network/listener.js';
import { encodeMessage } from '../simulators/storage-network/stored-message.js';
import type { SimulatedStorageNode } from '../simulators/storage-network/storage-node.js';
import { onionCallOfText } from '../simulators/session-client.js';
import { decodePush } from '../simulators/session-push.js';
import { makeMessage, nowInSeconds, startWorld, type World } from '../simulators/world.js';
import {
  added,
  inParallel,
  newSubscriber,
  subscribe,
  untilRegistered,
  updated,
  type Subscriber,
} from './support.js';

const FRAMES_PER_ROUND = 3000;
const MEBIBYTE = 1024 * 1024;

describe('a server that is told nonsense', () => {
  let world: World;
  let server: ServerProcess;
  let one: Subscriber;

  beforeAll(async () => {
    world = await startWorld();
    server = await ServerProcess.start(world.configFile);
    one = newSubscriber();
    expect(await subscribe(server.httpAddress, one)).toEqual(added);
    await untilRegistered(world.network, [one.account.id]);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  const logLines = (): number => server.output().split('\n').length;

  const isOf =
    (hash: string) =>
    ({ token, body }: RecordedApnsPush): boolean =>
      token === one.phone.token &&
      decodePush(String(body['enc_payload']), one.phone.encryptionKey).hash === hash;

  /** The server still does its work, by every way that it is asked for. */
  async function expectAtWork(): Promise<void> {
    const message = makeMessage(one.account, 'still there?');
    const from = world.apns.pushes.length;
    world.network.deliver(message);
    const copies = (): number => world.apns.pushes.slice(from).filter(isOf(message.hash)).length;
    await eventually(() => copies() > 0, { what: 'a push after all this' });
    expect(await subscribe(server.httpAddress, one)).toEqual(updated);
    expect(copies()).toBe(1);
    expect(await server.metric('waggle_stage_failures_total')).toBe(0);
    expect(await server.metric('waggle_actor_failures_total')).toBe(0);
  }

  const routeOf = (node: SimulatedStorageNode): Route => {
    const [route] = node.listener.routes.values();
    if (route === undefined) throw new Error('the server is not connected to the node');
    return route;
  };

  it('counts frames that do not parse, says so rarely, and keeps nothing of them', async () => {
    const [node] = world.network.swarmNodesOf(one.account.id);
    if (node === undefined) throw new Error('a swarm has nodes');
    const route = routeOf(node);
    const good = encodeMessage(makeMessage(one.account, randomBytes(1000))).withData;
    const garbage: (() => (Buffer | string)[])[] = [
      () => [randomBytes(randomInt(0, 2000))],
      () => [good.subarray(0, randomInt(0, good.length))],
      () => [],
      () => [good, good],
      () => Array.from({ length: 50 }, () => randomBytes(10)),
      () => [`d1:@33:${'x'.repeat(20)}`],
      () => ['d'.repeat(5000)],
      () => ['l'.repeat(100_000)],
      () => ['d1:@99999999999999999999:'],
      () => [Buffer.concat([good, Buffer.from('e')])],
      () => {
        const broken = Buffer.from(good);
        broken[randomInt(0, 60)] = randomInt(0, 256);
        return [broken];
      },
    ];
    const round = async (): Promise<void> => {
      const before = await server.metric('waggle_frames_malformed_total');
      for (let sent = 0; sent < FRAMES_PER_ROUND; sent += 1) {
        node.sendRaw(route, ['notify.message', ...(garbage[sent % garbage.length]?.() ?? [])]);
        if (sent % 50 === 0) {
          node.sendRaw(route, ['no.such.command', randomBytes(20)]);
          node.sendRaw(route, [randomBytes(30), randomBytes(20)]);
          node.sendRaw(route, ['REPLY']);
          node.sendRaw(route, ['REPLY', randomBytes(8), randomBytes(20)]);
          node.sendRaw(route, ['']);
        }
      }
      // A broken byte may leave a frame that parses: about some other account, or in another namespace.
      await eventually(
        async () => (await server.metric('waggle_frames_malformed_total')) - before > FRAMES_PER_ROUND * 0.85,
        { timeoutMs: 20_000, what: 'the counter of malformed frames' },
      );
    };
    await round();
    const lines = logLines();
    const resident = await server.residentBytes();
    for (let more = 0; more < 4; more += 1) await round();
    expect(logLines() - lines).toBeLessThan(30);
    expect((await server.residentBytes()) - resident).toBeLessThan(100 * MEBIBYTE);
    await expectAtWork();
  });

  it('believes no node of another swarm', async () => {
    const swarm = world.network.swarmOf(one.account.id);
    const stranger = world.network.nodes.find((node) => world.network.swarmIdOf(node) !== swarm);
    if (stranger === undefined) throw new Error('there are other swarms');
    const route = routeOf(stranger);
    for (let sent = 0; sent < 100; sent += 1) {
      const forged = encodeMessage(makeMessage(one.account, 'forged'));
      stranger.sendRaw(route, ['notify.message', forged.withData]);
    }
    await eventually(async () => (await server.metric('waggle_frames_foreign_total')) === 100);
    await expectAtWork();
  });

  it('bears nodes whose replies make no sense', async () => {
    const good = 'd7:successi1ee';
    let answered = 0;
    const replies: ((route: Route, reply: Reply, listener: OxenmqListener) => void)[] = [
      (_route, reply) => reply(),
      (_route, reply) => reply(''),
      (_route, reply) => reply(randomBytes(500)),
      (_route, reply) => reply('l'),
      (_route, reply) => reply('le'),
      (_route, reply) => reply(`l${good.repeat(5000)}e`),
      (_route, reply) => reply(`l${'i1e'.repeat(1000)}e`),
      (_route, reply) => reply('d'.repeat(100_000)),
      (_route, reply) => reply('d7:errcodei99e5:error3:abce'),
      (_route, reply) => reply(good, good, good),
      (_route, reply) => {
        for (let times = 0; times < 100; times += 1) reply(`l${good}e`);
      },
      (route, _reply, listener) => {
        for (let times = 0; times < 100; times += 1)
          listener.send(route, ['REPLY', randomBytes(8), `l${good}e`]);
      },
      (route, _reply, listener) => listener.send(route, ['FORBIDDEN', 'REPLY']),
      (_route, reply) => reply(Buffer.alloc(5 * MEBIBYTE, 'l')),
    ];
    const swarmId = world.network.swarmOf(one.account.id);
    const liars = await Promise.all(
      replies.map(async (answer) => {
        const keyPair = randomKeyPair();
        const listener: OxenmqListener = await OxenmqListener.start({
          keyPair,
          requests: {
            'monitor.messages': (route, _parts, reply) => {
              answered += 1;
              answer(route, reply, listener);
            },
          },
        });
        return { keyPair, listener };
      }),
    );
    try {
      world.network.extraEntries = liars.map(({ keyPair, listener }) => ({
        pubkey_x25519: keyPair.publicKey.toString('hex'),
        public_ip: '127.0.0.1',
        storage_lmq_port: listener.port,
        swarm_id: swarmId,
      }));
      world.network.newBlock();
      await eventually(() => answered >= replies.length, { what: 'a request to every one of them' });
      const lines = logLines();
      await expectAtWork();
      const failures = async (kind: string): Promise<number> =>
        server.metric(`waggle_monitor_requests_total{result="${kind}"}`);
      await eventually(async () => (await failures('malformed')) >= 5, { what: 'malformed replies' });
      expect(await server.metric('waggle_oxenmq_malformed_total{kind="stray-reply"}')).toBeGreaterThan(100);
      expect(logLines() - lines).toBeLessThan(30);
      // Nobody asks a liar without end.
      expect(answered).toBeLessThan(replies.length * 20);
    } finally {
      world.network.extraEntries = [];
      world.network.newBlock();
      await eventually(async () => (await server.metric('waggle_nodes')) === 20);
      for (const { listener } of liars) listener.stop();
    }
  });

  it('keeps the last good node list when oxend talks nonsense', async () => {
    const { oxend } = world.network;
    const bodies = [
      '',
      'garbage',
      '{',
      '[]',
      'null',
      '{}',
      '{"service_node_states":7}',
      '{"service_node_states":{},"block_hash":7,"height":"x"}',
      `{"service_node_states":${'['.repeat(50_000)}`,
      `{"service_node_states":[${'null,'.repeat(1000)}{}],"block_hash":"zz","height":-1e400}`,
      '{"status":"BUSY"}',
      '\u0000\ud800',
    ];
    const replies: (readonly (Buffer | string)[])[] = [
      [],
      ['200'],
      ['500', 'no'],
      ['200', '{}', '{}'],
      [randomBytes(100), randomBytes(100)],
      ['200', randomBytes(10_000)],
    ];
    for (const body of bodies) {
      const before = oxend.nodeListRequests;
      oxend.rawBody = body;
      oxend.newBlock();
      await eventually(() => oxend.nodeListRequests > before, { what: 'a request for the list' });
    }
    oxend.rawBody = null;
    for (const reply of replies) {
      const before = oxend.nodeListRequests;
      oxend.rawReply = reply;
      oxend.newBlock();
      await eventually(() => oxend.nodeListRequests > before, { what: 'a request for the list' });
    }
    const [route] = oxend.listener.routes.values();
    if (route === undefined) throw new Error('the server is not connected to oxend');
    for (const parts of [[], ['x'], ['1', '2', '3'], [randomBytes(1000), randomBytes(1000)]])
      oxend.listener.send(route, ['notify.block', ...parts]);
    expect(await server.metric('waggle_nodes')).toBe(20);
    await expectAtWork();
    oxend.rawReply = null;
    oxend.newBlock();
    await eventually(async () => (await server.metric('waggle_block_height')) === oxend.height);
    await expectAtWork();
  });

  it('answers whatever comes over HTTP', async () => {
    const onionKey = await world.onionPublicKey();
    const good = JSON.stringify(one.phone.subscription(one.account, nowInSeconds()));
    const values = [
      'null',
      '7',
      '"x"',
      'true',
      '{}',
      '[]',
      '[[]]',
      '[null]',
      `"${'x'.repeat(5000)}"`,
      '-1e999',
    ];
    const keys = [
      'pubkey',
      'session_ed25519',
      'namespaces',
      'data',
      'sig_ts',
      'signature',
      'service',
      'enc_key',
    ];
    const twisted = (): string => {
      const request = JSON.parse(good) as Record<string, unknown>;
      const key = keys[randomInt(keys.length)] ?? '';
      const text = JSON.stringify({ ...request, [key]: '@' });
      return text.replace('"@"', values[randomInt(values.length)] ?? '');
    };
    const bodies: (() => Buffer)[] = [
      () => randomBytes(randomInt(0, 3000)),
      () => Buffer.from(twisted()),
      () => Buffer.from(`[${twisted()},${twisted()}]`),
      () => Buffer.from(good.slice(0, randomInt(0, good.length))),
      () => Buffer.from('['.repeat(90_000)),
      () => Buffer.from('{"a":'.repeat(15_000)),
      () => Buffer.from(`[${'{},'.repeat(2000)}{}]`),
      () => Buffer.concat([Buffer.from('{"pubkey":"'), randomBytes(100), Buffer.from('"}')]),
      () => Buffer.alloc(200_000, 0x20),
    ];
    const onions: (() => Buffer)[] = [
      () => randomBytes(randomInt(0, 3000)),
      () => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(randomInt(0, 2 ** 32 - 1));
        return Buffer.concat([length, randomBytes(200)]);
      },
      () => onionCallOfText(onionKey, 'aes-gcm', randomBytes(randomInt(0, 500))).frame,
      () => onionCallOfText(onionKey, 'xchacha20', Buffer.from('l99999999:abc')).frame,
      () =>
        onionCallOfText(onionKey, 'xchacha20', Buffer.from(`l${randomInt(100)}:{"method":"POST"}e`)).frame,
      () => {
        const frame = Buffer.from(onionCallOfText(onionKey, 'aes-gcm', Buffer.from(good)).frame);
        const at = randomInt(frame.length);
        frame[at] = (frame[at] ?? 0) ^ 1;
        return frame;
      },
      () => onionCallOfText(randomKeyPair().publicKey, 'aes-gcm', Buffer.from(good)).frame,
      () => Buffer.alloc(11 * MEBIBYTE, 0x61),
    ];
    const statuses = new Map<number, number>();
    const post = async (path: string, body: Buffer): Promise<void> => {
      const answer = await fetch(server.httpAddress + path, { method: 'POST', body: new Uint8Array(body) });
      await answer.arrayBuffer();
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    };
    const round = (requests: number): Promise<void> =>
      inParallel(Array.from({ length: requests }), 16, async (_item, index) => {
        const body = bodies[index % bodies.length]?.() ?? Buffer.alloc(0);
        if (index % 3 === 0) await post('/subscribe', body);
        else if (index % 3 === 1) await post('/unsubscribe', body);
        // The largest is costly to make: rarely.
        else await post('/oxen/v4/lsrpc', onions[index % (index % 50 === 2 ? 8 : 7)]?.() ?? body);
      });
    await round(300);
    const lines = logLines();
    const resident = await server.residentBytes();
    await round(600);
    for (let times = 0; times < 50; times += 1) await rawBytes(server.httpAddress, randomBytes(500));
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
    expect(logLines() - lines).toBeLessThan(30);
    expect((await server.residentBytes()) - resident).toBeLessThan(150 * MEBIBYTE);
    expect(await server.metric('waggle_onion_requests_total{result="bad-frame"}')).toBeGreaterThan(50);
    await expectAtWork();
  });
});

/** Sends bytes that are no HTTP and waits for the server to close. */
function rawBytes(address: string, bytes: Buffer): Promise<void> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.once('close', () => resolve());
    socket.end(bytes);
  });
}
