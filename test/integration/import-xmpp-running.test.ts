import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { startAppUnderTest, type AppUnderTest } from '../simulators/app-under-test.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { ProsodyFiles, setPushAppserverDevice } from '../simulators/prosody-store-files.js';
import { run } from '../unit/cli/support.js';
import { createTestDirectory } from '../unit/config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());
const HOST = 'push.example.org';
const secretOf = (seed: string): string => createHash('sha256').update(seed).digest('hex');

describeWithPostgres('an import of mod_push_appserver beside servers that run', (postgres) => {
  const apps: AppUnderTest[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.stop()));
  });

  /** Of several processes on one database, which share `keys.registrations` and nothing else. */
  async function start(url: string, name: string): Promise<{ app: AppUnderTest; config: string }> {
    const config = directory.write(
      `${name}.yaml`,
      JSON.stringify({
        http: { port: 0 },
        admin: { port: 0 },
        database: { url },
        keys: { server: `${name}.key`, onion: [`${name}.onion`], registrations: 'registrations.key' },
        session: { enabled: false },
        legacy: { enabled: false },
        brands: { session: { enabled: false }, bchat: { enabled: false } },
        xmpp: { enabled: true, httpRegistrationsPerMinute: 10_000, rateLimitSeconds: 0 },
        notifiers: { apns: { type: 'dummy' } },
      }),
    );
    const app = await startAppUnderTest(config);
    apps.push(app);
    await app.ready();
    return { app, config };
  }

  const ask = async (app: AppUnderTest, what: string, fields: Record<string, string>): Promise<string> => {
    const body = new URLSearchParams(fields);
    return (await fetch(`${app.httpAddress}/push_appserver/v1/${what}`, { method: 'POST', body })).text();
  };

  test('wakes devices with the secrets that their servers have, at once and in all processes', async () => {
    const url = await postgres().createDatabase();
    const { app: one, config } = await start(url, 'one');
    const { app: two } = await start(url, 'two');
    const files = new ProsodyFiles(join(directory.path, 'prosody'));
    const nodes = Array.from({ length: 30 }, (_, n) => `node ${n}`);
    for (const node of nodes) await setPushAppserverDevice(files, HOST, node, { secret: secretOf(node) });

    const imported = await run(['import', 'mod_push_appserver', '--config', config, files.dataDirectory]);
    expect(imported, imported.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(imported.stdout.split('\n').slice(1)).toEqual([
      'devices: added 30, changed 0, 0 were here already',
      'left out nothing',
    ]);
    for (const node of nodes) {
      const app = node.length % 2 === 0 ? one : two;
      expect(await ask(app, 'push', { node, secret: secretOf(node) })).toBe(`OK\n${node}`);
      expect(await ask(app, 'push', { node, secret: secretOf('other') })).toBe(
        'ERROR\nNode or secret not found!',
      );
    }
    for (const app of [one, two]) {
      await eventually(async () => (await app.metric('waggle_xmpp_devices{type="apns"}')) === 30, {
        what: 'all devices in memory',
      });
    }

    // Whoever registers again keeps the secret, and an import after that does not bring the old token back.
    const node = 'node 7';
    const token = 'b'.repeat(64);
    expect(await ask(two, 'register', { type: 'apns', node, token })).toBe(`OK\n${node}\n${secretOf(node)}`);
    expect(await ask(two, 'unregister', { type: 'apns', node: 'node 8' })).toBe(
      `OK\nnode 8\n${secretOf('node 8')}`,
    );
    await setPushAppserverDevice(files, HOST, 'late', { secret: secretOf('late') });
    const again = await run(['import', 'mod_push_appserver', '--config', config, files.dataDirectory]);
    expect(again.stdout).toContain(
      'devices: added 1, changed 0, left 2 that are newer here, 28 were here already',
    );
    expect(await ask(one, 'push', { node, secret: secretOf(node) })).toBe(`OK\n${node}`);
    expect(await ask(one, 'push', { node: 'late', secret: secretOf('late') })).toBe('OK\nlate');
    await eventually(
      async () =>
        (await ask(one, 'push', { node: 'node 8', secret: secretOf('node 8') })).startsWith('ERROR'),
      { what: 'the end of a device that another process was told of' },
    );
    for (const text of [imported.stdout, again.stdout, one.log(), two.log()]) {
      expect(text).not.toContain(secretOf(node));
      expect(text).not.toContain('a'.repeat(64));
    }
  });
});
