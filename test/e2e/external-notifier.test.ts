import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { eventually } from '../simulators/eventually.js';
import { startProviderWorld, type ProviderWorld } from '../simulators/provider-world.js';
import { notifierKeyPair, PythonNotifier } from '../simulators/python-notifier.js';
import { ServerProcess } from '../simulators/server-process.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import type { StoredMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage } from '../simulators/world.js';
import { added, subscribe, untilRegistered, type Subscriber } from './support.js';

/** One of the original's; no notifier of ours has this name in these tests. */
const SERVICE = 'python';
const WAITING = 20;
const STARTUP_WAIT_SECONDS = 6;

/** `/notifiers` and `/stats` of the admin listener. */
const shown = async (server: ServerProcess, path: string): Promise<Record<string, unknown>> =>
  (await (await fetch(server.adminAddress + path)).json()) as Record<string, unknown>;

const hashesOf = (notifier: PythonNotifier): (string | undefined)[] =>
  notifier.dicts.map((dict) => dict.getBytes('#')?.toString());

const sorted = (messages: readonly StoredMessage[]): string[] => messages.map(({ hash }) => hash).sort();

const openWorld = (session: Readonly<Record<string, unknown>> = {}): Promise<ProviderWorld> =>
  startProviderWorld({
    config: {
      session: { notifierAwaySeconds: 1, ...session },
      outbox: { pollIntervalMs: 200 },
      delivery: { retryBaseMs: 200, retryMaxMs: 1000 },
    },
  });

const notifiers: PythonNotifier[] = [];

const killNotifiers = (): void => {
  for (const notifier of notifiers.splice(0)) notifier.kill();
};

/** With the key that the original's process makes from the server's: the same at each of its starts. */
async function startNotifier(
  around: ProviderWorld,
  options: Pick<ConstructorParameters<typeof PythonNotifier>[0], 'validate'> = {},
): Promise<PythonNotifier> {
  const key = await readKeyFile(join(around.directory, 'keys/server.x25519'));
  if (!key.ok) throw new Error(key.error.message);
  const notifier = new PythonNotifier({
    address: around.hiveAddress,
    service: SERVICE,
    keyPair: notifierKeyPair(key.value.secretKey, SERVICE),
    intervalMs: 200,
    ...options,
  });
  notifiers.push(notifier);
  return notifier;
}

const untilState = (running: ServerProcess, state: string): Promise<unknown> =>
  eventually(
    async () => {
      const known = (await shown(running, '/notifiers'))[SERVICE] as
        { readonly health: { readonly state: string } } | undefined;
      return known?.health.state === state;
    },
    { what: `the notifier ${state}` },
  );

async function subscribeOne(around: ProviderWorld, running: ServerProcess): Promise<Subscriber> {
  const phone = new SessionDevice('android', undefined, undefined, SERVICE);
  const one = { account: SessionAccount.user(), phone };
  expect(await subscribe(running.httpAddress, one)).toEqual(added);
  await untilRegistered(around.network, [one.account.id]);
  return one;
}

/** Messages whose pushes are in the outbox, because the notifier is away. */
async function leaveWaiting(
  around: ProviderWorld,
  running: ServerProcess,
  { account }: Subscriber,
): Promise<StoredMessage[]> {
  const messages = Array.from({ length: WAITING }, (_, index) => makeMessage(account, `waits ${index}`));
  for (const message of messages) around.network.deliver(message);
  const waiting = `waggle_outbox_waiting{notifier="${SERVICE}"}`;
  const isStored = async (): Promise<boolean> =>
    (await running.metric(waiting)) === WAITING && (await running.metric('waggle_outbox_unwritten')) === 0;
  await eventually(isStored, { what: 'all pushes in the outbox, and committed' });
  return messages;
}

async function expectOnce(
  running: ServerProcess,
  notifier: PythonNotifier,
  messages: readonly StoredMessage[],
): Promise<void> {
  await eventually(() => notifier.pushes.length >= messages.length, {
    timeoutMs: 20_000,
    what: 'what waited',
  });
  await eventually(async () => (await running.metric('waggle_outbox_waiting')) === 0, {
    what: 'an empty outbox',
  });
  expect(hashesOf(notifier).sort()).toEqual(sorted(messages));
  expect(await running.metric('waggle_pushes_lost_total')).toBe(0);
  expect(await running.metric('waggle_pushes_dropped_total')).toBe(0);
}

describe('a notifier in a process of its own', () => {
  let around: ProviderWorld;
  let running: ServerProcess;

  beforeAll(async () => {
    around = await openWorld();
    running = await ServerProcess.start(around.configFile);
  });
  afterEach(async () => {
    killNotifiers();
    await untilState(running, 'failing');
  });
  afterAll(async () => {
    await running.close();
    await around.close();
  });

  it(
    'says which devices are good, gets every message unsealed, and is counted',
    { timeout: 60_000 },
    async () => {
      const serviceData = Buffer.from([0xde, 0xad, 0, 0xff]);
      const serviceId = 'the device as the notifier knows it, long enough';
      let isGood = true;
      const notifier = await startNotifier(around, {
        validate: () => (isGood ? ['0', serviceId, serviceData] : ['4', 'Invalid device token']),
      });
      await untilState(running, 'connected');

      const one = await subscribeOne(around, running);
      const { account, phone } = one;
      expect(notifier.validations[0]).toEqual([SERVICE, JSON.stringify({ token: phone.token })]);
      isGood = false;
      const stranger = { ...one, account: SessionAccount.user() };
      expect(await subscribe(running.httpAddress, stranger)).toMatchObject({
        error: 4,
        message: 'Invalid device token',
      });

      const message = makeMessage(account, 'the message itself');
      expect(around.network.deliver(message)).toBe(5);
      const [dict] = await eventually(() => (notifier.pushes.length > 0 ? notifier.dicts : null));
      expect(dict?.entries.map(([key]) => key.toString())).toEqual(
        ['', '!', '#', '&', '@', '^', 'n', 't', 'z', '~'], // ascending
      );
      expect(dict?.getBytes('')?.toString()).toBe(SERVICE);
      expect(dict?.getBytes('!')).toEqual(serviceData);
      expect(dict?.getBytes('#')?.toString()).toBe(message.hash);
      expect(dict?.getBytes('&')?.toString()).toBe(serviceId);
      expect(dict?.getBytes('@')).toEqual(account.id);
      expect(dict?.getBytes('^')).toEqual(phone.encryptionKey);
      expect(dict?.getInteger('n')).toBe(0);
      expect(dict?.getInteger('t')).toBe(message.timestampMs);
      expect(dict?.getInteger('z')).toBe(message.expiryMs);
      expect(dict?.getBytes('~')?.toString()).toBe('the message itself');
      await eventually(async () => (await running.metric('waggle_frames_duplicate_total')) === 4);
      expect(notifier.pushes).toHaveLength(1);

      /** Without what goes on by itself between two requests. */
      const settled = (stats: Record<string, unknown>): unknown => ({
        ...stats,
        uptime: null,
        ...Object.fromEntries(
          Object.keys(stats).flatMap((key) => (key.startsWith('last.') ? [[key, 0]] : [])),
        ),
      });
      await eventually(
        async () => {
          const stats = (await shown(running, '/stats')) as {
            readonly notifier: Record<string, { readonly notifies?: number }>;
          };
          return stats.notifier[SERVICE]?.notifies === 1;
        },
        { what: 'the report of the notifier' },
      );
      const [json] = await notifier.request('admin.get_stats');
      const overSocket = JSON.parse(String(json)) as Record<string, unknown>;
      const overHttp = await shown(running, '/stats');
      expect(settled(overSocket)).toEqual(settled(overHttp));
      expect(Number(overHttp['uptime'])).toBeGreaterThanOrEqual(Number(overSocket['uptime']));
      expect(overSocket).toMatchObject({
        block_height: expect.any(Number) as number,
        swarms: 4,
        snodes: 20,
        accounts_monitored: 1,
        subscriptions: { [SERVICE]: 1, total: 1 },
        subscription: 1,
        notifications: 1,
        pushes: 5,
        [`alive.${SERVICE}`]: true,
        notifier: { [SERVICE]: { subscription: 1, notifies: 1 } },
      });
      expect(Number(overSocket[`last.${SERVICE}`])).toBeGreaterThan(Date.now() / 1000 - 60);
    },
  );

  it(
    'is waited for by its pushes when it was killed, and gets each of them once',
    { timeout: 60_000 },
    async () => {
      const first = await startNotifier(around);
      await untilState(running, 'connected');
      const one = await subscribeOne(around, running);
      const early = makeMessage(one.account, 'while it is there');
      around.network.deliver(early);
      await eventually(() => first.pushes.length === 1);

      first.kill();
      await untilState(running, 'failing');
      const messages = await leaveWaiting(around, running, one);
      expect(await subscribe(running.httpAddress, one)).toMatchObject({
        error: 3,
        message: `${SERVICE} notification service timed out`,
      });
      const second = await startNotifier(around);
      await expectOnce(running, second, messages);
      expect(hashesOf(first)).toEqual([early.hash]);

      const late = makeMessage(one.account, 'now that it is back');
      around.network.deliver(late);
      await eventually(() => hashesOf(second).includes(late.hash));
      expect(second.pushes).toHaveLength(WAITING + 1);
    },
  );

  it('gets what waited for it when the server was killed meanwhile', { timeout: 60_000 }, async () => {
    const first = await startNotifier(around);
    await untilState(running, 'connected');
    const one = await subscribeOne(around, running);
    first.kill();
    await untilState(running, 'failing');
    const messages = await leaveWaiting(around, running, one);

    await running.kill('SIGKILL');
    await running.restart();
    const waiting = `waggle_outbox_waiting{notifier="${SERVICE}"}`;
    expect(await running.metric(waiting)).toBe(WAITING);
    const second = await startNotifier(around);
    await expectOnce(running, second, messages);
    expect(first.pushes).toEqual([]);
  });

  it('finds the new server by itself when only that was killed', { timeout: 60_000 }, async () => {
    const notifier = await startNotifier(around);
    await untilState(running, 'connected');
    const one = await subscribeOne(around, running);
    await running.kill('SIGKILL');
    const registered = around.network.swarmNodesOf(one.account.id).map(({ accepted }) => accepted);
    await running.restart();
    await untilState(running, 'connected');
    await eventually(() =>
      around.network
        .swarmNodesOf(one.account.id)
        .every(({ accepted }, index) => accepted > (registered[index] ?? 0)),
    );
    const message = makeMessage(one.account, 'from the next server');
    around.network.deliver(message);
    await eventually(() => notifier.pushes.length > 0);
    expect(hashesOf(notifier)).toEqual([message.hash]);
  });
});

describe('a notifier that is expected', () => {
  let around: ProviderWorld | undefined;
  let running: ServerProcess | undefined;

  afterEach(async () => {
    killNotifiers();
    await running?.close();
    await around?.close();
  });

  it('is waited for at the start, but no longer than startupWaitSeconds', { timeout: 60_000 }, async () => {
    const world = await openWorld({ notifiersExpected: [SERVICE], startupWaitSeconds: STARTUP_WAIT_SECONDS });
    around = world;
    const server = await ServerProcess.start(world.configFile, { untilReady: false });
    running = server;
    const isMissed = (): boolean => server.output().includes('expected notifiers have not registered');
    const askedAt = Date.now();
    await server.ready();
    expect(Date.now() - askedAt).toBeGreaterThanOrEqual(STARTUP_WAIT_SECONDS * 1000);
    expect(isMissed()).toBe(true);
    expect(server.output()).toContain(`"services":["${SERVICE}"]`);
    await server.kill('SIGTERM');
    const outputBefore = server.output().length;

    // The process is there before the server, as after a restart of the server.
    await startNotifier(world);
    server.launch();
    await server.ready();
    const since = server.output().slice(outputBefore);
    expect(since).not.toContain('expected notifiers have not registered');
    const registeredAtMs = timeOf(since, 'an external notifier has registered');
    expect(timeOf(since, 'http listening') - registeredAtMs).toBeLessThan((STARTUP_WAIT_SECONDS * 1000) / 2);
  });
});

/** When a line of the log was written, by the server's clock. Unix milliseconds. */
function timeOf(output: string, message: string): number {
  const line = output.split('\n').find((one) => one.startsWith('{') && one.includes(message));
  if (line === undefined) throw new Error(`no line "${message}"`);
  return Date.parse(String((JSON.parse(line) as { readonly time: unknown }).time));
}
