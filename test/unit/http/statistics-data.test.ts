import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jsonReply } from '../../../src/http/client-endpoints.js';
import { defaultHttpServerOptions } from '../../../src/http/server-options.js';
import { post, startTestServer, type TestServer } from './harness.js';

const asked: unknown[] = [];
let fails = false;
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    statistics: async (authorization, contentType, body) => {
      if (fails) throw new Error('password');
      asked.push([authorization, contentType, body.toString()]);
      return jsonReply(200, { code: 0, data: {} });
    },
  });
});
afterAll(() => server.server.close());
beforeEach(() => {
  asked.length = 0;
  fails = false;
});

const path = '/get_statistics_data';

describe('POST /get_statistics_data', () => {
  it('hands over the credentials, the content type and the body, and answers what it is told', async () => {
    const headers = { authorization: 'Basic eDp5', 'content-type': 'application/json; charset=utf-8' };
    const answer = await post(`${server.url}${path}`, '{"start_date":"2024-01-01"}', headers);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.body.toString()).toBe('{"code":0,"data":{}}');
    await post(`${server.url}${path}`, '');
    expect(asked).toEqual([
      ['Basic eDp5', 'application/json; charset=utf-8', '{"start_date":"2024-01-01"}'],
      [undefined, undefined, ''],
    ]);
  });

  it.each(['', 'text/plain', 'nonsense', ';;;', 'multipart/form-data'])(
    'is asked under content type %j as well',
    async (type) => {
      expect((await post(`${server.url}${path}`, '{}', { 'content-type': type })).status).toBe(200);
    },
  );

  it('takes 64 kB and no more', async () => {
    expect((await post(`${server.url}${path}`, ' '.repeat(65_536))).status).toBe(200);
    expect((await post(`${server.url}${path}`, ' '.repeat(65_537))).status).toBe(413);
    expect(asked).toHaveLength(1);
  });

  it('takes POST only', async () => {
    for (const method of ['GET', 'PUT', 'HEAD']) {
      const answer = await fetch(`${server.url}${path}`, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
    }
  });

  it('tells nothing about a fault of ours', async () => {
    fails = true;
    const answer = await post(`${server.url}${path}`, '{}');
    expect(answer.status).toBe(500);
    expect(answer.body.toString()).not.toContain('password');
  });

  it('is described', async () => {
    const description = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(description.paths)).toContain(path);
  });

  it('lets nobody try more than sixty passwords a minute', async () => {
    const strict = await startTestServer({
      options: { rateLimitExempt: [] },
      statistics: async () => jsonReply(401, {}),
    });
    const statuses = new Map<number, number>();
    for (let tries = 0; tries < 70; tries += 1) {
      const { status } = await post(`${strict.url}${path}`, '{}');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(statuses).toEqual(
      new Map([
        [401, 60],
        [429, 10],
      ]),
    );
    expect((await post(`${strict.url}/subscribe`, '[]')).status).toBe(200);
    await strict.server.close();
  });

  it('comes back later when there is too much to do', async () => {
    const { admission } = defaultHttpServerOptions;
    const full = await startTestServer({
      options: { admission: { ...admission, bodyBytesMax: 10 } },
      statistics: async () => jsonReply(200, {}),
    });
    const answer = await post(`${full.url}${path}`, '{"start_date":"2024-01-01"}');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    await full.server.close();
  });

  it('does not exist on a server without', async () => {
    const other = await startTestServer();
    expect((await post(`${other.url}${path}`, '{}')).status).toBe(404);
    expect((await fetch(`${other.url}${path}`)).status).toBe(404);
    await other.server.close();
  });
});
