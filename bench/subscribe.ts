import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fill } from './load.js';
import { cpuMicros, until } from './process.js';
import { BenchServer } from './server.js';
import { makeSubscribers } from './delivery.js';
import { BenchWorld } from './world.js';
import sodium from 'sodium-native';

const CLIENTS = 32;
const WARM_UP = 3_000;
const COUNT = 12_000;
const HELD = 300_000;

/** A client that costs next to nothing: it writes one request and waits for one answer, which fits one packet. */
class BareClient {
  #onAnswer: (text: string) => void = () => {};

  private constructor(
    private readonly socket: Socket,
    private readonly host: string,
  ) {
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: Buffer | string) => this.#onAnswer(text.toString()));
  }

  static async connect(url: URL): Promise<BareClient> {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    return new BareClient(socket, url.host);
  }

  post(body: string): Promise<string> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      this.socket.write(
        `POST /subscribe HTTP/1.1\r\nhost: ${this.host}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    });
  }

  end(): void {
    this.socket.destroy();
  }
}

/** What the two Ed25519 steps of one subscribe cost here: a verification and a key conversion. */
function ed25519Micros(): number {
  const publicKey = Buffer.alloc(32);
  const secretKey = Buffer.alloc(64);
  const signature = Buffer.alloc(64);
  const out = Buffer.alloc(32);
  const message = Buffer.from(`MONITOR05${'ab'.repeat(32)}170000000010`);
  sodium.crypto_sign_keypair(publicKey, secretKey);
  sodium.crypto_sign_detached(signature, message, secretKey);
  const rounds = 3000;
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i += 1) {
    sodium.crypto_sign_verify_detached(signature, message, publicKey);
    sodium.crypto_sign_ed25519_pk_to_curve25519(out, publicKey);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / rounds;
}

/** Subscribes at an empty server and at one that holds 300,000 subscriptions: a new device costs the same at both. */
export async function benchSubscribe(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const signatures = ed25519Micros();
  say(
    `new subscriptions, ${CLIENTS} concurrent clients, one per request, PostgreSQL; CPU of the server process, of which`,
  );
  say(`Ed25519 (a verification and a key conversion, measured beside it) takes ${signatures.toFixed(0)} µs:`);
  say('| subscriptions held before | subscribes per second | CPU per subscribe | besides Ed25519 |');
  say('|---|---|---|---|');
  for (const held of [0, HELD]) {
    if (held > 0) await fill(databaseUrl, 1, held);
    const { perSecond, cpu } = await measure(databaseUrl);
    say(`| ${held} | ${perSecond.toFixed(0)} | ${cpu.toFixed(0)} µs | ${(cpu - signatures).toFixed(0)} µs |`);
  }
}

async function measure(databaseUrl: string): Promise<{ perSecond: number; cpu: number }> {
  const bodies = makeSubscribers(WARM_UP + COUNT).map(({ request }) => JSON.stringify(request));
  const world = await BenchWorld.start();
  const server = await BenchServer.start(world.facts, databaseUrl, { session: { oxend: null } });
  await until(() => server.isReady(), 60_000);
  const url = new URL(server.http);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => BareClient.connect(url)));
  const run = async (from: number, to: number): Promise<void> => {
    let next = from;
    const work = async (client: BareClient): Promise<void> => {
      while (next < to) {
        const answer = await client.post(bodies[next++] ?? '');
        if (!answer.includes('"success":true')) throw new Error(`refused: ${answer}`);
      }
    };
    await Promise.all(clients.map(work));
  };
  await run(0, WARM_UP);
  const cpuBefore = cpuMicros(server.pid);
  const startedAt = performance.now();
  await run(WARM_UP, WARM_UP + COUNT);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (cpuMicros(server.pid) - cpuBefore) / COUNT;
  for (const client of clients) client.end();
  await server.stop();
  world.stop();
  return { perSecond: COUNT / seconds, cpu };
}
