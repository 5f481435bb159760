import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { postOnion, SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { post, startTestServer, VECTOR_NOW_SECONDS, type TestServer } from '../unit/http/harness.js';

let server: TestServer | null = null;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.server.close(200);
  server = null;
});

const now = VECTOR_NOW_SECONDS;
const added = { added: true, message: 'Subscription successful', success: true };

describe('phones', () => {
  it('subscribe and unsubscribe their accounts through onion requests', async () => {
    const test = (server = await startTestServer());
    const account = SessionAccount.user();
    const group = SessionAccount.group();
    const key = test.onionKey.publicKey;

    const iphone = new SessionDevice('ios');
    const own = iphone.body([iphone.subscription(account, now)]);
    expect(await postOnion(test.url, key, 'xchacha20', '/subscribe', own)).toEqual({
      code: 200,
      json: added,
    });

    const android = new SessionDevice('android');
    const both = android.body([
      android.subscription(account, now),
      android.subscription(group, now, { member: group.member() }),
    ]);
    expect(await postOnion(test.url, key, 'aes-gcm', '/subscribe', both)).toEqual({
      code: 200,
      json: [added, added],
    });
    expect(test.subscriptions.held.size).toBe(3);

    const leave = android.body([android.unsubscription(account, now)]);
    expect(await postOnion(test.url, key, 'aes-gcm', '/unsubscribe', leave)).toEqual({
      code: 200,
      json: [{ message: 'Device unsubscribed from push notifications', removed: true, success: true }],
    });
    expect(test.subscriptions.held.size).toBe(2);
  });

  it('are all answered when two thousand ask at once', async () => {
    const test = (server = await startTestServer());
    const device = new SessionDevice('ios');
    const group = SessionAccount.group();
    const bodies = Array.from({ length: 2_000 }, (_, index) =>
      JSON.stringify({
        ...device.subscription(group, now),
        service_info: { token: String(index).padStart(64, '0') },
      }),
    );
    const answers = await Promise.all(bodies.map((body) => post(`${test.url}/subscribe`, body)));
    expect(answers.every((answer) => answer.body.toString() === JSON.stringify(added))).toBe(true);
    expect(test.subscriptions.held.size).toBe(2_000);
    expect(test.server.inProgress()).toBe(0);
  });
});

describe('bad company', () => {
  const open = (
    port: number,
    text: string,
  ): { socket: Socket; received: () => string; closed: () => boolean } => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    sockets.push(socket);
    let received = '';
    let closed = false;
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.on('close', () => (closed = true));
    socket.on('error', () => undefined);
    return { socket, received: () => received, closed: () => closed };
  };

  it('that never finishes its headers or its body is thrown out', async () => {
    const test = (server = await startTestServer({
      options: { headersTimeoutMs: 300, requestTimeoutMs: 400 },
    }));
    const headers = open(test.port, 'POST /subscribe HTTP/1.1\r\nhost: x\r\n');
    const body = open(test.port, 'POST /oxen/v4/lsrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc');
    await eventually(() => headers.closed() && body.closed(), { what: 'the end of slow connections' });
    expect((await post(`${test.url}/subscribe`, '[]')).status).toBe(200);
    expect(test.server.inProgress()).toBe(0);
  });

  it('that speaks no HTTP, or breaks it, gets 4xx and harms nobody', async () => {
    const test = (server = await startTestServer());
    const strange = [
      'hello\r\n\r\n',
      'POST /subscribe HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n',
      'POST /subscribe HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /subscribe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      `POST /subscribe HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`,
      'POST /%ff%fe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
    ];
    for (const text of strange) {
      const { received, closed } = open(test.port, text);
      await eventually(() => closed(), { what: `the end of ${text.slice(0, 20)}` });
      if (received() !== '') expect(received()).toMatch(/^HTTP\/1\.1 4/);
    }
    expect((await post(`${test.url}/subscribe`, '[]')).status).toBe(200);
  });

  it('that goes away while it is served is forgotten', async () => {
    let release: () => void = () => undefined;
    const opened = new Promise<'added'>((resolve) => (release = () => resolve('added')));
    const test = (server = await startTestServer({ deps: { subscribe: () => opened } }));
    const device = new SessionDevice('ios');
    const body = JSON.stringify(device.subscription(SessionAccount.user(), now));
    const { socket } = open(
      test.port,
      `POST /subscribe HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => test.server.inProgress() === 1);
    socket.destroy();
    release();
    await eventually(() => test.server.inProgress() === 0);
  });
});

describe('a stop', () => {
  it('answers what is in progress and takes nothing new', async () => {
    let release: () => void = () => undefined;
    const opened = new Promise<'added'>((resolve) => (release = () => resolve('added')));
    const test = await startTestServer({ deps: { subscribe: () => opened } });
    const device = new SessionDevice('ios');
    const body = JSON.stringify(device.subscription(SessionAccount.user(), now));
    const answer = post(`${test.url}/subscribe`, body);
    await eventually(() => test.server.inProgress() === 1);
    const closing = test.server.close(5_000);
    await eventually(async () => {
      try {
        return (await post(`${test.url}/subscribe`, '[]')).status === 503;
      } catch {
        return true;
      }
    });
    release();
    expect(JSON.parse((await answer).body.toString())).toEqual(added);
    await closing;
    await test.server.close();
  });

  it('does not wait for ever for a client that hangs', async () => {
    const test = await startTestServer({ deps: { subscribe: () => new Promise(() => undefined) } });
    const device = new SessionDevice('ios');
    const body = JSON.stringify(device.subscription(SessionAccount.user(), now));
    const answer = post(`${test.url}/subscribe`, body).catch(() => 'cut off');
    await eventually(() => test.server.inProgress() === 1);
    await test.server.close(50);
    expect(await answer).toBe('cut off');
  });
});
