import { writeSync } from 'node:fs';
import { startAppUnderTest } from '../simulators/app-under-test.js';
import { eventually } from '../simulators/eventually.js';
import { SessionAccount, SessionDevice, postOnion, type Platform } from '../simulators/session-client.js';
import { decodePush, show } from '../simulators/session-push.js';
import { makeMessage, nowInSeconds, startWorld } from '../simulators/world.js';

/*
 * The main job on simulated peers: the real server on the embedded database, a simulated network (oxend and 20 storage
 * nodes in 4 swarms over OxenMQ with CURVE) and stand-ins for Apple and Google (TLS, HTTP/2). Loopback only.
 *
 *   npm run demo            runs through and ends
 *   npm run demo -- --stay  leaves everything running for play, until Ctrl-C
 */

const say = (text = ''): void => void writeSync(1, `${text}\n`);
const shorten = (text: string, length = 48): string =>
  text.length <= length ? text : `${text.slice(0, length)}…`;

interface Phone {
  readonly name: string;
  readonly device: SessionDevice;
  readonly account: SessionAccount;
  readonly cipher: 'aes-gcm' | 'xchacha20';
}

const startedAt = performance.now();
say('Starting a simulated network, stand-ins for Apple and Google, and the server …');
const world = await startWorld({ network: { swarms: 4, nodesPerSwarm: 5, verify: true } });
const app = await startAppUnderTest(world.configFile);
await app.ready();
const links = (): Promise<number> => app.metric('waggle_links_up');
await eventually(async () => (await links()) === 20, { what: '20 links' });
say(`  server     ${app.httpAddress}, operators ${app.adminAddress} (embedded database)`);
say(
  `  network    oxend ${world.network.oxendAddress}, 20 storage nodes in 4 swarms, all linked by OxenMQ/CURVE`,
);
say(`  providers  ${world.apns.endpoint} (Apple), ${world.fcm.endpoint} (Google)`);

const phones: Phone[] = [
  { name: 'iPhone', device: new SessionDevice('ios'), account: SessionAccount.user(), cipher: 'xchacha20' },
  {
    name: 'Android',
    device: new SessionDevice('android'),
    account: SessionAccount.user(),
    cipher: 'aes-gcm',
  },
];
const onionKey = await world.onionPublicKey();
for (const { name, device, account, cipher } of phones) {
  say();
  say(`${name} subscribes for account ${shorten(account.hex, 10)} inside an onion request (${cipher})`);
  const body = device.body([device.subscription(account, nowInSeconds())]);
  const sentAt = performance.now();
  const reply = await postOnion(app.httpAddress, onionKey, cipher, '/subscribe', body);
  say(`  answer after ${(performance.now() - sentAt).toFixed(1)} ms: ${JSON.stringify(reply.json)}`);
  const nodes = world.network.swarmNodesOf(account.id);
  await eventually(() => nodes.every((node) => node.subscriptionsOf(account.id).length === 1), {
    what: 'registration with the swarm',
  });
  say(
    `  registered with all ${nodes.length} nodes of its swarm after ${(performance.now() - sentAt).toFixed(0)} ms`,
  );
}

const seenBy: Record<
  Platform,
  (token: string) => readonly { readonly bytes: number; readonly encPayload: string }[]
> = {
  ios: (token) =>
    world.apns.pushes
      .filter((push) => push.token === token)
      .map((push) => ({ bytes: push.bodyText.length, encPayload: String(push.body['enc_payload']) })),
  android: (token) =>
    world.fcm.pushes
      .filter((push) => push.token === token)
      .map((push) => ({ bytes: push.bodyText.length, encPayload: push.message.data['enc_payload'] ?? '' })),
};

const texts = ['hello', 'a longer message. '.repeat(60), 'too long to travel along. '.repeat(100)];
for (const text of texts) {
  for (const { name, device, account } of phones) {
    const message = makeMessage(account, text);
    const before = seenBy[device.platform](device.token).length;
    const sentAt = performance.now();
    const copies = world.network.deliver(message);
    await eventually(() => seenBy[device.platform](device.token).length > before, {
      everyMs: 0.1,
      what: 'the push',
    });
    const took = performance.now() - sentAt;
    const push = seenBy[device.platform](device.token).at(-1);
    if (push === undefined) throw new Error('no push');
    const shown = show(decodePush(push.encPayload, device.encryptionKey), device.platform);
    say();
    say(`${copies} storage nodes report one message of ${message.data.length} bytes for the ${name}`);
    say(
      `  the provider sees, ${took.toFixed(1)} ms later, ${push.bytes} bytes: enc_payload ${shorten(push.encPayload)}`,
    );
    say(
      shown.kind === 'message'
        ? `  the phone decrypts: "${shorten(shown.data.toString())}"`
        : `  the phone decrypts: a message too long for a push (${shown.kind})`,
    );
  }
}

await eventually(
  async () => (await app.metric('waggle_frames_received_total')) === texts.length * phones.length * 5,
  {
    what: 'every copy',
  },
);
const pushes = world.apns.pushes.length + world.fcm.pushes.length;
say();
say(`${texts.length * phones.length * 5} notices, ${pushes} pushes, each exactly once.`);
const isRight = pushes === texts.length * phones.length;

if (process.argv.includes('--stay')) {
  say(`Everything keeps running. Try: curl ${app.adminAddress}/stats    Ctrl-C ends it.`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}
await app.stop();
await world.close();
say(`Done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`);
process.exit(isRight ? 0 : 1);
