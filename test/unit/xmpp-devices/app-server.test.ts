import { describe, expect, it } from 'vitest';
import { noSummary, type PublishOutcome } from '../../../src/domain/publish.js';
import { XmppAppServer } from '../../../src/xmpp-devices/app-server.js';
import { defaultXmppDeviceLimits } from '../../../src/xmpp-devices/limits.js';
import { XmppTargets } from '../../../src/xmpp-devices/targets.js';
import type { PublishRequest } from '../../../src/xmpp/port.js';
import { MemoryXmppStore, storeUnavailable } from '../../simulators/memory-xmpp-store.js';
import { hashOf, p2, registeredBy, setUpProcess, v1 } from './support.js';

async function setUp(
  store = new MemoryXmppStore(),
  publish: () => PublishOutcome = () => ({ kind: 'accepted' }),
) {
  const process = setUpProcess({ store });
  await process.registry.load();
  const { directory, registry, types } = process;
  const published: PublishRequest[] = [];
  const targets = new XmppTargets({
    directory,
    registry,
    types,
    binding: 'never',
    limits: defaultXmppDeviceLimits,
  });
  const publishes = {
    publish: (request: PublishRequest) => {
      published.push(request);
      return publish();
    },
  };
  const appServer = new XmppAppServer({ directory, registrations: registry, targets, publishes });
  return { ...process, appServer, published };
}

describe('the app server over HTTP', () => {
  it('registers devices of nobody knows which account, and unregisters them', async () => {
    const { appServer, directory } = await setUp();
    const first = await appServer.register('apns', 'n', 'token');
    expect(first).toMatchObject({ kind: 'registered', node: 'n' });
    expect(await appServer.register('apns', 'n', 'token-2')).toEqual(first);
    expect(directory.find('n')[0]?.accountDomain).toBeNull();
    expect(await appServer.unregister('fcm', 'n')).toEqual({ kind: 'not-found' });
    expect(await appServer.unregister('apns', 'n')).toMatchObject({ kind: 'unregistered' });
  });

  it('publishes without a summary, as a server of no domain', async () => {
    const { appServer, published } = await setUp();
    await appServer.register('apns', 'n', 'token');
    expect(await appServer.push('n', 's3cret', 1_234)).toEqual({ kind: 'accepted' });
    expect(published).toEqual([
      {
        node: 'n',
        secret: 's3cret',
        summary: noSummary,
        senderDomain: '',
        isFromServer: true,
        deadlineMs: 1_234,
      },
    ]);
  });

  it('wakes what another process has registered a moment ago', async () => {
    const store = new MemoryXmppStore();
    const one = await setUp(store);
    const two = await setUp(store);
    await one.appServer.register('apns', 'n', 'token');
    expect(await two.appServer.push('n', 's', 0)).toEqual({ kind: 'accepted' });
    expect(await two.appServer.push('unknown', 's', 0)).toEqual({ kind: 'unknown' });
    expect(two.published).toHaveLength(1);
  });

  it('wakes no device of p2', async () => {
    const { appServer, registry, published } = await setUp();
    const { node, secret } = await registeredBy(registry.register(p2(hashOf('a')), 'token'));
    expect(await appServer.push(node, secret, 0)).toEqual({ kind: 'unknown' });
    expect(published).toEqual([]);
  });

  it('calls nobody unknown while the database is away, and never rejects', async () => {
    const { appServer, store } = await setUp(undefined, () => {
      throw new Error('a bug');
    });
    await appServer.register('apns', 'n', 'token');
    store.fault = { error: storeUnavailable() };
    const failed = { kind: 'failed', text: null };
    expect(await appServer.push('unknown', 's', 0)).toEqual(failed);
    expect(await appServer.push('n', 's', 0)).toEqual(failed);
    expect(await appServer.register('apns', 'n', 'token')).toEqual({ kind: 'unavailable' });
    expect(await appServer.unregister('apns', 'n')).toEqual({ kind: 'unavailable' });
  });

  it('shows the operator what there is', async () => {
    const { appServer, registry, clock } = await setUp();
    for (const node of ['a', 'b', 'c']) await registeredBy(registry.register(v1(node), `token-${node}`));
    expect(appServer.nodes('a', 10)).toEqual(['b', 'c']);
    expect(appServer.records('b')).toEqual([
      {
        type: 'apns',
        node: 'b',
        token: 'token-b',
        registeredAtMs: clock.atMs,
        renewedAtMs: null,
        lastPushAtMs: null,
        lastErrorAtMs: null,
      },
    ]);
    expect(appServer.records('unknown')).toEqual([]);
  });
});
