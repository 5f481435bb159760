import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onionCall, SessionAccount, SessionDevice } from '../../simulators/session-client.js';
import { post, startTestServer, VECTOR_NOW_SECONDS, type TestServer } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.server.close());

const device = new SessionDevice('ios', undefined, undefined, 'test');
const aSubscribe = (): Record<string, unknown> =>
  device.subscription(SessionAccount.user(), VECTOR_NOW_SECONDS);

/** Sends bytes as they stand and collects the answer until the server closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('routes', () => {
  it.each(['/register', '/unregister', '/notify', '/loki/v2/lsrpc', '/subscribe/', '/', '/metrics'])(
    '%s is 404',
    async (path) => {
      expect((await post(`${server.url}${path}`, '{}')).status).toBe(404);
    },
  );

  it.each(['/subscribe', '/unsubscribe', '/oxen/v4/lsrpc'])(
    '%s takes POST and names it otherwise',
    async (path) => {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD']) {
        const answer = await fetch(`${server.url}${path}`, { method });
        expect(answer.status).toBe(405);
        expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
      }
      const options = await fetch(`${server.url}${path}`, { method: 'OPTIONS' });
      expect(options.status).toBe(200);
      expect(options.headers.get('allow')).toBe('POST, OPTIONS');
    },
  );

  it('ignores a query', async () => {
    const answer = await post(`${server.url}/subscribe?a=b`, '[]');
    expect(answer.body.toString()).toBe('[]');
  });

  it('describes itself', async () => {
    const answer = await fetch(`${server.url}/openapi.json`);
    const description = (await answer.json()) as { paths: Record<string, unknown> };
    expect(Object.keys(description.paths).sort()).toEqual(['/oxen/v4/lsrpc', '/subscribe', '/unsubscribe']);
  });
});

describe('bodies', () => {
  it.each([
    undefined,
    'application/json',
    'text/plain',
    'application/octet-stream',
    'multipart/form-data',
    'nonsense',
    ';;;',
  ])('are JSON under Content-Type %s', async (type) => {
    const answer = await post(
      `${server.url}/subscribe`,
      JSON.stringify(aSubscribe()),
      type === undefined ? {} : { 'content-type': type },
    );
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toEqual({
      added: true,
      message: 'Subscription successful',
      success: true,
    });
  });

  it('of exactly 100,000 bytes pass, of one more do not', async () => {
    const body = JSON.stringify(aSubscribe());
    const fits = await post(`${server.url}/subscribe`, body.padEnd(100_000));
    expect(JSON.parse(fits.body.toString())).toMatchObject({ success: true });
    const long = await post(`${server.url}/subscribe`, body.padEnd(100_001));
    expect(long.status).toBe(200);
    expect(long.body.toString()).toBe('{"error":1,"message":"Invalid request: request too large"}');
  });

  it('of 100,001 bytes are refused inside an onion as well', async () => {
    const call = onionCall(server.onionKey.publicKey, 'aes-gcm', {
      endpoint: '/subscribe',
      body: Buffer.alloc(100_001, 0x20),
    });
    const answer = await post(`${server.url}/oxen/v4/lsrpc`, call.frame);
    expect(call.open(answer.body)).toMatchObject({ code: 200 });
    expect(call.open(answer.body)?.body.toString()).toBe(
      '{"error":1,"message":"Invalid request: request too large"}',
    );
  });

  it('may come chunked', async () => {
    const body = JSON.stringify(aSubscribe());
    const answer = await raw(
      `POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n` +
        `${(10).toString(16)}\r\n${body.slice(0, 10)}\r\n${(body.length - 10).toString(16)}\r\n${body.slice(10)}\r\n0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 .*"success":true/s);
  });

  it('that come chunked have the same limit', async () => {
    const chunk = ' '.repeat(50_001);
    const answer = await raw(
      `POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n` +
        `c351\r\n${chunk}\r\nc351\r\n${chunk}\r\n0\r\n\r\n`,
    );
    expect(answer).toContain('{"error":1,"message":"Invalid request: request too large"}');
  });

  it('are missed when there is not even a length', async () => {
    const missing = '{"error":1,"message":"Invalid request: request body missing"}';
    expect(await raw('POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toContain(missing);
    expect(
      await raw(
        'POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ).toContain(missing);
  });

  it('of length 0 are not JSON', async () => {
    expect(
      await raw('POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
    ).toContain('{"error":1,"message":"Invalid JSON"}');
  });

  it('that are no UTF-8 are not JSON', async () => {
    const answer = await post(`${server.url}/subscribe`, Buffer.from([0x22, 0xff, 0xfe, 0x22]));
    expect(answer.body.toString()).toBe('{"error":1,"message":"Invalid JSON"}');
  });

  it('leave no bytes behind in the accounts', () => {
    expect(server.server.inProgress()).toBe(0);
  });
});

describe('inside an onion', () => {
  const call = async (method: string, endpoint: string, body = Buffer.from('[]')): Promise<unknown> => {
    const request = onionCall(server.onionKey.publicKey, 'xchacha20', { method, endpoint, body });
    const answer = await post(`${server.url}/oxen/v4/lsrpc`, request.frame);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    const reply = request.open(answer.body);
    return { code: reply?.code, headers: reply?.headers, body: reply?.body.toString() };
  };

  it('unknown paths are 404, also the onion route itself and those of the operators', async () => {
    for (const path of [
      '/nothing',
      '/subscribe/',
      '/oxen/v4/lsrpc',
      '/%6fxen/v4/lsrpc',
      '/openapi.json',
      '/stats',
    ]) {
      expect(await call('POST', path)).toMatchObject({ code: 404 });
    }
  });

  it('other methods are 405 and say what is allowed', async () => {
    expect(await call('GET', '/subscribe')).toMatchObject({ code: 405, headers: { allow: 'POST, OPTIONS' } });
    expect(await call('OPTIONS', '/subscribe')).toMatchObject({ code: 200, body: '' });
  });

  it('the path is decoded once and the query set aside', async () => {
    expect(await call('post', '/%73ubscribe?x=%ff')).toMatchObject({ code: 200, body: '[]' });
    expect(await call('POST', '/%2573ubscribe')).toMatchObject({ code: 404 });
  });

  it('replies to the same request have different nonces', async () => {
    const request = onionCall(server.onionKey.publicKey, 'aes-gcm', { endpoint: '/subscribe', body: null });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(`${server.url}/oxen/v4/lsrpc`, request.frame)),
    );
    expect(new Set(answers.map((answer) => answer.body.toString('hex', 0, 12))).size).toBe(20);
  });
});
