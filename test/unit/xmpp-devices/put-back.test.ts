import { describe, expect, it } from 'vitest';
import { noSummary } from '../../../src/domain/publish.js';
import { createXmppPipeline } from '../../../src/streams/xmpp-pipeline.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { defaultXmppDeviceLimits } from '../../../src/xmpp-devices/limits.js';
import { XmppTargets } from '../../../src/xmpp-devices/targets.js';
import { MemoryXmppStore } from '../../simulators/memory-xmpp-store.js';
import { registeredBy, serviceName, setUpProcess, tokenOf, v1, v1Key } from './support.js';

/** Publishes are delivered at once. */
async function setUp(store = new MemoryXmppStore()) {
  const process = setUpProcess({ store });
  await process.registry.load();
  const { directory, registry, types, clock } = process;
  const targets = new XmppTargets({
    directory,
    registry,
    types,
    binding: 'p2',
    limits: defaultXmppDeviceLimits,
  });
  const woken: string[] = [];
  const pipeline = createXmppPipeline({
    sources: [targets],
    delivery: {
      deliver: ({ device }, tell) => {
        woken.push(device.serviceId);
        tell('delivered');
      },
      defer: (_push, _dueAtMs, tell) => tell('stored'),
    },
    spacing: { distanceMs: 0, maxKeys: 10 },
    maxLookUps: 10,
    randomBytes: (count) => Buffer.alloc(count),
    clock,
    metrics: new Metrics(),
    onFault: (stage) => {
      throw new Error(stage);
    },
  });
  const publish = async (node: string, secret: string): Promise<string> => {
    const from = { senderDomain: 'example.org', isFromServer: true, deadlineMs: clock.atMs + 25_000 };
    return (await pipeline.publish({ node, secret, summary: noSummary, ...from })).kind;
  };
  return { ...process, publish, woken };
}

/** Five changes are lost, and the process that goes on had seen them all. */
async function setUpPutBack() {
  const process = await setUp();
  const { store, registry } = process;
  await registeredBy(registry.register(v1('before'), 'token'));
  const putBack = store.backUp();
  for (let i = 0; i < 5; i += 1) await registeredBy(registry.register(v1('lost'), `token-${i}`));
  await registry.sync();
  putBack();
  return process;
}

/*
 * A standby that takes over may lack the last changes, a backup more of them. Revisions are drawn a second time then, and
 * what is registered has one that memory takes for long past. Whoever told its server that there is no such
 * node would end it for ever.
 */
describe('a database that was put back', () => {
  it('does not hide what is registered afterwards, by whatever process', async () => {
    const { store, publish, woken } = await setUpPutBack();
    const other = await setUp(store);
    const { secret } = await registeredBy(other.registry.register(v1('after'), 'token-a'));
    expect(await publish('after', secret)).toBe('accepted');
    expect(woken).toEqual(['token-a']);
  });

  it('gives a device that was lost its new secret when it comes again', async () => {
    const { registry, publish, woken } = await setUpPutBack();
    const { secret } = await registeredBy(registry.register(v1('lost'), 'token-b'));
    expect(await publish('lost', secret)).toBe('accepted');
    expect(woken).toEqual(['token-b']);
  });

  it('is noticed by the poll, which begins anew', async () => {
    const { store, registry, directory } = await setUpPutBack();
    const other = await setUp(store);
    await registeredBy(other.registry.register(v1('before'), 'token-c'));
    await registry.sync();
    expect(directory.byKey(v1Key('before'))?.token).toBe('token-c');
    expect(directory.revision).toBe(2);
    await registeredBy(other.registry.register(v1('before'), 'token-d'));
    await registry.sync();
    expect(directory.byKey(v1Key('before'))?.token).toBe('token-d');
  });

  it('still has the devices woken that only memory knows, until a provider calls them dead', async () => {
    const { store, registry, directory, publish } = await setUpPutBack();
    await registry.sync();
    expect(directory.byKey(v1Key('lost'))?.token).toBe('token-4');
    const [holder] = registry.holdersOf(serviceName('apns'), tokenOf('token-4'));
    expect(await holder?.tokenDied(Infinity)).toBe(true);
    expect(directory.byKey(v1Key('lost'))).toBeNull();
    expect(await publish('lost', 'secret')).toBe('unknown');
    expect(store.living()).toHaveLength(1);
  });

  it('does not bring back what was removed, nor begin anew, where a look-up and a removal cross', async () => {
    const { store, registry, directory, publish } = await setUp();
    const other = await setUp(store);
    const { secret } = await registeredBy(other.registry.register(v1('n'), 'token'));
    let isHeld = true;
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let finds = 0;
    // The first answer to a look-up is on its way while the device goes, and everybody hears of that.
    store.pace = async (name) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (name === 'find' && isHeld && (finds += 1) === 2) await held;
    };
    const answer = publish('n', secret);
    await other.registry.unregister(v1('n'));
    await registry.sync();
    isHeld = false;
    letGo();
    expect(await answer).toBe('unknown');
    expect(directory.revision).toBe(2);
  });
});
