import { startAppUnderTest } from '../simulators/app-under-test.js';
import { eventually } from '../simulators/eventually.js';
import { EXTERNAL_SERVICE, startProviderWorld, type ProviderWorld } from '../simulators/provider-world.js';
import { postOnion, SessionAccount } from '../simulators/session-client.js';
import { nowInSeconds, postPlain } from '../simulators/world.js';
import { Audience } from './audience.js';
import { showOutage, showRetryAfter, showUndelete, type Scene } from './delivery.js';
import { milliseconds, say, type Promises, type StayIfAsked } from './output.js';
import { createReceivers, type Receiver } from './receivers.js';

/**
 * The main job on simulated peers: the real server on the embedded database, a simulated network (oxend and 20 storage
 * nodes in 4 swarms over OxenMQ with CURVE), a stand-in for every push service, and one device for each. Loopback only.
 */
export async function runSessionScenario(promises: Promises, stayIfAsked: StayIfAsked): Promise<void> {
  say('Starting a simulated network, a stand-in for every push service, and the server …');
  const world = await startProviderWorld({
    network: { swarms: 4, nodesPerSwarm: 5, verify: true },
    config,
  });
  try {
    await run(world, promises, stayIfAsked);
  } finally {
    await world.close();
  }
}

const NODES = 20;
/** Shown when something fails. */
const LOG_LINES = 12;

const config = {
  // So that a probe is seen within a short demo.
  delivery: { breakerFailures: 3, breakerProbeSeconds: 1 },
  session: { notifiersExpected: [EXTERNAL_SERVICE] },
};

async function run(around: ProviderWorld, promises: Promises, stayIfAsked: StayIfAsked): Promise<void> {
  // Like the original's: it tries until the server is there.
  const external = around.startExternalNotifier();
  const app = await startAppUnderTest(around.configFile);
  try {
    await app.ready();
    await eventually(async () => (await app.metric('waggle_links_up')) === NODES, { what: 'all links' });
    say(`  server     ${app.httpAddress}, operators ${app.adminAddress} (embedded database)`);
    say(`  network    oxend, ${NODES} storage nodes in 4 swarms, all linked by OxenMQ/CURVE`);
    say('  providers  Apple (production, sandbox), Google, Huawei, Microsoft, a push service of browsers,');
    say('             a UnifiedPush server; a notifier in a process of its own, over OxenMQ');

    const account = SessionAccount.user();
    const audience = new Audience(around, account, createReceivers(around, app, external));
    await subscribeAll(around, app.httpAddress, account, audience.receivers, promises);
    await audience.watch('hello');
    await audience.watch('a longer message. '.repeat(60));
    await audience.watch('too long to travel along. '.repeat(100));

    const scene: Scene = { world: around, app, audience, promises };
    await showOutage(scene);
    await showRetryAfter(scene);
    await showUndelete(scene);

    say();
    const faults = audience.faults();
    for (const fault of faults) promises.expect(false, fault);
    const { copies } = audience;
    const heard = await eventually(
      async () => {
        const frames = await app.metric('waggle_frames_received_total');
        return frames === copies ? frames : null;
      },
      { what: 'every copy of every notice' },
    );
    const pushes = audience.receivers.reduce((sum, receiver) => sum + receiver.count(), 0);
    promises.expect(faults.length === 0, `${heard} notices, ${pushes} pushes, each exactly once`);
    const { apns, apnsSandbox, fcm } = around;
    const refused = [apns, apnsSandbox, fcm].reduce((sum, { refusals }) => sum + refusals.length, 0);
    promises.expect(refused === 0, 'no provider found fault with a request');
    await stayIfAsked(`curl ${app.adminAddress}/stats`);
  } catch (error) {
    say('  the end of the log:');
    const lines = app.log().trimEnd().split('\n');
    const telling = lines.filter((line) => !line.includes('"dummy push"'));
    for (const line of telling.slice(-LOG_LINES)) say(`    ${line}`);
    throw error;
  } finally {
    await app.stop();
  }
}

/** As the apps do it: two inside onion requests, the others in plain JSON. */
async function subscribeAll(
  around: ProviderWorld,
  httpAddress: string,
  account: SessionAccount,
  receivers: readonly Receiver[],
  promises: Promises,
): Promise<void> {
  say();
  say('One account, a device for every type of notifier; all of them subscribe');
  const onionKey = await around.onionPublicKey();
  const ciphers = new Map([
    ['apns', 'xchacha20' as const],
    ['firebase', 'aes-gcm' as const],
  ]);
  const began = performance.now();
  for (const { service, device } of receivers) {
    const sentAt = performance.now();
    const cipher = ciphers.get(service);
    const request = device.subscription(account, nowInSeconds());
    const answer =
      cipher === undefined
        ? await postPlain(httpAddress, '/subscribe', device, [request])
        : (await postOnion(httpAddress, onionKey, cipher, '/subscribe', device.body([request]))).json;
    const text = JSON.stringify(answer);
    const way = cipher === undefined ? 'plain' : `onion, ${cipher}`;
    promises.expect(
      text.includes('"success":true'),
      `${service.padEnd(13)} ${way.padEnd(16)} ${milliseconds(sentAt).padStart(8)}  ${text}`,
    );
  }
  const nodes = around.network.swarmNodesOf(account.id);
  await eventually(() => nodes.every((node) => node.subscriptionsOf(account.id).length > 0), {
    what: 'registration with the swarm',
  });
  promises.kept(
    `registered with all ${nodes.length} nodes of its swarm, ${milliseconds(began)} after the first request`,
  );
}
