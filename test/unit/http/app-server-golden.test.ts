import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAppServer, type AppServerUnderTest } from './app-server-harness.js';

interface HttpExchange {
  readonly id: string;
  readonly http: { readonly method: string; readonly path: string; readonly request_body: string };
  readonly response: { readonly status: number; readonly content_type: string | null; readonly body: string };
}

const versions = ['mpa_v2020', 'mpa_v2022'] as const;
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/xmpp-push.json', import.meta.url), 'utf8'),
) as Record<(typeof versions)[number], { readonly exchanges: readonly object[] }>;

const exchangesOf = (version: (typeof versions)[number]): readonly HttpExchange[] =>
  vectors[version].exchanges.filter((exchange): exchange is HttpExchange => 'http' in exchange);

/** What we answer otherwise than the original did, and why. */
const ours: Readonly<
  Record<string, { readonly status: number; readonly body: string; readonly why: string }>
> = {
  'mpa_v2022 mpa.http.push.provider-missing': {
    status: 200,
    body: 'ERROR\nInternal error in push handler',
    why: 'the last version crashed at a type without a provider; the one before answered this (spec xmpp-push, 3.2)',
  },
};
/** Lines were sent without a content type; a browser would then guess one (spec xmpp-push, section 7). */
const LINES_TYPE = 'text/plain; charset=utf-8';
const ERROR_PAGE = '(html error page)';

const recorded = (body: string): string => {
  const length = /^\((\d+) bytes\)$/.exec(body)?.[1];
  return length === undefined ? body : 'type=null&node=a&token='.padEnd(Number(length), 'x');
};

describe.each(versions)('every HTTP exchange recorded with %s', (version) => {
  const exchanges = exchangesOf(version);
  let test: AppServerUnderTest;

  beforeAll(async () => {
    test = await startAppServer();
    const { appServer } = test;
    appServer.fates.set('fail', { kind: 'failed', text: 'some error text' });
    // A type for which there is no notifier any more.
    appServer.fates.set('foo', { kind: 'failed', text: null });
    // Registered over XMPP before these exchanges.
    const secretOf = (id: string): string => {
      const body = exchanges.find((exchange) => exchange.id === id)?.http.request_body;
      return new URLSearchParams(body).get('secret') ?? '';
    };
    for (const [type, node, secret] of [
      ['null', 'device-10', 'anything'],
      ['fail', 'device-11', secretOf('mpa.http.push.provider-error')],
      ['foo', 'device-13', secretOf('mpa.http.push.provider-missing')],
    ] as const) {
      appServer.newSecret = () => secret;
      await appServer.register(type, node, 'token');
    }
  });
  afterAll(() => test.server.close());

  it('there are all of them', () => {
    expect(exchanges.map(({ id }) => id)).toHaveLength(16);
  });

  // One after the other: they build upon each other.
  it.each(exchanges)('$id', async ({ id, http, response }) => {
    test.appServer.newSecret = () => response.body.split('\n')[2] ?? 'none';
    const answer = await test.get(http.path, { method: http.method, body: recorded(http.request_body) });
    const wanted = ours[`${version} ${id}`] ?? response;
    expect(answer.status).toBe(wanted.status);
    if (wanted.body === ERROR_PAGE) {
      expect(answer.headers.get('content-type')).toBe(response.content_type);
      expect(answer.text).toMatch(/^<!DOCTYPE html>\n/);
    } else {
      expect(answer.headers.get('content-type')).toBe(LINES_TYPE);
      expect(answer.text).toBe(wanted.body);
    }
  });
});
