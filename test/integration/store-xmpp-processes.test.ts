import { expect, test } from 'vitest';
import { parseAnyServiceId, type ServiceId } from '../../src/domain/ids.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { StoreUnavailable } from '../../src/store/errors.js';
import { migrate } from '../../src/store/migrate.js';
import { statement } from '../../src/store/statement.js';
import { XmppDeviceImport } from '../../src/store/xmpp-devices-import.js';
import { defaultXmppDeviceWriter, PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import {
  keyText,
  type DeviceKey,
  type StoredDevice,
  type XmppDevice,
} from '../../src/xmpp-devices/device.js';
import type { DeviceChange } from '../../src/xmpp-devices/port.js';
import { databaseOptions, describeWithDatabases, describeWithPostgres } from '../simulators/databases.js';

const SEED = 20_240_501;

/** The same numbers at every run: 0 to below `bound`. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
}

function tokenOf(text: string): ServiceId {
  const token = parseAnyServiceId(text);
  if (token === null) throw new Error('not a token');
  return token;
}

const deviceOf = (key: DeviceKey, changes: Partial<XmppDevice> = {}): XmppDevice => ({
  key,
  node: key.kind === 'v1' ? key.node : `node of ${key.device}`,
  type: 'apns',
  token: tokenOf('token'),
  serviceData: null,
  secretHash: Buffer.alloc(32, 1),
  sealedSecret: Buffer.alloc(104, 2),
  accountDomain: null,
  registeredAtMs: 1000,
  renewedAtMs: null,
  lastPushAtMs: null,
  lastErrorAtMs: null,
  ...changes,
});
const v1 = (node: string): DeviceKey => ({ kind: 'v1', node });

function anyChange(pick: (bound: number) => number): DeviceChange {
  const key = v1(`node ${pick(40)}`);
  const nowMs = 1000 + pick(1000);
  const token = tokenOf(`token ${pick(2)}`);
  const type = pick(4) === 0 ? 'fcm' : 'apns';
  switch (pick(6)) {
    case 0:
      return { kind: 'unregister', key, type, nowMs };
    case 1:
      return { kind: 'token-died', key, token, sinceMs: nowMs + 500, nowMs };
    case 2:
      return { kind: 'restore', key };
    default:
      return { kind: 'register', offer: deviceOf(key, { type, token }), replacesSecret: false, nowMs };
  }
}

/** What another process knows: polls like one, and never forgets what it was told. */
class Follower {
  readonly copy = new Map<string, StoredDevice>();
  #revision = 0;
  readonly unordered: number[] = [];

  constructor(private readonly store: PostgresXmppDeviceStore) {}

  /** How many rows. */
  async poll(): Promise<number> {
    const rows = await this.store.changesSince(this.#revision, 50);
    for (const stored of rows) {
      if (stored.revision <= this.#revision) this.unordered.push(stored.revision);
      this.#revision = stored.revision;
      this.copy.set(keyText(stored.device.key), stored);
    }
    return rows.length;
  }
}

describeWithPostgres('processes that share the devices of XMPP users', (postgres) => {
  const withDatabases = async (
    count: number,
    work: (databases: Database[]) => Promise<void>,
  ): Promise<void> => {
    const url = await postgres().createDatabase();
    const databases = await Promise.all(
      Array.from({ length: count }, () => openDatabase(databaseOptions(url, ''))),
    );
    try {
      const [first] = databases;
      if (first !== undefined) await migrate(first);
      await work(databases);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  };

  test('hear of every change of the others, in one order', async () => {
    await withDatabases(3, async ([one, two, three]) => {
      if (!one || !two || !three) throw new Error('three databases');
      // More than one statement at a time, so that the order is not that of one queue.
      const writer = { ...defaultXmppDeviceWriter, maxRows: 7, maxInFlight: 3, gatherMs: 0 };
      const stores = [one, two].map((database) => new PostgresXmppDeviceStore(database, writer));
      const follower = new Follower(new PostgresXmppDeviceStore(three));
      const pick = numbers(SEED);
      let writing = true;
      const polled = (async () => {
        while (writing) await follower.poll();
        while ((await follower.poll()) > 0);
      })();
      const answers = new Map<number, StoredDevice>();
      const write = async (store: PostgresXmppDeviceStore): Promise<void> => {
        for (let change = 0; change < 100; change += 1) {
          const stored = await store.change(anyChange(pick));
          if (stored === null) continue;
          // Nobody else's.
          expect(answers.has(stored.revision)).toBe(false);
          answers.set(stored.revision, stored);
        }
      };
      await Promise.all(stores.flatMap((store) => Array.from({ length: 12 }, () => write(store))));
      writing = false;
      await polled;
      expect(follower.unordered).toEqual([]);
      const table = await new PostgresXmppDeviceStore(one).changesSince(0, 1000);
      expect([...follower.copy.values()].toSorted((a, b) => a.revision - b.revision)).toEqual(table);
      // The answer to the last change of each device is what all the others see of it.
      for (const stored of table) expect(answers.get(stored.revision)).toEqual(stored);
      expect(answers.size).toBeGreaterThan(800);
    });
  });

  test('agree on the secret when both register a device at once', async () => {
    await withDatabases(2, async (databases) => {
      const stores = databases.map((database) => new PostgresXmppDeviceStore(database));
      for (let round = 0; round < 20; round += 1) {
        const answers = await Promise.all(
          stores.map((store, index) =>
            store.change({
              kind: 'register',
              offer: deviceOf(v1(`${round}`), { sealedSecret: Buffer.from(`secret ${index}`) }),
              replacesSecret: false,
              nowMs: 1000,
            }),
          ),
        );
        const [first, second] = answers.map((answer) => answer?.device.sealedSecret.toString());
        expect(first).toBe(second);
      }
    });
  });

  test('wait for one that holds the lock, for as long as a statement may take', async () => {
    await withDatabases(1, async ([database]) => {
      const url = await postgres().createDatabase();
      if (!database) throw new Error('a database');
      const impatient = await openDatabase({ ...databaseOptions(url, ''), statementTimeoutMs: 200 });
      const other = await openDatabase(databaseOptions(url, ''));
      try {
        await migrate(other);
        const store = new PostgresXmppDeviceStore(impatient);
        const change: DeviceChange = {
          kind: 'register',
          offer: deviceOf(v1('a')),
          replacesSecret: false,
          nowMs: 1000,
        };
        let release = (): void => {};
        const released = new Promise<void>((resolve) => (release = resolve));
        let taken = (): void => {};
        const isTaken = new Promise<void>((resolve) => (taken = resolve));
        const held = other.transaction(async (transaction) => {
          await transaction.rows(
            statement('lock_of_test', `SELECT pg_advisory_xact_lock(${0x7761_6767_6c65_7864n})`),
          );
          taken();
          await released;
        });
        await isTaken;
        await expect(store.change(change)).rejects.toMatchObject({
          name: 'StoreUnavailable',
          reason: 'timeout',
        });
        expect(await store.find(['a'])).toEqual([]);
        release();
        await held;
        expect((await store.change(change))?.device.renewedAtMs).toBeNull();
      } finally {
        await Promise.all([impatient.close(), other.close()]);
      }
    });
  });

  test('lose nothing of what was answered when the server is killed, and go on when it is back', async () => {
    await withDatabases(1, async ([database]) => {
      if (!database) throw new Error('a database');
      const store = new PostgresXmppDeviceStore(database);
      const answered: StoredDevice[] = [];
      const failures: unknown[] = [];
      let node = 0;
      let isUp = true;
      const write = async (): Promise<void> => {
        while (isUp) {
          const key = v1(`${(node += 1)}`);
          try {
            const stored = await store.change({
              kind: 'register',
              offer: deviceOf(key),
              replacesSecret: false,
              nowMs: 1,
            });
            if (stored !== null) answered.push(stored);
          } catch (error) {
            failures.push(error);
            return;
          }
        }
      };
      const writers = Array.from({ length: 20 }, write);
      while (answered.length < 200) await new Promise((resolve) => setImmediate(resolve));
      await postgres().kill9();
      isUp = false;
      await Promise.all(writers);
      for (const failure of failures) expect(failure).toBeInstanceOf(StoreUnavailable);
      await postgres().start();
      const rows = new Map((await store.changesSince(0, 100_000)).map((row) => [row.device.node, row]));
      for (const stored of answered) expect(rows.get(stored.device.node)).toEqual(stored);
      const next = await store.change({
        kind: 'register',
        offer: deviceOf(v1('next')),
        replacesSecret: false,
        nowMs: 1,
      });
      expect(next?.revision).toBeGreaterThan(Math.max(...[...rows.values()].map(({ revision }) => revision)));
    });
  });

  test('load a hundred thousand devices', async () => {
    await withDatabases(1, async ([database]) => {
      if (!database) throw new Error('a database');
      const devices = Array.from({ length: 100_000 }, (_, index) => deviceOf(v1(`node ${index}`)));
      const importer = new XmppDeviceImport(database, false);
      for (let start = 0; start < devices.length; start += 5000) {
        expect(await importer.devices(devices.slice(start, start + 5000))).toEqual({
          added: 5000,
          changed: 0,
          newerHere: 0,
        });
      }
      const nodes = new Set<string>();
      let turns = 0;
      const timer = setInterval(() => (turns += 1), 1);
      const revision = await new PostgresXmppDeviceStore(database).load((page) => {
        for (const { device } of page) nodes.add(device.node);
      });
      clearInterval(timer);
      expect(nodes.size).toBe(100_000);
      expect(revision).toBe(100_000);
      // Others had their turn about once a page.
      expect(turns).toBeGreaterThan(50);
    });
  });
});

describeWithDatabases("another server's devices of XMPP users", (fixture) => {
  test('are taken over once, and never in the place of something newer', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    const importer = new XmppDeviceImport(database, false);
    const p2: DeviceKey = { kind: 'p2', device: 'd', channel: 'c' };
    const first = [
      deviceOf(v1('a'), {
        renewedAtMs: 2000,
        lastPushAtMs: 2500,
        lastErrorAtMs: 2600,
        serviceData: Buffer.from('x'),
      }),
      deviceOf(v1('b'), { accountDomain: 'a.example' }),
      deviceOf(p2),
    ];
    const none = { added: 0, changed: 0, newerHere: 0 };
    expect(await new XmppDeviceImport(database, true).devices(first)).toEqual({ ...none, added: 3 });
    expect(await store.changesSince(0, 10)).toEqual([]);
    expect(await importer.devices(first)).toEqual({ ...none, added: 3 });
    expect((await store.changesSince(0, 10)).map(({ device }) => device)).toEqual(first);
    expect(await importer.devices(first)).toEqual(none);
    expect(await store.changesSince(3, 10)).toEqual([]);

    // Meanwhile: one registered here, one said goodbye here, and one was called dead; there, two were renewed.
    await store.change({ kind: 'register', offer: deviceOf(v1('a')), replacesSecret: false, nowMs: 5000 });
    await store.change({ kind: 'unregister', key: v1('b'), type: 'apns', nowMs: 5000 });
    await store.change({ kind: 'token-died', key: p2, token: tokenOf('token'), sinceMs: 4000, nowMs: 4000 });
    const before = await store.load(() => {});
    const second = [
      deviceOf(v1('a'), { renewedAtMs: 4999 }),
      deviceOf(v1('b'), { renewedAtMs: 4999 }),
      deviceOf(p2, { renewedAtMs: 4001, token: tokenOf('renewed') }),
      deviceOf(v1('c')),
    ];
    const counts = { added: 1, changed: 1, newerHere: 2 };
    expect(await new XmppDeviceImport(database, true).devices(second)).toEqual(counts);
    expect(await importer.devices(second)).toEqual(counts);
    expect(
      (await store.changesSince(before, 10)).map(({ device, removed }) => [
        device.token,
        device.node,
        removed,
      ]),
    ).toEqual([
      ['renewed', 'node of d', null],
      ['token', 'c', null],
    ]);
    expect((await store.find(['a', 'b'])).map(({ device }) => device.renewedAtMs)).toEqual([5000]);
    expect(await importer.devices([])).toEqual(none);
  });
});
