import { afterEach, describe, expect, it } from 'vitest';
import { startAppUnderTest, type AppUnderTest } from '../simulators/app-under-test.js';
import { eventually } from '../simulators/eventually.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { makeMessage, nowInSeconds, postPlain, startWorld, type World } from '../simulators/world.js';

describe('statistics of all time', () => {
  let world: World | undefined;
  let app: AppUnderTest | undefined;

  afterEach(async () => {
    await app?.stop();
    await world?.close();
  });

  it('outlive a server that nobody ever asked for them', async () => {
    world = await startWorld();
    const { network, apns, configFile } = world;
    app = await startAppUnderTest(configFile);
    await app.ready();
    const account = SessionAccount.user();
    const phone = new SessionDevice('ios');
    await postPlain(app.httpAddress, '/subscribe', phone, [phone.subscription(account, nowInSeconds())]);
    await eventually(() =>
      network.swarmNodesOf(account.id).every((node) => node.subscriptionsOf(account.id).length > 0),
    );
    network.deliver(makeMessage(account, 'counted'));
    await eventually(() => apns.requests === 1);
    await app.stop();

    app = await startAppUnderTest(configFile);
    const response = await fetch(`${app.adminAddress}/stats`);
    expect(await response.json()).toMatchObject({ subscription: 1, notifications: 1 });
  });
});
