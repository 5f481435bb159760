import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { startAppServer, type AppServerUnderTest } from '../unit/http/app-server-harness.js';

let test: AppServerUnderTest;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await test.server.close(200);
});

const register = '/push_appserver/v1/register';
const push = '/push_appserver/v1/push';
const form = 'type=apns&node=phone&token=a';

interface Line {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: () => boolean;
}

function open(text: string): Line {
  const socket = connect(test.port, '127.0.0.1', () => socket.write(text));
  sockets.push(socket);
  let received = '';
  let closed = false;
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('close', () => (closed = true));
  socket.on('error', () => undefined);
  return { socket, received: () => received, closed: () => closed };
}

/** What comes until the server closes. */
async function exchange(text: string): Promise<string> {
  const line = open(text);
  await eventually(line.closed, { what: `the end of ${text.slice(0, 60)}` });
  return line.received();
}

/** On kept connections, as many as there are requests at once. */
const postBy = (agent: Agent, path: string, body: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ agent, host: '127.0.0.1', port: test.port, path, method: 'POST' }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end(body);
  });

const head = (path: string, ...headers: readonly string[]): string =>
  [`POST ${path} HTTP/1.1`, 'host: x', ...headers, '', ''].join('\r\n');

describe('phones', () => {
  it('are all answered when a thousand register at once, and wake at once, and leave at once', async () => {
    test = await startAppServer();
    const agent = new Agent({ keepAlive: true });
    const ask = (path: string, body: string): Promise<string> => postBy(agent, path, body);
    const nodes = Array.from({ length: 1_000 }, (_, index) => `phone-${index}`);
    const answers = await Promise.all(
      nodes.map((node) => ask(register, `type=apns&node=${node}&token=token-${node}`)),
    );
    const secrets = answers.map((text, index) => {
      const [ok, node, secret = ''] = text.split('\n');
      expect([ok, node]).toEqual(['OK', nodes[index]]);
      return secret;
    });
    expect(new Set(secrets).size).toBe(1_000);
    const woken = await Promise.all(
      nodes.map((node, index) => ask(push, `node=${node}&secret=${secrets[index] ?? ''}`)),
    );
    expect(woken).toEqual(nodes.map((node) => `OK\n${node}`));
    const gone = await Promise.all(
      nodes.map((node) => ask('/push_appserver/v2/unregister', JSON.stringify({ type: 'apns', node }))),
    );
    expect(gone).toEqual(nodes.map((node) => JSON.stringify({ node })));
    agent.destroy();
    expect(test.appServer.rows.size).toBe(0);
    expect(test.server.inProgress()).toBe(0);
    expect(test.answered).toHaveLength(3_000);
  });

  it('may keep their connection, and send the next request before the answer', async () => {
    test = await startAppServer();
    const one = `${head(register, `content-length: ${form.length}`)}${form}`;
    const received = await exchange(one + one.replace('host: x', 'host: x\r\nconnection: close'));
    expect(received.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  it('may send a body in pieces, and ask whether they may', async () => {
    test = await startAppServer();
    const chunked = head(register, 'transfer-encoding: chunked', 'connection: close');
    const pieces = `5\r\n${form.slice(0, 5)}\r\n${(form.length - 5).toString(16)}\r\n${form.slice(5)}\r\n0\r\n\r\n`;
    expect(await exchange(chunked + pieces)).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\n.*OK\nphone\n/s);
    const asking = open(head(register, 'expect: 100-continue', `content-length: ${form.length}`));
    await eventually(() => asking.received().includes('100 Continue'));
    asking.socket.write(form);
    await eventually(() => asking.received().includes('OK\nphone\n'));
  });

  it('of an old kind, whose length is no number, are refused before we see them', async () => {
    test = await startAppServer();
    const received = await exchange(`${head(register, `content-length: ${form.length}ld`)}${form}`);
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(test.appServer.calls).toBe(0);
  });
});

describe('bad company', () => {
  it('that promises too much is refused at once', async () => {
    test = await startAppServer();
    const line = open(head(register, 'content-length: 1000000000'));
    await eventually(() => line.received().startsWith('HTTP/1.1 400 '));
    expect(test.server.inProgress()).toBe(0);
  });

  it('that never ends its body is refused, and thrown out', async () => {
    test = await startAppServer({ options: { requestTimeoutMs: 500, headersTimeoutMs: 400 } });
    const line = open(head(register, 'transfer-encoding: chunked'));
    const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`;
    const endless = setInterval(() => line.socket.write(chunk), 2);
    try {
      await eventually(() => line.received().startsWith('HTTP/1.1 400 '));
      await eventually(line.closed, { what: 'the end of a body without end' });
    } finally {
      clearInterval(endless);
    }
    expect(test.appServer.calls).toBe(0);
  });

  it('that sends its body by the drop is thrown out', async () => {
    test = await startAppServer({ options: { requestTimeoutMs: 500, headersTimeoutMs: 400 } });
    const line = open(`${head(register, `content-length: ${form.length}`)}typ`);
    await eventually(line.closed, { what: 'the end of a slow body' });
    expect(test.appServer.calls).toBe(0);
    expect(test.server.inProgress()).toBe(0);
  });

  it('that plays with headers registers nothing', async () => {
    test = await startAppServer();
    const length = `content-length: ${form.length}`;
    for (const text of [
      head(register, length, 'transfer-encoding: chunked'),
      head(register, length, 'content-length: 3'),
      head(register, 'content-length: -1'),
      head(register, 'content-length: 0x1c'),
      head(register, 'content-length: +28'),
      head(register, 'transfer-encoding: chunked, identity'),
      head(register, length, 'x: a\0b'),
      head(register, length, `x: ${'y'.repeat(100_000)}`),
      head(`${register}\0`, length),
      head('/push_appserver/v1/%ff', length, 'connection: close'),
      `POST ${register}\r\n\r\n`,
    ]) {
      const received = await exchange(text + form);
      if (received !== '') expect(received).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect(test.appServer.calls).toBe(0);
    expect((await test.ask(register, form)).status).toBe(200);
  });

  it('that names the path in full gets what everybody gets', async () => {
    test = await startAppServer();
    const received = await exchange(
      head(`http://x${register}`, `content-length: ${form.length}`, 'connection: close') + form,
    );
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('that speaks as proxies do sees no devices', async () => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    const ask = (version: string) =>
      exchange(
        `GET /push_appserver/v1/settings HTTP/${version}\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`,
      );
    expect(await ask('1.1')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask('1.0')).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('that goes away while it waits is forgotten', async () => {
    test = await startAppServer();
    let release: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (release = resolve));
    test.appServer.before = () => opened;
    const lines = Array.from({ length: 20 }, () =>
      open(`${head(register, `content-length: ${form.length}`)}${form}`),
    );
    await eventually(() => test.appServer.calls === 20);
    for (const { socket } of lines) socket.destroy();
    release();
    await eventually(() => test.server.inProgress() === 0);
    expect((await test.ask(register, form)).status).toBe(200);
  });
});

describe('a stop', () => {
  it('answers the registration that is under way', async () => {
    test = await startAppServer();
    let release: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (release = resolve));
    test.appServer.before = () => opened;
    const answer = test.ask(register, form);
    await eventually(() => test.appServer.calls === 1);
    const closing = test.server.close(5_000);
    release();
    expect((await answer).text).toMatch(/^OK\nphone\n[0-9a-f]{64}$/);
    await closing;
  });
});
