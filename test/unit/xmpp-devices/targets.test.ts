import { describe, expect, it } from 'vitest';
import { isSecret } from '../../../src/crypto/secret-keeper.js';
import { noSummary } from '../../../src/domain/publish.js';
import { defaultXmppDeviceLimits } from '../../../src/xmpp-devices/limits.js';
import { XmppTargets, type DomainBinding } from '../../../src/xmpp-devices/targets.js';
import { MemoryXmppStore, storeUnavailable } from '../../simulators/memory-xmpp-store.js';
import { hashOf, p2, registeredBy, setUpProcess, v1, v1Key } from './support.js';

async function setUp(binding: DomainBinding = 'p2', given: Parameters<typeof setUpProcess>[0] = {}) {
  const process = setUpProcess(given);
  await process.registry.load();
  const { directory, registry, types } = process;
  const limits = { ...defaultXmppDeviceLimits, ...given.limits };
  return { ...process, targets: new XmppTargets({ directory, registry, types, binding, limits }) };
}

describe('what stands behind a node', () => {
  it('is the device, its service, the hash of its secret, and a key that tells it from others', async () => {
    const { registry, targets } = await setUp();
    const { secret } = await registeredBy(registry.register(v1('n', 'fcm'), 'token'));
    const { node } = await registeredBy(registry.register(p2(hashOf('a')), 'token-2'));
    const [target] = targets.find('n');
    expect(target).toMatchObject({
      service: 'firebase',
      device: { serviceId: 'token', serviceData: null },
      domain: null,
    });
    expect(isSecret(secret, target?.secretHash ?? Buffer.alloc(32))).toBe(true);
    expect(target?.compose(noSummary).urgency).toBe('silent');
    expect(target?.whenGone(0)).toEqual({ kind: 'dead-token' });
    const keys = [targets.find('n')[0]?.key, targets.find('n')[0]?.key, targets.find(node)[0]?.key];
    expect(new Set(keys).size).toBe(2);
    expect(targets.find('unknown')).toEqual([]);
  });

  it.each([
    ['p2', null, 'example.org'],
    ['always', 'example.org', 'example.org'],
    ['never', null, null],
  ] as const)('binds devices to the domain of their account: %s', async (binding, ofV1, ofP2) => {
    const { registry, targets } = await setUp(binding);
    await registeredBy(registry.register(v1('n'), 'token'));
    await registeredBy(registry.register(v1('http', 'apns', null), 'token'));
    const { node } = await registeredBy(registry.register(p2(hashOf('a')), 'token'));
    expect(['n', 'http', node].map((name) => targets.find(name)[0]?.domain)).toEqual([ofV1, null, ofP2]);
  });

  it('notes what became of a push', async () => {
    const { registry, targets, directory } = await setUp();
    await registeredBy(registry.register(v1('n'), 'token'));
    targets.find('n')[0]?.note('delivered', 5);
    targets.find('n')[0]?.note('given-up', 6);
    expect(directory.byKey(v1Key('n'))).toMatchObject({ lastPushAtMs: 5, lastErrorAtMs: 6 });
  });

  it('that nobody sends for is a failure that ends no registration', async () => {
    const store = new MemoryXmppStore();
    const before = await setUp('p2', { store });
    await registeredBy(before.registry.register(v1('n'), 'token'));
    const type = before.types.get('apns');
    if (type === undefined) throw new Error('no type');
    for (const types of [new Map(), new Map([['apns', { ...type, notifierType: null }]])]) {
      const { targets } = await setUp('p2', { store, types });
      const [target] = targets.find('n');
      expect(target?.device).toBeNull();
      expect(target?.whenGone(0)).toEqual({ kind: 'failed', text: null });
      expect(target?.compose(noSummary).urgency).toBe('silent');
    }
  });
});

describe('looking up a node', () => {
  it('finds what another process has registered; all of one moment by one query', async () => {
    const store = new MemoryXmppStore();
    const one = await setUp('p2', { store });
    const two = await setUp('p2', { store });
    for (const node of ['a', 'b']) await registeredBy(one.registry.register(v1(node), 'token'));
    const calls = store.calls.length;
    const found = await Promise.all(['a', 'b', 'c', 'a'].map((node) => two.targets.lookUp(node)));
    expect(found.map((targets) => targets.length)).toEqual([1, 1, 0, 1]);
    expect(store.calls.length).toBe(calls + 1);
  });

  it('finds the new secret where memory has the old one', async () => {
    const store = new MemoryXmppStore();
    const one = await setUp('p2', { store });
    await registeredBy(one.registry.register(v1('n'), 'token'));
    const two = await setUp('p2', { store });
    await one.registry.unregister(v1('n'));
    const { secret } = await registeredBy(one.registry.register(v1('n'), 'token'));
    const isRight = (targets: ReturnType<XmppTargets['find']>): boolean =>
      targets.some(({ secretHash }) => isSecret(secret, secretHash));
    expect(isRight(two.targets.find('n'))).toBe(false);
    expect(isRight(await two.targets.lookUp('n'))).toBe(true);
  });

  it('rejects while the database is away, and when too many wait', async () => {
    const { targets, store } = await setUp('p2', { limits: { maxWaitingLookUps: 1 } });
    store.fault = { error: storeUnavailable() };
    const first = targets.lookUp('a');
    await expect(targets.lookUp('b')).rejects.toMatchObject({ name: 'LookUpRefused' });
    await expect(first).rejects.toMatchObject({ name: 'StoreUnavailable' });
  });

  it.each(['', 'a\0b', '\ud800', 'n'.repeat(4_096)])(
    'does not ask the database for a node that cannot be',
    async (node) => {
      const { targets, store } = await setUp();
      const calls = store.calls.length;
      expect(await targets.lookUp(node)).toEqual([]);
      expect(store.calls.length).toBe(calls);
    },
  );
});
