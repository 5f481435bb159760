import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import { decodePush } from '../simulators/session-push.js';
import { makeMessage, startWorld, type World, type WorldOptions } from '../simulators/world.js';
import {
  added,
  inParallel,
  newSubscriber,
  newSubscribers,
  subscribe,
  untilRegistered,
  type Subscriber,
} from './support.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

// Five command lines beside the server take their time on a busy machine.
describe('dead tokens', { timeout: 60_000 }, () => {
  let world: World;
  let server: ServerProcess;

  afterEach(async () => {
    await server.close();
    await world.close();
  });

  async function start(config: WorldOptions['config']): Promise<void> {
    world = await startWorld({ config: { ...config } });
    server = await ServerProcess.start(world.configFile);
  }

  async function subscribeAll(subscribers: readonly Subscriber[]): Promise<void> {
    await inParallel(subscribers, 8, async (one) =>
      expect(await subscribe(server.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      world.network,
      subscribers.map(({ account }) => account.id),
    );
  }

  const send = ({ account }: Subscriber, text: string): number =>
    world.network.deliver(makeMessage(account, text));

  const unregistered = () => ({
    status: 410,
    body: { reason: 'Unregistered', timestamp: Date.now() + 1000 },
  });

  const textsFor = ({ phone }: Subscriber): string[] =>
    [
      ...world.apns.pushes.map(({ token, body }) => ({ token, sealed: String(body['enc_payload']) })),
      ...world.fcm.pushes.map(({ token, message }) => ({ token, sealed: message.data['enc_payload'] ?? '' })),
    ]
      .filter(({ token }) => token === phone.token)
      .map(({ sealed }) => decodePush(sealed, phone.encryptionKey).data?.toString() ?? '');

  const removed = (): Promise<number> =>
    server.metric('waggle_subscription_changes_total{change="dead-token"}');

  /** `waggle …` in a process of its own, on the server's configuration; the port of that was any free one. */
  async function waggle(...argv: string[]): Promise<{ readonly code: number | null; readonly said: string }> {
    const where = ['--config', world.configFile, '--admin.port', new URL(server.adminAddress).port];
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', ...argv, ...where], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, said: said.trim() };
  }

  /** When the nodes of its swarm forget the account, in milliseconds; a renewal puts it off. */
  const forgottenAt = ({ account }: Subscriber): number[] =>
    world.network
      .swarmNodesOf(account.id)
      .map((node) => node.subscriptionsOf(account.id)[0]?.expiresAtMs ?? 0);

  it('end a subscription, and the operator can bring it back', async () => {
    await start({ session: { subscriptionCheckIntervalSeconds: 1, renewMinSeconds: 1, renewMaxSeconds: 2 } });
    const iphone = newSubscriber();
    const android = newSubscriber('android');
    const alive = newSubscriber();
    await subscribeAll([iphone, android, alive]);
    world.apns.answers.forToken(iphone.phone.token, unregistered());
    world.fcm.answers.forToken(android.phone.token, fcmError(404, 'NOT_FOUND', 'UNREGISTERED'));
    for (const one of [iphone, android]) send(one, 'to a dead token');
    await eventually(async () => (await removed()) === 2, { what: 'the removal' });
    expect(await server.metric('waggle_subscriptions{notifier="apns"}')).toBe(1);
    expect(await server.metric('waggle_subscriptions{notifier="firebase"}')).toBe(0);

    // Meanwhile, as each takes a while to start.
    const asked = Promise.all([
      waggle('devices', 'deleted'),
      waggle('devices', 'undelete', '--dry-run'),
      waggle('devices', 'undelete', '--service', 'huawei'),
    ]);

    // The first renewal of the living may have been under way together with one of the dead. After two more, each at
    // least a second later, every other account has had its turn too.
    const isPutOff = (one: Subscriber, since: readonly number[]): boolean =>
      forgottenAt(one).every((atMs, index) => atMs > (since[index] ?? 0));
    const renewed = async (): Promise<void> => {
      const since = forgottenAt(alive);
      await eventually(() => isPutOff(alive, since), { what: 'a renewal of the living' });
    };
    await renewed();
    const dead = forgottenAt(iphone);
    await renewed();
    await renewed();
    expect(forgottenAt(iphone)).toEqual(dead);

    // The nodes still tell of them for a while. Nobody is pushed to.
    const requests = [world.apns.requests, world.fcm.requests];
    const unmatched = await server.metric('waggle_frames_unmatched_total');
    const told = send(iphone, 'nobody') + send(android, 'nobody');
    expect(told).toBe(10);
    await eventually(async () => (await server.metric('waggle_frames_unmatched_total')) === unmatched + told);
    expect([world.apns.requests, world.fcm.requests]).toEqual(requests);

    for (const { answers } of [world.apns, world.fcm])
      for (const { phone } of [iphone, android]) answers.forToken(phone.token, null);
    const [deleted, dryRun, nobody] = await asked;
    expect(deleted).toEqual({ code: 0, said: 'apns 1\nfirebase 1' });
    expect(dryRun).toEqual({ code: 0, said: 'would restore 2 subscriptions' });
    expect(nobody).toEqual({ code: 0, said: 'restored 0 subscriptions' });
    expect(await server.metric('waggle_subscriptions')).toBe(1);

    const restored = await waggle('devices', 'undelete', '--service', 'apns');
    expect(restored).toEqual({ code: 0, said: 'restored 1 subscriptions' });
    expect(await waggle('devices', 'deleted')).toEqual({ code: 0, said: 'firebase 1' });
    await eventually(() => isPutOff(iphone, dead), { what: 'registration anew' });
    send(iphone, 'welcome back');
    send(android, 'still nobody');
    await eventually(() => textsFor(iphone).length > 0);
    expect(textsFor(iphone)).toEqual(['welcome back']);
    expect(await server.metric('waggle_subscriptions{notifier="firebase"}')).toBe(0);
    expect(textsFor(android)).toEqual([]);
  });

  it('are not believed when too many devices die at once', async () => {
    const [devices, dying, percent] = [200, 60, 10];
    const allowed = (devices * percent) / 100;
    await start({ delivery: { deadTokenGuardPercent: percent, deadTokenGuardMinimum: 5 } });
    const iphones = newSubscribers(devices);
    const android = newSubscriber('android');
    await subscribeAll([...iphones, android]);
    const guard = (service: string): Promise<number> =>
      server.metric(`waggle_dead_token_guard{notifier="${service}"}`);
    expect(await guard('apns')).toBe(0);
    const [doomed, spared] = [iphones.slice(0, dying), iphones.slice(dying)];
    for (const { phone } of doomed) world.apns.answers.forToken(phone.token, unregistered());
    for (const one of doomed) send(one, 'wrong topic');
    const dead = 'waggle_pushes_dead_token_total{notifier="apns"}';
    await eventually(async () => (await server.metric(dead)) === dying, { what: 'all of them called dead' });
    await eventually(async () => (await removed()) >= allowed, { what: 'the share that may go' });
    await eventually(async () => (await guard('apns')) === 1, { what: 'the alarm' });
    expect(await guard('firebase')).toBe(0);
    const alarms = (): string[] =>
      server
        .output()
        .split('\n')
        .filter((line) => line.includes('too many dead tokens at once'));
    // The pipe of the log is slower than the door of the metrics.
    await eventually(() => alarms().length > 0, { what: 'the alarm in the log' });
    expect(alarms().map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ level: 50, service: 'apns' }),
    ]);

    // Another service is none of this; and by the time that is done everything else is.
    world.fcm.answers.forToken(android.phone.token, fcmError(404, 'NOT_FOUND', 'UNREGISTERED'));
    send(android, 'to a dead token');
    await eventually(async () => (await removed()) === allowed + 1, { what: 'the removal at Google' });
    expect(await server.metric('waggle_subscriptions{notifier="apns"}')).toBe(devices - allowed);

    // Who was spared hears the next message; who went comes back.
    for (const { phone } of doomed) world.apns.answers.forToken(phone.token, null);
    for (const one of iphones) send(one, 'all is well');
    await eventually(() => world.apns.pushes.length >= devices - allowed, { what: 'those that were kept' });
    for (const one of spared) expect(textsFor(one)).toEqual(['all is well']);
    expect(doomed.filter((one) => textsFor(one).length === 0)).toHaveLength(allowed);
    const restored = await fetch(`${server.adminAddress}/devices/undelete`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"service":"apns"}',
    });
    expect(await restored.json()).toEqual({
      restored: allowed,
      skipped: 0,
      legacyRestored: 0,
      xmppRestored: 0,
    });
    expect(await server.metric('waggle_subscriptions{notifier="apns"}')).toBe(devices);
    for (const one of doomed) expect(server.output()).not.toContain(one.phone.token.slice(0, 16));
  });
});
