import { expect, it, onTestFinished } from 'vitest';
import { createNetwork, defaultNetworkOptions } from '../../src/actors/network.js';
import { createActorSystem } from '../../src/actors/spawn.js';
import { decodeNotifyMessage } from '../../src/codec/notify-message.js';
import { randomNonces } from '../../src/crypto/seal.js';
import { systemClock } from '../../src/domain/clock.js';
import type { Push } from '../../src/domain/push.js';
import { createSubscriptionService, defaultSubscriptionLimits } from '../../src/http/subscription-service.js';
import type { NodeLink } from '../../src/network/node-link.js';
import type { AccountRefusal } from '../../src/network/swarm-monitor.js';
import { parseOxenmqAddress } from '../../src/oxenmq/address.js';
import { createOxenmqClient } from '../../src/oxenmq/client.js';
import type { Database } from '../../src/store/database.js';
import { defaultSubscriptionWriter, SubscriptionStore } from '../../src/store/subscriptions.js';
import { DuplicateFilter } from '../../src/streams/duplicate-filter.js';
import { createPipeline } from '../../src/streams/pipeline.js';
import { SubscriptionIndex } from '../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { decodePush } from '../simulators/session-push.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';
import { startStorageNetwork, type StorageNetwork } from '../simulators/storage-network/network.js';
import { BELDEX_PREFIX, bchatBrand, sessionBrand } from '../simulators/legacy-brands.js';
import { makeMessage, nowInSeconds } from '../simulators/world.js';
import { tokenValidator } from '../unit/http/harness.js';

/** From the client's request to the push, with everything between but the doors and the notifiers. */
async function startWatching(simulated: StorageNetwork, database: Database) {
  const address = parseOxenmqAddress(simulated.oxendAddress);
  if (!address.ok) throw new Error(address.error);
  const log = silentLog();
  const metrics = new Metrics();
  const clock = systemClock;
  const pushes: Push[] = [];
  const refusals: AccountRefusal[] = [];
  const store = new SubscriptionStore({ database, log, writer: defaultSubscriptionWriter });
  const index = new SubscriptionIndex(7);
  const system = createActorSystem({ log, metrics, clock });
  const client = createOxenmqClient({ keyPair: randomKeyPair(), clock, log, metrics });
  const filter = (): DuplicateFilter =>
    new DuplicateFilter({ lifetimeMs: 300_000, maxEntries: 1000, seeds: [1, 2] }, clock);
  const pipeline = createPipeline<NodeLink>({
    decode: decodeNotifyMessage,
    messages: filter(),
    devices: filter(),
    index,
    acceptsFrame: (link, slot) => network.acceptsFrame(link, slot),
    offer: (push) => pushes.push(push) > 0,
    spill: () => false,
    contentOf: () => 'sealed',
    nextNonce: randomNonces(),
    pushSecret: Buffer.alloc(32, 9),
    clock,
    metrics,
    onFault: (stage, error) => expect.fail(`${stage}: ${String(error)}`),
  });
  const network = createNetwork(
    {
      client,
      oxend: address.value,
      accounts: index,
      system,
      clock,
      random: Math.random,
      log,
      metrics,
      onFrame: (link, frame) => pipeline.next(link, frame),
      onRefused: (refusal) => refusals.push(refusal),
    },
    { ...defaultNetworkOptions, daemon: 'beldexd' },
  );
  const service = createSubscriptionService({
    clock,
    notifier: tokenValidator,
    brands: [sessionBrand, bchatBrand],
    refusal: () => null,
    async subscribe(subscription) {
      const outcome = await store.upsert(subscription, clock.nowMs());
      const { slot, monitorChanged } = index.upsert(subscription);
      if (monitorChanged) network.accountChanged(slot);
      return outcome;
    },
    unsubscribe: async () => false,
    metrics,
    log,
    limits: defaultSubscriptionLimits,
  });
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await network.stop();
    await system.stop();
    await client.close();
  };
  onTestFinished(stop);
  index.startLoad();
  await network.start();
  await store.load((page) => {
    for (const row of page) expect(index.load(row)).toBe(true);
  }, 100);
  index.finishLoad();
  network.loaded();
  await eventually(() => network.status().linksUp === simulated.nodes.length);
  return { service, pushes, refusals, metrics, stop };
}

async function beldex(userPrefix: number): Promise<StorageNetwork> {
  const simulated = await startStorageNetwork({ daemon: 'beldexd', swarms: 2, verify: true, userPrefix });
  onTestFinished(() => simulated.close());
  return simulated;
}

describeWithDatabases('a Bchat account in the network of Beldex', (fixture) => {
  const account = SessionAccount.user(undefined, BELDEX_PREFIX);
  const phone = new SessionDevice('android');
  const subscription = (): Buffer => phone.body([phone.subscription(account, nowInSeconds())]);
  const isRegistered = (simulated: StorageNetwork) => (): boolean =>
    simulated.swarmNodesOf(account.id).every((node) => node.subscriptionsOf(account.id).length > 0);

  it('is watched by the nodes that beldexd lists, and its messages become pushes of the brand', async () => {
    const simulated = await beldex(BELDEX_PREFIX);
    const database = await fixture.open();
    const first = await startWatching(simulated, database);
    expect(await first.service.handle('subscribe', subscription(), 'bchat')).toMatchObject([{ added: true }]);
    await eventually(isRegistered(simulated));
    expect(simulated.deliver(makeMessage(account, 'hello'))).toBe(5);
    await eventually(() => first.metrics.framesDuplicate.value === 4);
    const [push, ...more] = first.pushes;
    expect(more).toEqual([]);
    expect(push).toMatchObject({ service: 'bchat-firebase', device: { serviceId: phone.token } });
    if (push?.content.kind !== 'sealed') throw new Error('not sealed');
    expect(decodePush(push.content.payload.toString('base64'), phone.encryptionKey)).toMatchObject({
      account: account.hex,
      data: Buffer.from('hello'),
    });

    // A restart: the row, with its Ed25519 key, is loaded and good for the nodes.
    await first.stop();
    for (const node of simulated.nodes) await node.restart();
    const second = await startWatching(simulated, database);
    await eventually(isRegistered(simulated));
    simulated.deliver(makeMessage(account, 'again'));
    await eventually(() => second.pushes.length === 1);
    expect(second.refusals).toEqual([]);
  });

  it('is refused by the nodes of today, which make an 05 id of it, and stays subscribed for those of tomorrow', async () => {
    const simulated = await beldex(0x05);
    const database = await fixture.open();
    const watching = await startWatching(simulated, database);
    expect(await watching.service.handle('subscribe', subscription())).toMatchObject([{ added: true }]);
    await eventually(() => watching.refusals.length > 0);
    expect(watching.refusals).toMatchObject([{ reason: 'invalid', errcode: 5, isWhole: true }]);
    const store = new SubscriptionStore({ database, log: silentLog(), writer: defaultSubscriptionWriter });
    expect(await store.countByService()).toEqual(new Map([['bchat-firebase', 1]]));
  });
});
