import { Agent, request as httpRequest } from 'node:http';
import { cpuMicros } from './process.js';
import { BenchServer } from './server.js';
import { makeSubscribers } from './delivery.js';
import sodium from 'sodium-native';

const CLIENTS = 32;
const COUNT = 12_000;

function post(agent: Agent, url: URL, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        agent,
        host: url.hostname,
        port: url.port,
        path: '/subscribe',
        method: 'POST',
        headers: { 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        let text = '';
        response.setEncoding('latin1');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(text));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
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

export async function benchSubscribe(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const bodies = makeSubscribers(COUNT).map(({ request }) => JSON.stringify(request));
  const server = await BenchServer.start(null, databaseUrl, {
    notifiers: { apns: { type: 'dummy' } },
  });
  const url = new URL(server.http);
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const dummyBodies = bodies.map((body, n) =>
    body.replace(/"service_info":\{.*?\}/, `"service_info":{"foo":"TEST-${n}","bar":1}`),
  );
  const run = async (from: number, to: number): Promise<void> => {
    let next = from;
    const client = async (): Promise<void> => {
      while (next < to) {
        const answer = await post(agent, url, dummyBodies[next++] ?? '');
        if (!answer.includes('"success":true')) throw new Error(`refused: ${answer}`);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  };
  await run(0, 2000);
  const cpuBefore = cpuMicros(server.pid);
  const startedAt = performance.now();
  await run(2000, COUNT);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (cpuMicros(server.pid) - cpuBefore) / (COUNT - 2000);
  const signatures = ed25519Micros();
  say(
    `new subscriptions, ${CLIENTS} concurrent clients, one per request: ${((COUNT - 2000) / seconds).toFixed(0)}/s`,
  );
  say(
    `CPU of the server process per subscribe: ${cpu.toFixed(0)} µs, of which Ed25519 ${signatures.toFixed(0)} µs ` +
      `(measured beside it), the rest ${(cpu - signatures).toFixed(0)} µs`,
  );
  agent.destroy();
  await server.stop();
}
