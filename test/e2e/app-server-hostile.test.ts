import { randomBytes } from 'node:crypto';
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { startXmppWorld, type XmppWorld } from '../simulators/xmpp-world.js';
import { HonestTraffic, until } from './hostile-support.js';
import { quick } from './xmpp-support.js';

vi.setConfig({ testTimeout: 60_000 });

const MEBIBYTE = 1024 * 1024;
const CONNECTIONS = 200;
const REGISTRATIONS = 20;
const PUSHES = 50;
const REQUEST_TIMEOUT_MS = 1_500;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

const v1 = '/push_appserver/v1';
const form = (fields: Readonly<Record<string, string>>): string => new URLSearchParams(fields).toString();
const registration = (node: string): string =>
  form({ type: 'apns', node, token: randomBytes(32).toString('hex') });
const addressOf = (test: number, index = 1): string => `127.1.${test}.${index}`;

describe('HTTP clients of the app server that mean harm', () => {
  let world: XmppWorld;
  let server: ServerProcess;
  let honest: HonestTraffic;
  let secret = '';
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let sockets: Socket[] = [];
  let lines = 0;
  let resident = 0;

  function ask(
    path: string,
    body: string,
    options: {
      readonly localAddress?: string;
      readonly headers?: IncomingHttpHeaders;
      readonly agent?: Agent;
    } = {},
  ): Promise<Answer> {
    const { hostname, port } = new URL(server.httpAddress);
    return new Promise((resolve, reject) => {
      request({ hostname, port, path, method: 'POST', agent: false, ...options }, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }));
        answer.on('error', reject);
      })
        .on('error', reject)
        .end(body);
    });
  }

  function open(text: string, localAddress: string): Promise<Socket> {
    const { hostname, port } = new URL(server.httpAddress);
    const socket = connect({ host: hostname, port: Number(port), localAddress });
    sockets.push(socket);
    socket.resume();
    return new Promise((resolve) => {
      socket.on('error', () => resolve(socket));
      socket.once('connect', () => {
        socket.write(text);
        resolve(socket);
      });
    });
  }

  const rateLimited = (): Promise<number> =>
    server.metric('waggle_http_requests_total{result="rate-limited"}');

  const statuses = (answers: readonly Answer[]): Readonly<Record<number, number>> => {
    const counts: Record<number, number> = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };

  beforeAll(async () => {
    world = await startXmppWorld({
      servers: [],
      record: false,
      config: {
        ...quick,
        xmpp: { ...quick.xmpp, httpRegistrationsPerMinute: REGISTRATIONS, httpPushesPerMinute: PUSHES },
        http: {
          maxConnections: CONNECTIONS,
          // The tests' own address is ours, all others of the loopback network are the world's.
          rateLimitExempt: ['127.0.0.1/32'],
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
          headersTimeoutMs: 1_000,
        },
      },
    });
    server = await ServerProcess.start(world.configFile);
    secret = (await ask(`${v1}/register`, registration('honest'))).text.split('\n')[2] ?? '';
    honest = new HonestTraffic(async () => {
      const { text } = await ask(`${v1}/push`, form({ node: 'honest', secret }), { agent });
      return text === 'OK\nhonest';
    });
    honest.begin();
    await until(1_000);
    await honest.end();
    resident = await server.residentBytes();
  });
  beforeEach(() => {
    lines = server.output().split('\n').length;
    honest.begin();
  });
  afterEach(async () => {
    const { count, refused, p99Ms } = await honest.end();
    for (const socket of sockets) socket.destroy();
    sockets = [];
    expect(server.isRunning).toBe(true);
    expect(refused).toBe(0);
    expect(count).toBeGreaterThan(0);
    expect(p99Ms).toBeLessThan(2_000);
    expect(server.output().split('\n').length - lines).toBeLessThan(10);
    expect((await server.residentBytes()) - resident).toBeLessThan(200 * MEBIBYTE);
  });
  afterAll(async () => {
    agent.destroy();
    await server.close();
    await world.close();
  });

  it('more connections than there may be are closed and counted; those that are there are served', async () => {
    const before = await server.metric('waggle_http_connections_refused_total');
    await Promise.all(Array.from({ length: 3 * CONNECTIONS }, () => open('', addressOf(1))));
    await eventually(
      async () => (await server.metric('waggle_http_connections_refused_total')) - before >= 2 * CONNECTIONS,
    );
    expect(await server.metric('process_open_fds')).toBeLessThan(CONNECTIONS + 400);
  });

  it('slow heads and slow bodies are cut off', async () => {
    const head = `POST ${v1}/register HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n`;
    const slow = await Promise.all([
      ...Array.from({ length: 50 }, () => open(head, addressOf(2))),
      ...Array.from({ length: 50 }, () => open(`${head}\r\n`, addressOf(2))),
      ...Array.from({ length: 10 }, () =>
        open(`POST ${v1}/push HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`, addressOf(2)),
      ),
    ]);
    const drip = setInterval(() => {
      for (const socket of slow) if (!socket.destroyed) socket.write('1');
    }, 100);
    await eventually(() => slow.every((socket) => socket.destroyed || socket.closed || !socket.readable), {
      timeoutMs: REQUEST_TIMEOUT_MS + 10_000,
      what: 'the end of all of them',
    });
    clearInterval(drip);
  });

  it('endless heads and bodies, and what is no HTTP, are refused', async () => {
    const big = await ask(`${v1}/register`, 'x'.repeat(5_000), { localAddress: addressOf(3) });
    expect(big.status).toBe(400);
    const endless = await open(`POST ${v1}/push HTTP/1.1\r\nhost: x\r\n`, addressOf(3));
    for (let sent = 0; sent < 200 && !endless.destroyed; sent += 1) {
      endless.write(`x-${sent}: ${'y'.repeat(1_000)}\r\n`);
      await until(1);
    }
    await eventually(() => endless.destroyed || endless.closed);
    const raw = await open('', addressOf(3));
    raw.write(randomBytes(1_000));
    await eventually(() => raw.destroyed || raw.closed);
    const twisted = [
      '&'.repeat(4_000),
      'type=apns'.repeat(400),
      `type=apns&node=${'%00'.repeat(100)}&token=a`,
      'type=apns&node=%ff%fe&token=a',
      'type=__proto__&node=a&token=a',
      'type=constructor&node=a&token=a',
      `type=${'a'.repeat(4_000)}&node=a&token=a`,
    ];
    for (const [index, body] of twisted.entries()) {
      const localAddress = addressOf(3, index + 2);
      expect((await ask(`${v1}/register`, body, { localAddress })).status).toBe(400);
      expect((await ask('/push_appserver/v2/register', body, { localAddress })).status).toBe(400);
    }
    const deep = await ask('/push_appserver/v2/register', `${'['.repeat(2_000)}${']'.repeat(2_000)}`, {
      localAddress: addressOf(3),
    });
    expect(deep.status).toBe(400);
  });

  it('one address registers so often, whatever it says of itself; many addresses do not help each other', async () => {
    const before = await rateLimited();
    const answers: Answer[] = [];
    for (let sent = 0; sent < 3 * REGISTRATIONS; sent += 1) {
      answers.push(
        await ask(`${v1}/register`, registration(`flood-${sent}`), {
          localAddress: addressOf(4),
          headers: {
            'x-forwarded-for': `10.0.0.${sent}, 127.0.0.1`,
            forwarded: `for=10.0.0.${sent}`,
            'x-real-ip': '127.0.0.1',
          },
        }),
      );
    }
    expect(statuses(answers)).toEqual({ 200: REGISTRATIONS, 429: 2 * REGISTRATIONS });
    expect(Number(answers.at(-1)?.headers['retry-after'])).toBeGreaterThan(0);
    expect((await rateLimited()) - before).toBe(2 * REGISTRATIONS);
    const others = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        ask(`${v1}/register`, registration(`other-${index}`), { localAddress: addressOf(5, index + 1) }),
      ),
    );
    expect(statuses(others)).toEqual({ 200: 100 });
    const registered = 'waggle_xmpp_registrations_total{way="http",request="register",outcome="registered"}';
    expect(await server.metric(registered)).toBe(1 + REGISTRATIONS + 100);
  });

  it('whoever guesses secrets has few guesses, and learns nothing by them', async () => {
    const pushesOf = async (node: string, address: string): Promise<readonly Answer[]> => {
      const answers: Answer[] = [];
      for (let sent = 0; sent < 2 * PUSHES; sent += 1) {
        const guess = randomBytes(32).toString('hex');
        answers.push(await ask(`${v1}/push`, form({ node, secret: guess }), { localAddress: address }));
      }
      return answers;
    };
    const known = await pushesOf('honest', addressOf(6));
    const unknown = await pushesOf('nobody', addressOf(7));
    for (const answers of [known, unknown]) {
      expect(statuses(answers)).toEqual({ 200: PUSHES, 429: PUSHES });
      const texts = answers.filter(({ status }) => status === 200).map(({ text }) => text);
      expect(new Set(texts)).toEqual(new Set(['ERROR\nNode or secret not found!']));
    }
    const counted = 'waggle_app_server_answers_total{request="push",answer="unknown"}';
    expect(await server.metric(counted)).toBe(2 * PUSHES);
  });
});
