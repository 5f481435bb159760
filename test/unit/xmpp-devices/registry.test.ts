import { describe, expect, it } from 'vitest';
import { isSecret } from '../../../src/crypto/secret-keeper.js';
import { createLog } from '../../../src/telemetry/log.js';
import { eventually } from '../../simulators/eventually.js';
import { MemoryXmppStore, storeUnavailable } from '../../simulators/memory-xmpp-store.js';
import { hashOf, p2, registeredBy, serviceName, setUpProcess, tokenOf, v1, v1Key } from './support.js';

async function setUpLoaded(...given: Parameters<typeof setUpProcess>) {
  const process = setUpProcess(...given);
  await process.registry.load();
  return process;
}

describe('registering', () => {
  it('answers with node and secret when it is committed and in memory', async () => {
    const { registry, directory, store, clock } = await setUpLoaded();
    const { node, secret } = await registeredBy(registry.register(v1('my device'), 'token-1'));
    expect(node).toBe('my device');
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    const [known] = directory.find('my device');
    expect(known).toMatchObject({
      type: 'apns',
      token: 'token-1',
      accountDomain: 'example.org',
      registeredAtMs: clock.atMs,
      renewedAtMs: null,
    });
    expect(isSecret(secret, known?.secretHash ?? Buffer.alloc(32))).toBe(true);
    expect(store.living()).toHaveLength(1);
  });

  it('keeps no secret that can be read', async () => {
    const { registry, store } = await setUpLoaded();
    const { secret } = await registeredBy(registry.register(v1('n'), 'token'));
    const all = Buffer.concat(
      store.living().flatMap(({ device }) => [device.secretHash, device.sealedSecret]),
    );
    expect(all.includes(secret)).toBe(false);
    expect(all.includes(Buffer.from(secret, 'hex'))).toBe(false);
  });

  it('again tells the same secret and takes the new token', async () => {
    const { registry, directory, clock } = await setUpLoaded();
    const first = await registeredBy(registry.register(v1('n'), 'token-1'));
    clock.atMs += 1_000;
    expect(await registeredBy(registry.register(v1('n'), 'token-2'))).toEqual(first);
    expect(directory.byKey(v1Key('n'))).toMatchObject({
      token: 'token-2',
      registeredAtMs: clock.atMs - 1_000,
      renewedAtMs: clock.atMs,
    });
  });

  it('with another type begins anew', async () => {
    const { registry, directory } = await setUpLoaded();
    const first = await registeredBy(registry.register(v1('n'), 'token'));
    const second = await registeredBy(registry.register(v1('n', 'fcm'), 'token'));
    expect(second.secret).not.toBe(first.secret);
    expect(directory.byKey(v1Key('n'))).toMatchObject({ type: 'fcm', renewedAtMs: null });
  });

  it('of p2 tells the same node and secret, of each room its own', async () => {
    const { registry } = await setUpLoaded();
    const account = await registeredBy(registry.register(p2(hashOf('a')), 'token'));
    const room = await registeredBy(registry.register(p2(hashOf('a'), hashOf('b')), 'token'));
    expect(account.node).toMatch(/^[A-Za-z0-9+/]{12}$/);
    expect(account.secret).toMatch(/^[A-Za-z0-9+/]{24}$/);
    expect(room.node).not.toBe(account.node);
    expect(await registeredBy(registry.register(p2(hashOf('a')), 'token-2'))).toEqual(account);
    expect(await registeredBy(registry.register(p2(hashOf('a'), hashOf('b')), 'token'))).toEqual(room);
  });

  it('says at the start that secrets were sealed with another key, and nothing when they were not', async () => {
    const store = new MemoryXmppStore();
    const first = await setUpLoaded({ store });
    for (let i = 0; i < 150; i += 1) await registeredBy(first.registry.register(v1(`n${i}`), 'token'));
    const lines: unknown[] = [];
    const log = createLog(
      { level: 'error' },
      { write: (line) => void lines.push((JSON.parse(line) as Record<string, unknown>).unreadable) },
    );
    await setUpLoaded({ store, log });
    expect(lines).toEqual([]);
    await setUpLoaded({ store, log, key: Buffer.alloc(32, 8) });
    expect(lines).toEqual([100]);
  });

  it('replaces a secret that nobody can open any more, and the old one is right until then', async () => {
    const store = new MemoryXmppStore();
    const before = await setUpLoaded({ store });
    const first = await registeredBy(before.registry.register(v1('n'), 'token'));
    const after = await setUpLoaded({ store, key: Buffer.alloc(32, 8) });
    expect(isSecret(first.secret, after.directory.find('n')[0]?.secretHash ?? Buffer.alloc(32))).toBe(true);
    const second = await registeredBy(after.registry.register(v1('n'), 'token'));
    expect(second.secret).not.toBe(first.secret);
    expect(await registeredBy(after.registry.register(v1('n'), 'token'))).toEqual(second);
    expect(after.report.lines.filter((line) => line === 'secret replaced')).toHaveLength(1);
    expect(isSecret(second.secret, after.directory.find('n')[0]?.secretHash ?? Buffer.alloc(32))).toBe(true);
  });

  it('keeps the domain that it had, and takes one when it had none', async () => {
    const { registry, directory } = await setUpLoaded();
    await registeredBy(registry.register(v1('n', 'apns', null), 'token'));
    await registeredBy(registry.register(v1('n', 'apns', 'one.org'), 'token'));
    await registeredBy(registry.register(v1('n', 'apns', 'two.org'), 'token'));
    expect(directory.byKey(v1Key('n'))?.accountDomain).toBe('one.org');
  });

  it.each([
    ['a type that is not set up', 'sms'],
    ['a type without a notifier', 'orphan'],
    ['a name that every object has', 'constructor'],
  ])('refuses %s', async (_, type) => {
    const { registry, store } = await setUpLoaded();
    expect(await registry.register(v1('n', type), 'token')).toEqual({ kind: 'unknown-type' });
    expect(store.living()).toEqual([]);
  });

  it.each([
    ['no token', 'n', ''],
    ['a token of 1000 bytes', 'n', 'é'.repeat(500)],
    ['a zero byte in a token', 'n', 'a\0b'],
    ['half a surrogate pair in a token', 'n', 'a\ud800b'],
    ['a zero byte in a node', 'a\0b', 'token'],
    ['half a surrogate pair in a node', '\udc00', 'token'],
    ['a node without end', 'n'.repeat(5_000), 'token'],
    ['a token without end', 'n', 't'.repeat(5_000)],
  ])('refuses %s', async (_, node, token) => {
    const { registry, store } = await setUpLoaded();
    expect(await registry.register(v1(node), token)).toEqual({ kind: 'bad-token' });
    expect(await registry.register(p2(hashOf('a')), token)).toMatchObject(
      token === 'token' ? { kind: 'registered' } : { kind: 'bad-token' },
    );
    expect(store.calls.filter(({ name }) => name === 'register')).toHaveLength(token === 'token' ? 1 : 0);
  });

  it('takes tokens of 1 and of 999 bytes', async () => {
    const { registry, directory } = await setUpLoaded();
    for (const token of ['t', 'é'.repeat(499) + 'e']) {
      await registeredBy(registry.register(v1('n'), token));
      expect(directory.byKey(v1Key('n'))?.token).toBe(token);
    }
  });

  it('keeps what the notifier made of an address', async () => {
    const device = { serviceId: tokenOf('https://push.example/1'), serviceData: Buffer.from('keys') };
    const validate = (_: unknown, token: string) =>
      Promise.resolve(token.includes(device.serviceId) ? device : null);
    const { registry, directory } = await setUpLoaded({ validate });
    const register = (token: string) => registry.register(v1('n', 'webpush'), token);
    await registeredBy(register(`{"endpoint":"${device.serviceId}"}`));
    expect(directory.byKey(v1Key('n'))).toMatchObject({
      token: device.serviceId,
      serviceData: device.serviceData,
    });
    expect(await register('https://other.example')).toEqual({ kind: 'bad-token' });
  });
});

describe('a table that does not answer', () => {
  it('is answered as unavailable, with memory as it was; what took place is found by the poll', async () => {
    const { registry, directory, store, report } = await setUpLoaded();
    store.faults.push({ error: storeUnavailable(), tookPlace: true });
    expect(await registry.register(v1('n'), 'token')).toEqual({ kind: 'unavailable' });
    expect(directory.size).toBe(0);
    expect(report.lines).toEqual(['store failed register']);
    await registry.sync();
    expect(directory.size).toBe(1);
    store.fault = { error: storeUnavailable() };
    expect(await registry.unregister(v1('n'))).toEqual({ kind: 'unavailable' });
    expect(directory.size).toBe(1);
  });

  it('is waited for so long and no longer, and what it does later is taken over', async () => {
    const { registry, directory, store } = await setUpLoaded({ limits: { writePatienceMs: 20 } });
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    store.pace = () => held;
    expect(await registry.register(v1('n'), 'token')).toEqual({ kind: 'unavailable' });
    expect([registry.waiting, directory.size]).toEqual([1, 0]);
    goOn();
    await eventually(() => registry.waiting === 0 && directory.size === 1);
  });

  it('holds no more than so many requests, and of one device fewer', async () => {
    const { registry, store } = await setUpLoaded({ limits: { maxWaiting: 5, maxWaitingPerDevice: 3 } });
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    store.pace = () => held;
    const nodes = ['a', 'a', 'a', 'a', 'b', 'c', 'd'];
    const answers = nodes.map((node) => registry.register(v1(node), 'token'));
    await expect(answers[3]).resolves.toEqual({ kind: 'unavailable' });
    await expect(answers[6]).resolves.toEqual({ kind: 'unavailable' });
    goOn();
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    expect(kinds).toEqual([
      ...Array<string>(3).fill('registered'),
      'unavailable',
      'registered',
      'registered',
      'unavailable',
    ]);
    expect(registry.waiting).toBe(0);
  });

  it('does not stop a later attempt to load', async () => {
    const store = new MemoryXmppStore();
    const { registry } = await setUpLoaded({ store });
    for (const node of ['a', 'b', 'c', 'd']) await registeredBy(registry.register(v1(node), 'token'));
    const second = setUpProcess({ store });
    expect(await second.registry.register(v1('a'), 'token')).toEqual({ kind: 'unavailable' });
    let pages = 0;
    store.pace = async (name) => {
      if (name === 'page' && (pages += 1) === 4) store.faults.push({ error: storeUnavailable() });
      return Promise.resolve();
    };
    store.pageRows = 2;
    const failing = second.registry.load();
    store.faults.push({ error: storeUnavailable() });
    await expect(failing).rejects.toMatchObject({ name: 'StoreUnavailable' });
    expect(await second.registry.load()).toBe(4);
  });

  it('a fault of the token check is answered as unavailable', async () => {
    const { registry } = await setUpLoaded({ validate: () => Promise.reject(new Error('a bug')) });
    expect(await registry.register(v1('n'), 'token')).toEqual({ kind: 'unavailable' });
  });
});

describe('limits', () => {
  it('of devices in all: renewals are taken, new ones are not', async () => {
    const { registry } = await setUpLoaded({ limits: { maxDevices: 2 } });
    for (const node of ['a', 'b']) await registeredBy(registry.register(v1(node), 'token'));
    expect(await registry.register(v1('c'), 'token')).toEqual({ kind: 'unavailable' });
    await registeredBy(registry.register(v1('a'), 'another'));
    await registry.unregister(v1('b'));
    await registeredBy(registry.register(v1('c'), 'token'));
  });

  it('of devices of one domain', async () => {
    const { registry } = await setUpLoaded({ limits: { maxDevicesPerDomain: 1 } });
    await registeredBy(registry.register(v1('a', 'apns', 'one.org'), 'token'));
    expect(await registry.register(v1('b', 'apns', 'one.org'), 'token')).toEqual({ kind: 'rate-limited' });
    await registeredBy(registry.register(v1('b', 'apns', 'two.org'), 'token'));
    await registeredBy(registry.register(v1('c', 'apns', null), 'token'));
    await registeredBy(registry.register(v1('d', 'apns', null), 'token'));
  });

  it('of memory: nothing that makes it grow', async () => {
    const { registry, directory } = await setUpLoaded({ limits: { maxDirectoryBytes: 500 } });
    for (const node of ['a', 'b']) await registeredBy(registry.register(v1(node), 'token'));
    expect(directory.bytes).toBeGreaterThan(500);
    expect(await registry.register(v1('c'), 'token')).toEqual({ kind: 'unavailable' });
    expect(await registry.register(v1('a'), 'longer token')).toEqual({ kind: 'unavailable' });
    await registeredBy(registry.register(v1('a'), 'nekot'));
  });

  it('of requests of one domain in a minute, counting both kinds', async () => {
    const { registry, clock } = await setUpLoaded({ limits: { requestsPerMinutePerDomain: 2 } });
    await registeredBy(registry.register(v1('a'), 'token'));
    expect(await registry.unregister(v1('a'))).toMatchObject({ kind: 'unregistered' });
    expect(await registry.register(v1('a'), 'token')).toEqual({ kind: 'rate-limited' });
    expect(await registry.unregister(v1('a'))).toEqual({ kind: 'rate-limited' });
    await registeredBy(registry.register(v1('b', 'apns', 'two.org'), 'token'));
    for (let n = 0; n < 5; n += 1) await registeredBy(registry.register(v1(`h${n}`, 'apns', null), 'token'));
    clock.atMs += 30_000;
    await registeredBy(registry.register(v1('a'), 'token'));
  });
});

describe('unregistering', () => {
  it('tells the secret that the record had, once', async () => {
    const { registry, directory } = await setUpLoaded();
    const { secret } = await registeredBy(registry.register(v1('n'), 'token'));
    expect(await registry.unregister(v1('n', 'fcm'))).toEqual({ kind: 'not-found' });
    expect(directory.size).toBe(1);
    expect(await registry.unregister(v1('n'))).toEqual({ kind: 'unregistered', secret });
    expect(directory.size).toBe(0);
    expect(await registry.unregister(v1('n'))).toEqual({ kind: 'not-found' });
    const again = await registeredBy(registry.register(v1('n'), 'token'));
    expect(again.secret).not.toBe(secret);
  });

  it('tells none that it cannot open', async () => {
    const store = new MemoryXmppStore();
    const before = await setUpLoaded({ store });
    await registeredBy(before.registry.register(v1('n'), 'token'));
    const after = await setUpLoaded({ store, key: Buffer.alloc(32, 8) });
    expect(await after.registry.unregister(v1('n'))).toEqual({ kind: 'unregistered', secret: null });
  });

  it('of p2 removes a device of its own service alone, and of a room no account', async () => {
    const { registry, directory } = await setUpLoaded();
    await registeredBy(registry.register(p2(hashOf('a')), 'token'));
    expect(await registry.unregister(p2(hashOf('a'), '', { service: 'apns' }))).toEqual({
      kind: 'not-found',
    });
    expect(await registry.unregister(p2(hashOf('a'), hashOf('b')))).toEqual({ kind: 'not-found' });
    expect(directory.size).toBe(1);
    expect(await registry.unregister(p2(hashOf('a')))).toMatchObject({ kind: 'unregistered' });
  });

  it.each(['a\0b', '\ud800', ''])('finds nothing under a node that cannot be: %j', async (node) => {
    const { registry, store } = await setUpLoaded();
    expect(await registry.unregister(v1(node))).toEqual({ kind: 'not-found' });
    expect(await registry.unregister(v1('n', node))).toEqual({ kind: 'not-found' });
    expect(store.calls.filter(({ name }) => name === 'unregister')).toEqual([]);
  });

  it('still removes a device of a type that is no longer set up', async () => {
    const store = new MemoryXmppStore();
    const before = await setUpLoaded({ store });
    await registeredBy(before.registry.register(v1('n'), 'token'));
    const after = await setUpLoaded({ store, types: new Map() });
    expect(await after.registry.unregister(v1('n'))).toMatchObject({ kind: 'unregistered' });
  });

  it('in one packet with registering takes place after it, however long the token is looked at', async () => {
    const device = { serviceId: tokenOf('https://push.example/1'), serviceData: null };
    const validate = () => new Promise<typeof device>((resolve) => void setTimeout(() => resolve(device), 5));
    const { registry, directory } = await setUpLoaded({ validate });
    const answers = [registry.register(v1('n'), 'token'), registry.unregister(v1('n'))];
    expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(['registered', 'unregistered']);
    expect(directory.size).toBe(0);
  });
});

describe('several processes on one table', () => {
  it('hear of each other by the poll, page by page', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    const two = await setUpLoaded({ store, limits: { pollRows: 2 } });
    for (const node of ['a', 'b', 'c', 'd', 'e'])
      await registeredBy(one.registry.register(v1(node), 'token'));
    await one.registry.unregister(v1('c'));
    await two.registry.sync();
    expect(two.directory.nodes(null, 10)).toEqual(['a', 'b', 'd', 'e']);
    expect(two.directory.revision).toBe(6);
    const calls = store.calls.length;
    await two.registry.sync();
    // For what was changed, and whether the database was put back.
    expect(store.calls.slice(calls).map(({ name }) => name)).toEqual(['changes', 'drawn']);
  });

  it('poll once at a time, and go on after a failure', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    const two = await setUpLoaded({ store });
    await registeredBy(one.registry.register(v1('a'), 'token'));
    store.fault = { error: storeUnavailable() };
    await two.registry.sync();
    store.fault = { error: new TypeError('a bug') };
    await two.registry.sync();
    store.fault = null;
    const before = store.calls.length;
    await Promise.all([two.registry.sync(), two.registry.sync(), two.registry.sync()]);
    expect(store.calls.length).toBe(before + 1);
    expect(two.directory.size).toBe(1);
    expect(two.report.lines).toEqual(['store failed sync', 'store failed sync']);
  });

  it('tell a client the same secret, wherever it asks', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    const two = await setUpLoaded({ store });
    const first = await registeredBy(one.registry.register(p2(hashOf('a')), 'token'));
    expect(await registeredBy(two.registry.register(p2(hashOf('a')), 'token'))).toEqual(first);
  });

  it('look up in the table what they have not heard of yet', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    const two = await setUpLoaded({ store });
    await registeredBy(one.registry.register(v1('a'), 'token'));
    await two.registry.lookUp(['a', 'b']);
    expect(two.directory.find('a')).toHaveLength(1);
    store.fault = { error: storeUnavailable() };
    await expect(two.registry.lookUp(['c'])).rejects.toMatchObject({ name: 'StoreUnavailable' });
  });
});

describe('dead tokens', () => {
  const apns = serviceName('apns');

  it('end every device with the token whose type goes to the service', async () => {
    const { registry, directory, report, clock } = await setUpLoaded();
    await registeredBy(registry.register(v1('a'), 'token'));
    await registeredBy(registry.register(v1('b', 'ios'), 'token'));
    await registeredBy(registry.register(v1('c', 'fcm'), 'token'));
    await registeredBy(registry.register(v1('d'), 'another'));
    expect([registry.countOf(apns), registry.countOf(serviceName('firebase'))]).toEqual([3, 1]);
    const holders = registry.holdersOf(apns, tokenOf('token'));
    expect(holders).toHaveLength(2);
    const died = await Promise.all(holders.map((holder) => holder.tokenDied(clock.atMs + 1)));
    expect(died).toEqual([true, true]);
    expect(directory.nodes(null, 10)).toEqual(['c', 'd']);
    expect(report.lines.filter((line) => line === 'died')).toHaveLength(2);
  });

  it('leave a device that was registered or renewed at that time or later', async () => {
    const { registry, directory, clock } = await setUpLoaded();
    await registeredBy(registry.register(v1('n'), 'token'));
    clock.atMs += 1_000;
    await registeredBy(registry.register(v1('n'), 'token'));
    const [holder] = registry.holdersOf(apns, tokenOf('token'));
    expect(await holder?.tokenDied(clock.atMs)).toBe(false);
    expect(directory.size).toBe(1);
  });

  it('leave a device that has another token by now, of which this process has not heard', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    await registeredBy(one.registry.register(v1('n'), 'token'));
    const two = await setUpLoaded({ store });
    const { secret } = await registeredBy(one.registry.register(v1('n'), 'token-2'));
    const [holder] = two.registry.holdersOf(apns, tokenOf('token'));
    expect(await holder?.tokenDied(two.clock.atMs + 1)).toBe(false);
    const [known] = two.directory.find('n');
    expect(known?.token).toBe('token-2');
    expect(isSecret(secret, known?.secretHash ?? Buffer.alloc(32))).toBe(true);
  });

  it('of a device that another process removed: it is gone', async () => {
    const store = new MemoryXmppStore();
    const one = await setUpLoaded({ store });
    await registeredBy(one.registry.register(v1('n'), 'token'));
    const two = await setUpLoaded({ store });
    await one.registry.unregister(v1('n'));
    const [holder] = two.registry.holdersOf(apns, tokenOf('token'));
    expect(await holder?.tokenDied(two.clock.atMs + 1)).toBe(true);
  });

  it('change nothing while the database is away', async () => {
    const { registry, directory, store, clock } = await setUpLoaded();
    await registeredBy(registry.register(v1('n'), 'token'));
    const [holder] = registry.holdersOf(apns, tokenOf('token'));
    store.fault = { error: storeUnavailable() };
    await expect(holder?.tokenDied(clock.atMs + 1)).rejects.toMatchObject({ name: 'StoreUnavailable' });
    expect(directory.size).toBe(1);
  });

  it('may be brought back, with the secret that the client has', async () => {
    const { registry, directory, clock } = await setUpLoaded();
    const first = await registeredBy(registry.register(v1('n'), 'token'));
    await registry.holdersOf(apns, tokenOf('token'))[0]?.tokenDied(clock.atMs + 1);
    expect(await registry.restore(v1Key('n'))).toBe(true);
    expect(await registry.restore(v1Key('n'))).toBe(false);
    expect(directory.size).toBe(1);
    expect(await registeredBy(registry.register(v1('n'), 'token'))).toEqual(first);
  });

  it('that register again are who they were', async () => {
    const { registry, clock } = await setUpLoaded();
    const first = await registeredBy(registry.register(v1('n'), 'token'));
    await registry.holdersOf(apns, tokenOf('token'))[0]?.tokenDied(clock.atMs + 1);
    expect(await registeredBy(registry.register(v1('n'), 'token-2'))).toEqual(first);
  });
});

describe('notes of pushes', () => {
  it('are in memory at once, in the table when they are flushed, and again after a failure', async () => {
    const { registry, directory, store, clock } = await setUpLoaded({ limits: { noteRows: 2 } });
    const nodes = ['a', 'b', 'c', 'd', 'e'];
    for (const node of nodes) await registeredBy(registry.register(v1(node), 'token'));
    for (const node of nodes.slice(0, 4)) registry.note(v1Key(node), 'delivered', clock.atMs);
    registry.note(v1Key('a'), 'given-up', clock.atMs + 1);
    registry.note(v1Key('e'), 'stored', clock.atMs);
    registry.note(v1Key('e'), 'superseded', clock.atMs);
    expect(directory.byKey(v1Key('a'))).toMatchObject({
      lastPushAtMs: clock.atMs,
      lastErrorAtMs: clock.atMs + 1,
    });
    store.faults.push({ error: storeUnavailable() });
    await registry.flushNotes();
    await Promise.all([registry.flushNotes(), registry.flushNotes()]);
    expect(store.calls.filter(({ name }) => name === 'note')).toHaveLength(3);
    expect(store.living().map(({ device }) => [device.node, device.lastPushAtMs])).toEqual([
      ['a', clock.atMs],
      ['b', clock.atMs],
      ['c', clock.atMs],
      ['d', clock.atMs],
      ['e', null],
    ]);
    const calls = store.calls.length;
    await registry.flushNotes();
    expect(store.calls.length).toBe(calls);
  });

  it('are written at the end', async () => {
    const { registry, store, clock } = await setUpLoaded();
    await registeredBy(registry.register(v1('n'), 'token'));
    registry.note(v1Key('n'), 'delivered', clock.atMs);
    const last = registry.register(v1('last'), 'token');
    await registry.close();
    expect((await last).kind).toBe('registered');
    expect(store.living()[0]?.device.lastPushAtMs).toBe(clock.atMs);
    expect(await registry.register(v1('n'), 'token')).toEqual({ kind: 'unavailable' });
    expect(await registry.unregister(v1('n'))).toEqual({ kind: 'unavailable' });
    const calls = store.calls.length;
    await registry.sync();
    expect(store.calls.length).toBe(calls);
  });
});
