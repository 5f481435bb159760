import { afterEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './harness.js';

const page = 'https://chat.example';

describe('a web page of another origin', () => {
  let server: TestServer;
  afterEach(() => server.server.close());

  const preflight = (origin: string): Promise<Response> =>
    fetch(`${server.url}/subscribe`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
  const ask = (origin: string): Promise<Response> =>
    fetch(`${server.url}/subscribe`, { method: 'POST', body: '[]', headers: { origin } });

  it('may subscribe when its origin is listed', async () => {
    server = await startTestServer({ options: { corsOrigins: [page, 'https://other.example:8443'] } });
    const allowed = await preflight(page);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(page);
    expect(allowed.headers.get('access-control-allow-methods')).toBe('GET, POST');
    expect(allowed.headers.get('access-control-allow-headers')).toBe('content-type');
    const answer = await ask(page);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(page);
  });

  it('may not when only others are', async () => {
    server = await startTestServer({ options: { corsOrigins: ['https://other.example'] } });
    expect((await preflight(page)).headers.get('access-control-allow-origin')).toBeNull();
    expect((await ask(page)).headers.get('access-control-allow-origin')).toBeNull();
  });

  it('may when all are', async () => {
    server = await startTestServer({ options: { corsOrigins: ['*'] } });
    expect((await preflight(page)).headers.get('access-control-allow-origin')).toBe('*');
    expect((await ask(page)).headers.get('access-control-allow-origin')).toBe('*');
  });

  it('is let in nowhere by default, and OPTIONS says what it always said', async () => {
    server = await startTestServer();
    const answer = await preflight(page);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});
