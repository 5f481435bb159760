import { expect, test } from 'vitest';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { SecretKeeper } from '../../src/crypto/secret-keeper.js';
import { systemClock } from '../../src/domain/clock.js';
import type { Database } from '../../src/store/database.js';
import { PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import { silentLog } from '../../src/telemetry/log.js';
import { XmppDirectory } from '../../src/xmpp-devices/directory.js';
import { defaultXmppDeviceLimits } from '../../src/xmpp-devices/limits.js';
import { XmppRegistry } from '../../src/xmpp-devices/registry.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { DevicesLog, exampleTypes, registeredBy, tokenOf, v1 } from '../unit/xmpp-devices/support.js';

/** One process on the database, loaded. */
async function setUp(database: Database) {
  const directory = new XmppDirectory();
  const randomBytes = createRandomBytes();
  const registry = new XmppRegistry({
    store: new PostgresXmppDeviceStore(database),
    directory,
    secrets: new SecretKeeper(Buffer.alloc(32, 1), randomBytes),
    types: exampleTypes,
    validate: (_type, token) => Promise.resolve({ serviceId: tokenOf(token), serviceData: null }),
    clock: systemClock,
    randomBytes,
    limits: defaultXmppDeviceLimits,
    report: new DevicesLog(),
    log: silentLog(),
  });
  await registry.load();
  const register = (node: string, token: string) => registeredBy(registry.register(v1(node), token));
  return { directory, registry, register };
}

/** What a standby is that has not heard of anything after `revision`; no device was changed twice. */
async function putBackTo(database: Database, revision: number): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.script(`DELETE FROM xmpp_devices WHERE revision > ${revision}`);
    await transaction.script(`SELECT setval('xmpp_revisions', ${revision})`);
  });
}

describeWithDatabases('a database that was put back under processes that run', (fixture) => {
  test('the last revision that was drawn is never behind one that was read', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    expect(await store.drawnRevision()).toBeGreaterThanOrEqual(0);
    const { register, registry, directory } = await setUp(database);
    await register('a', 'token');
    await registry.unregister(v1('a'));
    await registry.sync();
    expect(await store.drawnRevision()).toBe(directory.revision);
    await store.dropRemoved('unregistered', Date.now() + 1000);
    await store.dropRemoved('dead', Date.now() + 1000);
    expect(await store.drawnRevision()).toBe(directory.revision);
  });

  test('what is registered anew is found, by look-up and by poll', async () => {
    const database = await fixture.open();
    const one = await setUp(database);
    await one.register('a', 'token a');
    for (const node of ['b', 'c', 'd']) await one.register(node, `token ${node}`);
    await one.registry.sync();
    await putBackTo(database, one.directory.revision - 3);

    const other = await setUp(database);
    await other.register('b', 'token B');
    await one.registry.lookUp(['b']);
    expect(one.directory.find('b')[0]?.token).toBe('token B');

    await other.register('e', 'token e');
    await one.registry.sync();
    expect(one.directory.find('e')[0]?.token).toBe('token e');
    expect(one.directory.find('d')[0]?.token).toBe('token d');
    expect(one.directory.revision).toBe(3);

    await one.registry.sync();
    await putBackTo(database, 1);
    await one.registry.sync();
    expect(one.directory.revision).toBe(1);
  });
});
