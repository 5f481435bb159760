import { expect, test } from 'vitest';
import { SecretKeeper } from '../../src/crypto/secret-keeper.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { parseAnyServiceId } from '../../src/domain/ids.js';
import type { Database } from '../../src/store/database.js';
import { PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import { silentLog } from '../../src/telemetry/log.js';
import { createXmppDeletedDevices, type XmppDeletedDevices } from '../../src/xmpp-devices/deleted-devices.js';
import { XmppDirectory } from '../../src/xmpp-devices/directory.js';
import { defaultXmppDeviceLimits } from '../../src/xmpp-devices/limits.js';
import { XmppRegistry } from '../../src/xmpp-devices/registry.js';
import type { DeviceTarget } from '../../src/xmpp/port.js';
import { describeWithDatabases } from '../simulators/databases.js';
import {
  DevicesLog,
  exampleTypes,
  p2,
  p2Key,
  registeredBy,
  serviceName,
  tokenOf,
  v1,
  v1Key,
} from '../unit/xmpp-devices/support.js';

const START_MS = 1_700_000_000_000;
const everything = { service: null, removedSinceMs: 0, dryRun: false };
const KEY = Buffer.alloc(32, 7);

/** One of the processes on a database, as far as devices go. */
function processOn(database: Database, types = exampleTypes) {
  const clock = { atMs: START_MS, nowMs: () => clock.atMs };
  const randomBytes = createRandomBytes();
  const directory = new XmppDirectory();
  const report = new DevicesLog();
  const store = new PostgresXmppDeviceStore(database);
  const registry = new XmppRegistry({
    store,
    directory,
    secrets: new SecretKeeper(KEY, randomBytes),
    types,
    validate(_, token) {
      const serviceId = parseAnyServiceId(token);
      return Promise.resolve(serviceId === null ? null : { serviceId, serviceData: null });
    },
    clock,
    randomBytes,
    limits: defaultXmppDeviceLimits,
    report,
    log: silentLog(),
  });
  const running = createXmppDeletedDevices({ store, types: types.values(), registry });
  /** What the command does where no server answers. */
  const resting = createXmppDeletedDevices({ store, types: types.values(), registry: null });
  /** The provider's word on every device of a token, whatever its service. */
  async function die(token: string): Promise<void> {
    const services = [...new Set([...types.values()].map(({ service }) => service))];
    const holders = services.flatMap((service) => registry.holdersOf(service, tokenOf(token)));
    expect(holders).not.toEqual([]);
    for (const holder of holders) expect(await holder.tokenDied(clock.atMs + 1)).toBe(true);
  }
  const nodes = (): string[] => [...directory.nodes(null, 10_000)].sort();
  return { clock, directory, report, store, registry, running, resting, die, nodes };
}

type Process = ReturnType<typeof processOn>;

async function setUp(database: Database, devices: readonly (readonly [DeviceTarget, string])[]) {
  const process = processOn(database);
  await process.registry.load();
  const known: { readonly node: string; readonly secret: string }[] = [];
  for (const [target, token] of devices)
    known.push(await registeredBy(process.registry.register(target, token)));
  return { process, known };
}

async function allDie(process: Process, tokens: readonly string[]): Promise<void> {
  for (const token of tokens) await process.die(token);
}

describeWithDatabases('dead devices of XMPP users', (fixture) => {
  test.each(['running', 'resting'] as const)('come back to a server that is %s', async (kind) => {
    const database = await fixture.open();
    const { process, known } = await setUp(database, [
      [v1('a'), 'token a'],
      [v1('b', 'fcm'), 'token b'],
      [v1('c', 'ios'), 'token c'],
      [p2('device', 'room'), 'token d'],
      [v1('living'), 'token e'],
    ]);
    const [a, , , d] = known;
    await allDie(process, ['token a', 'token b']);
    process.clock.atMs += 1000;
    await allDie(process, ['token c', 'token d']);
    const { directory } = process;
    const deleted: XmppDeletedDevices = process[kind];
    /** What is in the table alone comes with the poll. */
    const poll = async (): Promise<void> => (kind === 'resting' ? process.registry.sync() : undefined);

    expect(await deleted.count()).toEqual([
      { service: 'apns', devices: 2 },
      { service: 'firebase', devices: 2 },
    ]);
    for (const dryRun of [true, false]) {
      expect(await deleted.undelete({ ...everything, service: 'nobody', dryRun })).toBe(0);
      expect(await deleted.undelete({ ...everything, removedSinceMs: START_MS + 1001, dryRun })).toBe(0);
    }
    const since = { service: 'apns', removedSinceMs: START_MS + 1000 };
    expect(await deleted.undelete({ ...since, dryRun: true })).toBe(1);
    await poll();
    expect(process.nodes()).toEqual(['living']);
    expect(await deleted.undelete({ ...since, dryRun: false })).toBe(1);
    await poll();
    expect(process.nodes()).toEqual(['c', 'living']);
    expect(await deleted.undelete(everything)).toBe(3);
    await poll();
    expect(directory.size).toBe(5);
    expect(directory.byKey(v1Key('a'))).toMatchObject({ node: 'a', token: 'token a', type: 'apns' });
    expect(directory.byKey(p2Key('device', 'room'))).toMatchObject({ node: d?.node, token: 'token d' });
    expect(await deleted.count()).toEqual([]);
    expect(await deleted.undelete(everything)).toBe(0);
    // With the secret that their server has.
    expect(await registeredBy(process.registry.register(v1('a'), 'token a'))).toEqual(a);
    expect(process.report.lines.filter((line) => line === 'restored')).toHaveLength(
      kind === 'running' ? 4 : 0,
    );
  });

  test('come back to every process on the database, and after a restart', async () => {
    const database = await fixture.open();
    const { process } = await setUp(database, [[v1('a'), 'token a']]);
    const other = processOn(database);
    await other.registry.load();
    await process.die('token a');
    await other.registry.sync();
    expect(other.nodes()).toEqual([]);
    expect(await process.running.undelete(everything)).toBe(1);
    await other.registry.sync();
    expect([process.nodes(), other.nodes()]).toEqual([['a'], ['a']]);
    const next = processOn(database);
    expect(await next.registry.load()).toBe(1);
  });

  test('stay away when they have registered anew or left, or their type is no longer set up', async () => {
    const database = await fixture.open();
    const { process } = await setUp(database, [
      [v1('anew'), 'token a'],
      [v1('left'), 'token b'],
      [v1('hook', 'webpush'), 'token c'],
      [v1('still'), 'token d'],
    ]);
    await allDie(process, ['token a', 'token b', 'token c', 'token d']);
    await registeredBy(process.registry.register(v1('anew'), 'another token'));
    await registeredBy(process.registry.register(v1('left'), 'token b'));
    await process.registry.unregister(v1('left'));
    const types = new Map([...exampleTypes].filter(([name]) => name !== 'webpush'));
    const fewer = processOn(database, types);
    expect(await fewer.running.count()).toEqual([{ service: 'apns', devices: 1 }]);
    expect(await fewer.running.undelete(everything)).toBe(1);
    await process.registry.sync();
    expect(process.nodes()).toEqual(['anew', 'still']);
    expect(process.directory.byKey(v1Key('anew'))?.token).toBe('another token');
    expect(await process.running.count()).toEqual([{ service: serviceName('webpush'), devices: 1 }]);
  });

  test('come back all when they are more than a page, also while two commands are at it', async () => {
    const database = await fixture.open();
    const targets = Array.from({ length: 450 }, (_, n) => v1(`n${n}`));
    const process = processOn(database);
    await process.registry.load();
    await Promise.all(targets.map((target) => process.registry.register(target, 'one token')));
    const holders = process.registry.holdersOf(serviceName('apns'), tokenOf('one token'));
    await Promise.all(holders.map((holder) => holder.tokenDied(START_MS + 1)));
    expect(process.directory.size).toBe(0);
    const came = await Promise.all([
      process.running.undelete(everything),
      process.resting.undelete(everything),
    ]);
    expect(came[0] + came[1]).toBe(450);
    await process.registry.sync();
    expect(process.directory.size).toBe(450);
    expect(await process.running.count()).toEqual([]);
  });

  test('are forgotten when their time is over', async () => {
    const database = await fixture.open();
    const { process } = await setUp(database, [[v1('a'), 'token a']]);
    await process.die('token a');
    expect(await process.store.dropRemoved('dead', START_MS + 1)).toBe(1);
    expect(await process.running.count()).toEqual([]);
    expect(await process.running.undelete(everything)).toBe(0);
  });
});
