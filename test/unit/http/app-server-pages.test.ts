import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { startAppServer, type Answer, type AppServerUnderTest } from './app-server-harness.js';

let test: AppServerUnderTest;
afterEach(() => test.server.close());

const v1 = '/push_appserver/v1';
const hrefs = (text: string): readonly string[] =>
  [...text.matchAll(/href="([^"]*)"/g)].map((found) => found[1] ?? '');
const page = (content: string): string =>
  `<!DOCTYPE html>\n<html><head><title>mod_push_appserver</title></head><body>\n${content}\n</body></html>`;

describe('pages for everybody', () => {
  it('health is the 97 bytes that monitors know', async () => {
    test = await startAppServer();
    const answer = await test.get(`${v1}/health`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.text).toBe(page('RUNNING'));
    expect(answer.headers.get('content-length')).toBe('97');
    const head = await test.get(`${v1}/health`, { method: 'HEAD' });
    expect([head.status, head.text, head.headers.get('content-length')]).toEqual([200, '', '97']);
  });

  it('the base path says hello, with and without a slash', async () => {
    test = await startAppServer();
    for (const path of ['', '/']) {
      const answer = await test.get(`/push_appserver${path}`);
      expect(answer.text).toBe(page('<h1>Hello from mod_push_appserver!</h1>'));
    }
  });
});

const debugPaths = ['register', 'unregister', 'push', 'settings'].flatMap((name) => [
  `${v1}/${name}`,
  `${v1}/${name}/`,
  `${v1}/${name}/some/thing`,
]);

describe('pages for operators', () => {
  it('are closed by default, also to this machine', async () => {
    test = await startAppServer({ appServerOptions: { adminToken: 'right' } });
    for (const path of debugPaths) {
      for (const method of ['GET', 'HEAD']) {
        const init = { method, headers: { authorization: 'Bearer right' } };
        expect((await test.get(path, init)).status).toBe(403);
      }
    }
    expect((await test.get(`${v1}/registers`)).status).toBe(404);
  });

  it('are open to this machine when debugging is on', async () => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    for (const path of debugPaths) {
      expect((await test.get(path)).status).toBe(200);
      expect((await test.get(path, { method: 'HEAD' })).status).toBe(200);
    }
  });

  /** With a Host header and a version of our choice, which fetch does not allow. */
  const getWith = (headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ port: test.port, host: '127.0.0.1', path: `${v1}/settings`, headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });

  it('are not for what a proxy or a renamed page of a stranger sends from this machine', async () => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    expect(await getWith({})).toBe(200);
    for (const headers of [
      { host: 'evil.example' },
      { 'x-forwarded-for': '127.0.0.1' },
      { 'x-real-ip': '192.0.2.1' },
      { forwarded: 'for=192.0.2.1' },
      { via: '1.1 proxy' },
    ]) {
      expect(await getWith(headers)).toBe(403);
    }
  });

  it('are not for clients that a trusted proxy names', async () => {
    test = await startAppServer({ appServerOptions: { debug: true }, options: { trustProxy: '127.0.0.1' } });
    expect(await getWith({ 'x-forwarded-for': '192.0.2.1' })).toBe(403);
  });

  it('open from everywhere to the token of the operators, and to no other', async () => {
    test = await startAppServer({ appServerOptions: { debug: true, adminToken: 'right' } });
    const away = { host: 'push.example', 'x-forwarded-for': '192.0.2.1' };
    expect(await getWith({ ...away, authorization: 'Bearer right' })).toBe(200);
    for (const authorization of ['Bearer wrong', 'Bearer ', 'Bearer', 'Basic right', 'right']) {
      expect(await getWith({ ...away, authorization })).toBe(403);
    }
  });

  it('do not let the token be guessed at without limit', async () => {
    test = await startAppServer({
      appServerOptions: { debug: true, adminToken: 'right', registrationsPerMinute: 3 },
      options: { rateLimitExempt: [] },
    });
    const guess = () => getWith({ host: 'push.example', authorization: 'Bearer wrong' });
    expect([await guess(), await guess(), await guess(), await guess()]).toEqual([403, 403, 403, 429]);
  });

  it('can neither run nor frame anything, nor be read by other pages or kept', async () => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    for (const path of debugPaths) {
      const { headers } = await test.get(path);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  it.each([
    ['register', 'Register Push Node', ['type', 'node', 'token']],
    ['unregister', 'Unregister Push Node', ['type', 'node']],
    ['push', 'Send Push Request', ['node', 'secret']],
  ] as const)('%s is a form', async (name, title, fields) => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    const { text } = await test.get(`${v1}/${name}`);
    expect(text).toContain(`<h1>${title}</h1>`);
    expect(text).toContain('<form method="post">');
    expect(text).toContain('send request');
    expect([...text.matchAll(/<input type="text" name="(\w+)">/g)].map((found) => found[1])).toEqual(fields);
  });
});

describe('the list of devices', () => {
  const open = async (nodes: readonly string[]): Promise<void> => {
    test = await startAppServer({ appServerOptions: { debug: true } });
    for (const node of nodes) await test.appServer.register('apns', node, `token of ${node}`);
  };
  const follow = (from: string, href: string): Promise<Answer> => {
    const { pathname, search } = new URL(
      href.replaceAll('&#39;', "'").replaceAll('&amp;', '&'),
      test.url + from,
    );
    return test.get(pathname + search);
  };

  it('links to each, relative to where it is', async () => {
    await open(['phone', 'tablet']);
    const plain = (await test.get(`${v1}/settings`)).text;
    expect(hrefs(plain)).toEqual(['settings/phone', 'settings/tablet']);
    const below = (await test.get(`${v1}/settings/`)).text;
    expect(hrefs(below)).toEqual(['phone', 'tablet']);
    for (const [from, href] of [
      [`${v1}/settings`, 'settings/phone'],
      [`${v1}/settings/`, 'phone'],
    ] as const) {
      expect((await follow(from, href)).text).toContain('token of phone');
    }
  });

  it('of any names holds together, and every link leads to its device', async () => {
    const names = [
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      "a'b",
      'a/b c&d',
      'ümläut 😀',
      '%2F%',
      'a?b#c',
      'javascript:alert(1)',
      '//evil.example',
      '</pre><b>',
      'a\\"b',
    ];
    await open(names);
    for (const from of [`${v1}/settings`, `${v1}/settings/`]) {
      const { text } = await test.get(from);
      expect(text).not.toMatch(/<(?!\/?(html|head|title|body|h1|ul|li|a|p)\b|!DOCTYPE)/);
      const links = hrefs(text);
      expect(links).toHaveLength(names.length);
      for (const [index, link] of links.entries()) {
        const shown = (await follow(from, link)).text;
        expect(shown).not.toMatch(/<(?!\/?(html|head|title|body|pre)\b|!DOCTYPE)/);
        const text = shown
          .replace(
            /&(?:lt|gt|quot|#39);/g,
            (entity) => ({ '&lt;': '<', '&gt;': '>', '&quot;': '"' })[entity] ?? "'",
          )
          .replaceAll('&amp;', '&')
          .replace(/\\(["\\])/g, '$1');
        expect(text).toContain(`["token"] = "token of ${names[index] ?? ''}";`);
      }
    }
  });

  it('comes in pages of a thousand', async () => {
    const names = Array.from({ length: 2_001 }, (_, index) => `node ${index}`);
    await open(names);
    const seen: string[] = [];
    let at = `${v1}/settings`;
    for (let pages = 1; ; pages += 1) {
      const links = hrefs((await test.get(at)).text);
      const next = links.find((link) => link.startsWith('?'));
      seen.push(...links.filter((link) => link !== next).map((link) => decodeURIComponent(link.slice(9))));
      if (next === undefined) {
        expect(pages).toBe(3);
        break;
      }
      at = `${v1}/settings${next}`;
    }
    expect(seen).toEqual(names);
  });

  it('shows a device as the original keeps it, without its secret', async () => {
    await open([]);
    const { appServer } = test;
    await appServer.register('apns', 'phone', 'first');
    appServer.nowMs += 61_000;
    await appServer.register('apns', 'phone', 'line\nbreak "\\');
    const row = appServer.rows.get('phone');
    if (row === undefined) throw new Error('the phone is registered');
    appServer.rows.set('phone', { ...row, lastPushAtMs: Date.UTC(2024, 1, 1) });
    const answer = await test.get(`${v1}/settings/phone/and/more`);
    expect(answer.text).toBe(
      page(
        '<pre>{\n' +
          '\t[&quot;type&quot;] = &quot;apns&quot;;\n' +
          '\t[&quot;node&quot;] = &quot;phone&quot;;\n' +
          '\t[&quot;token&quot;] = &quot;line\\010break \\&quot;\\\\&quot;;\n' +
          '\t[&quot;registered&quot;] = &quot;2024-01-02T03:04:05Z&quot;;\n' +
          '\t[&quot;renewed&quot;] = &quot;2024-01-02T03:05:06Z&quot;;\n' +
          '\t[&quot;last_successful_push&quot;] = &quot;2024-02-01T00:00:00Z&quot;;\n' +
          '}</pre>',
      ),
    );
    expect(answer.text).not.toContain(row.secret);
  });

  it('shows an empty table for a node that nobody has, and no more than that of one that is no text', async () => {
    await open(['v1']);
    expect((await test.get(`${v1}/settings/v1/settings/`)).text).toContain('token of v1');
    const answer = await test.get(`${v1}/settings/nobody`);
    expect([answer.status, answer.text]).toEqual([200, page('<pre>{}</pre>')]);
    expect((await test.get(`${v1}/settings/%ff`)).status).toBe(400);
    expect((await test.get(`${v1}/settings?after=%ff`)).status).toBe(400);
    expect((await test.get(`${v1}/settings?after=nobody`)).status).toBe(200);
  });
});
