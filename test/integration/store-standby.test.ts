import { expect, test } from 'vitest';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { SecretKeeper } from '../../src/crypto/secret-keeper.js';
import { systemClock } from '../../src/domain/clock.js';
import type { Database, Transaction } from '../../src/store/database.js';
import { PostgresUwpxStore } from '../../src/store/uwpx.js';
import { PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import { describeWithDatabases } from '../simulators/databases.js';

/** The same database, as it would answer before it takes over. */
async function asStandby(database: Database): Promise<Pick<Database, 'rows' | 'execute' | 'transaction'>> {
  await database.transaction(async (transaction) => {
    await transaction.script('CREATE SCHEMA IF NOT EXISTS standby');
    await transaction.script(
      'CREATE OR REPLACE FUNCTION standby.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$',
    );
  });
  const transaction = <Value>(work: (transaction: Transaction) => Promise<Value>): Promise<Value> =>
    database.transaction(async (inner) => {
      await inner.script('SET LOCAL search_path = standby, pg_catalog, public');
      return work(inner);
    });
  return {
    transaction,
    rows: (statement, values) => transaction((inner) => inner.rows(statement, values)),
    execute: (statement, values) => transaction((inner) => inner.execute(statement, values)),
  };
}

const refused = { name: 'StoreUnavailable', reason: 'refused' };

/** In a failover connections may lead to a standby that has not heard of the last registrations. */
describeWithDatabases('a standby that has not taken over yet', (fixture) => {
  test('does not say that a node is nobody’s, nor what was changed', async () => {
    const database = await fixture.open();
    const standby = await asStandby(database);
    const devices = new PostgresXmppDeviceStore(standby);
    await expect(devices.find(['n'])).rejects.toMatchObject(refused);
    await expect(devices.changesSince(0, 10)).rejects.toMatchObject(refused);
    await expect(devices.drawnRevision()).rejects.toMatchObject(refused);
    await expect(devices.load(() => undefined)).rejects.toMatchObject(refused);
    const secrets = new SecretKeeper(Buffer.alloc(32, 1), createRandomBytes());
    const options = { secrets, maxDevices: 10, clock: systemClock };
    await expect(
      new PostgresUwpxStore({ database: standby, ...options }).findTargets(['n']),
    ).rejects.toMatchObject(refused);

    expect(await new PostgresXmppDeviceStore(database).find(['n'])).toEqual([]);
    expect(await new PostgresUwpxStore({ database, ...options }).findTargets(['n', 'm'])).toEqual([]);
    expect(await new PostgresUwpxStore({ database, ...options }).findTargets([])).toEqual([]);
  });
});
