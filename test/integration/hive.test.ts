import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeNotifyMessage } from '../../src/codec/notify-message.js';
import { encode } from '../../src/codec/bencode.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { randomNonces } from '../../src/crypto/seal.js';
import { systemClock } from '../../src/domain/clock.js';
import type { ServiceId, ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Subscription } from '../../src/domain/subscription.js';
import type { ExternalNotifier } from '../../src/hive/external-notifier.js';
import { createHive, type Hive, type HiveDeps } from '../../src/hive/hive.js';
import { createSubscriptionService, defaultSubscriptionLimits } from '../../src/http/subscription-service.js';
import { DuplicateFilter } from '../../src/streams/duplicate-filter.js';
import { createPipeline } from '../../src/streams/pipeline.js';
import { SubscriptionIndex } from '../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { AllTimeCounters, Statistics } from '../../src/telemetry/statistics.js';
import { eventually } from '../simulators/eventually.js';
import { sessionBrand } from '../simulators/legacy-brands.js';
import { PythonNotifier, type PythonNotifierOptions } from '../simulators/python-notifier.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';
import { nowInSeconds } from '../simulators/world.js';

const randomBytes = createRandomBytes();
const never = new AbortController().signal;

/** A hive with a real subscription service, index and pipeline behind it; only the network and the actor are not. */
async function openHive(options: HiveDeps['options'] = {}, known: string[] = []) {
  const metrics = new Metrics();
  const keyPair = randomKeyPair();
  const index = new SubscriptionIndex(3);
  const stored = new Set(known);
  const announced: ExternalNotifier[] = [];
  const statistics = new Statistics({
    counters: new AllTimeCounters([], () => undefined),
    metrics,
    services: ['apns' as ServiceName],
    network: () => ({
      blockHash: '',
      blockHeight: -1,
      swarms: 0,
      nodes: 0,
      linksUp: 0,
      linksPending: 0,
      accountsMonitored: 0,
    }),
    subscriptions: () => index.countsByService(),
    clock: systemClock,
  });
  const hive = createHive({
    options: {
      listen: 'tcp://127.0.0.1:0',
      ...options,
      listener: { lingerMs: 0, ...options.listener },
    },
    keyPair,
    builtIn: (service) => service === 'apns',
    onNotifier: (notifier) => announced.push(notifier),
    statistics,
    store: { load: async () => [...stored], add: async (service) => void stored.add(service) },
    clock: systemClock,
    log: silentLog(),
    metrics,
  });
  onTestFinished(() => hive.close());
  await hive.load();
  const doors = await hive.listen();
  if (!doors.ok) throw new Error(doors.error);
  const subscriptions: Subscription[] = [];
  const service = createSubscriptionService({
    clock: systemClock,
    notifier: (name) => hive.notifier(name),
    brands: [sessionBrand],
    refusal: () => null,
    async subscribe(subscription) {
      subscriptions.push(subscription);
      index.upsert(subscription);
      statistics.subscribed(subscription.service, 'added');
      return 'added';
    },
    unsubscribe: async () => false,
    metrics,
    log: silentLog(),
    limits: defaultSubscriptionLimits,
  });
  return {
    hive,
    doors: doors.value,
    address: doors.value[0]?.address ?? '',
    keyPair,
    index,
    stored,
    announced,
    statistics,
    subscriptions,
    metrics,
    handle: service.handle.bind(service),
  };
}

function startNotifier(options: Partial<PythonNotifierOptions> & { readonly address: string }) {
  const notifier = new PythonNotifier({
    service: 'test',
    keyPair: randomKeyPair(),
    intervalMs: 50,
    ...options,
  });
  onTestFinished(() => notifier.kill());
  return notifier;
}

const present = (hive: Hive, name = 'test') =>
  eventually(() => hive.notifier(name)?.isPresent(), { what: `${name} being registered` });

const json = (parts: readonly Buffer[]): unknown => JSON.parse(parts[0]?.toString() ?? '');

function frame(account: Buffer, namespace: number, data: string): Buffer {
  return encode(
    new Map<string, string | number | Buffer>([
      ['@', account],
      ['h', randomBytes(24).toString('hex')],
      ['n', namespace],
      ['t', 1_700_000_000_123],
      ['z', 1_701_209_600_123],
      ['~', data],
    ]),
  );
}

function makePush(service: string, payload: Buffer): Push {
  return {
    service: service as ServiceName,
    account: Buffer.alloc(33, 5),
    device: { serviceId: 'd'.repeat(64) as ServiceId, serviceData: null },
    content: { kind: 'unsealed', payload },
    priority: 'high',
    expiresAtMs: Date.now() + 1_000_000,
    dedupeKey: Buffer.alloc(16),
    receivedAtMs: Date.now(),
    attempts: 0,
    outboxId: null,
  };
}

describe('an external notifier', () => {
  it('registers, is asked about the device of a subscribe, and gets its pushes to seal', async () => {
    const { hive, address, handle, index, announced, stored, statistics, metrics } = await openHive();
    hive.serve(handle);
    const notifier = startNotifier({ address });
    await present(hive);
    expect(announced.map(({ service }) => service)).toEqual(['test']);
    await eventually(() => stored.has('test'));
    await eventually(() => notifier.isGreeted);

    const account = SessionAccount.user();
    const device = new SessionDevice('android', 'token-'.repeat(8), undefined, 'test');
    const request = device.subscription(account, nowInSeconds(), { namespaces: [-11, 0] });
    const answer = await notifier.request('push.subscribe', JSON.stringify(request));
    expect(json(answer)).toEqual({ added: true, message: 'Subscription successful', success: true });
    expect(notifier.validations).toEqual([['test', `{"token":"${'token-'.repeat(8)}"}`]]);

    const outcomes: string[] = [];
    const filter = () =>
      new DuplicateFilter({ lifetimeMs: 60_000, maxEntries: 100, seeds: [1, 2] }, systemClock);
    const pipeline = createPipeline<null>({
      decode: decodeNotifyMessage,
      messages: filter(),
      devices: filter(),
      index,
      acceptsFrame: () => true,
      contentOf: (service) => hive.notifier(service)?.capabilities.content ?? 'sealed',
      offer(push) {
        void hive
          .notifier(push.service)
          ?.send(push, never)
          .then(({ kind }) => outcomes.push(kind));
        return true;
      },
      spill: () => false,
      nextNonce: randomNonces(),
      pushSecret: Buffer.alloc(32, 9),
      clock: systemClock,
      metrics,
      onFault: (_stage, error) => {
        throw error;
      },
    });
    pipeline.next(null, frame(account.id, -11, 'revoked'));
    await eventually(() => notifier.pushes.length === 1);
    expect(outcomes).toEqual(['delivered']);
    const [dict] = notifier.dicts;
    expect(dict?.getInteger('n')).toBe(-11);
    expect(dict?.getBytes('~')?.toString()).toBe('revoked');
    expect(dict?.getBytes('^')?.equals(device.encryptionKey)).toBe(true);
    expect(dict?.getBytes('')?.toString()).toBe('test');

    await eventually(() => {
      const shown = statistics.snapshot();
      return (shown['notifier'] as { test?: { notifies?: number } }).test?.notifies === 1;
    });
    const stats = json(await notifier.request('admin.get_stats'));
    expect(stats).toMatchObject({
      'alive.test': true,
      'alive.apns': true,
      notifier: { test: { notifies: 1, subscription: 1 }, apns: {} },
      subscriptions: { test: 1, total: 1 },
    });
  });

  it('that is killed costs no push: they come back as retries, and go out when it is there again', async () => {
    const { hive, address } = await openHive();
    const keyPair = randomKeyPair();
    const first = startNotifier({ address, keyPair });
    await present(hive);
    const notifier = hive.notifier('test');
    expect(await notifier?.send(makePush('test', Buffer.from('de')), never)).toEqual({ kind: 'delivered' });
    await eventually(() => first.pushes.length === 1);
    first.kill();
    const refused = await eventually(async () => {
      const outcome = await notifier?.send(makePush('test', Buffer.from('de')), never);
      return outcome?.kind === 'retry' ? outcome : null;
    });
    expect(refused).toMatchObject({ reason: 'unreachable', cause: 'transport', scope: 'notifier' });
    expect(notifier?.health().state).toBe('failing');
    const again = startNotifier({ address, keyPair });
    await eventually(() => notifier?.health().state === 'connected');
    expect((await notifier?.send(makePush('test', Buffer.from('le')), never))?.kind).toBe('delivered');
    await eventually(() => again.pushes.some((push) => push.toString() === 'le'));
  });

  it('that stays away is not even tried, and its clients hear so at once', async () => {
    const { hive, address, handle } = await openHive({ notifierAwayMs: 200 });
    hive.serve(handle);
    const notifier = startNotifier({ address, isManual: true });
    notifier.register();
    await present(hive);
    await eventually(() => hive.notifier('test')?.isPresent() === false);
    expect(await hive.notifier('test')?.send(makePush('test', Buffer.from('de')), never)).toMatchObject({
      kind: 'retry',
      reason: 'away',
      scope: 'notifier',
    });
    expect(await hive.notifier('test')?.validate({ token: 'x' })).toEqual({
      ok: false,
      error: { code: 3, message: 'test notification service timed out' },
    });
    expect(notifier.pushes).toEqual([]);
    notifier.register();
    await present(hive);
  });

  it('of an earlier run is known before it registers again', async () => {
    const { hive, announced } = await openHive({ notifiersExpected: ['apns', 'soon', 'test'] }, [
      'test',
      'apns',
      'bad\nname',
    ]);
    expect(announced.map(({ service }) => service)).toEqual(['soon', 'test']);
    expect((await hive.notifier('test')?.send(makePush('test', Buffer.from('de')), never))?.kind).toBe(
      'retry',
    );
    expect(hive.notifier('test')?.health().state).toBe('idle');
  });

  it('that does not answer a validation in time is error 3, and its own errors reach the client', async () => {
    const { hive, address } = await openHive({ notifierTimeoutMs: 100 });
    const notifier = startNotifier({
      address,
      validate: (_service, info) => (info as { answer: string[] }).answer,
    });
    await present(hive);
    const external = hive.notifier('test');
    expect(await external?.validate({ answer: ['-17', 'no such thing'] })).toEqual({
      ok: false,
      error: { code: -17, message: 'no such thing' },
    });
    expect(await external?.validate({ answer: ['0', 'short'] })).toEqual({
      ok: false,
      error: { code: 4, message: 'An error occured while processing your request' },
    });
    const id = 'i'.repeat(32);
    expect(await external?.validate({ answer: ['00', id, 'more'] })).toEqual({
      ok: true,
      value: { serviceId: id, serviceData: Buffer.from('more') },
    });
    notifier.isSilent = true;
    expect(await external?.validate({ b: [{ z: 1, a: 'ü' }], a: null })).toMatchObject({
      error: { code: 3 },
    });
    expect(notifier.validations.at(-1)?.[1]).toBe('{"a":null,"b":[{"a":"ü","z":1}]}');
  });

  it('that reads slowly slows its pushes down; the queue is bounded and nothing is lost', async () => {
    const { hive, address } = await openHive({
      listener: { sendHighWaterMark: 10, maxMessageBytes: { none: 1e6, admin: 1e6 } },
      roomTimeoutMs: 10_000,
    });
    const notifier = startNotifier({ address, isManual: true });
    notifier.register();
    await present(hive);
    notifier.isDeaf = true;
    const external = hive.notifier('test');
    let delivered = 0;
    const sends = Array.from({ length: 4000 }, (_, number) =>
      Promise.resolve(external?.send(makePush('test', encode(new Map([['n', number]]))), never)).then(
        (outcome) => {
          if (outcome?.kind === 'delivered') delivered += 1;
        },
      ),
    );
    await eventually(() => external?.health().detail === 'full');
    expect(delivered).toBeLessThan(4000);
    notifier.isDeaf = false;
    await Promise.all(sends);
    expect(delivered).toBe(4000);
    await eventually(() => notifier.pushes.length === 4000);
    expect(new Set(notifier.dicts.map((dict) => dict.getInteger('n'))).size).toBe(4000);
  });

  it('cannot take the name of a notifier of ours, nor a name that is none', async () => {
    const { hive, address, announced, metrics } = await openHive({ maxServices: 2 });
    const tool = startNotifier({ address, isManual: true });
    for (const name of ['apns', '', 'x'.repeat(33), 'a\0b', 'a b', '\u0085', 'one', 'two', 'three']) {
      tool.send('admin.register_service', name);
    }
    tool.send('admin.register_service');
    tool.send('admin.register_service', Buffer.from([0xff, 0xfe]));
    await eventually(() => metrics.oxenmqMalformed.of('register-service').value === 9);
    expect(announced.map(({ service }) => service)).toEqual(['one', 'two']);
    expect(hive.services()).toEqual(['one', 'two']);
  });
});

describe('a start', () => {
  it('waits for the notifiers that are expected, and no longer than told', async () => {
    const { hive, address } = await openHive();
    const waiting = hive.expected(['test', 'apns'], 10_000);
    startNotifier({ address });
    expect(await waiting).toEqual([]);
    expect(await hive.expected(['test', 'other'], 20)).toEqual(['other']);
  });

  it('answers the requests that came too early', async () => {
    const { hive, address, handle } = await openHive();
    const tool = startNotifier({ address, isManual: true });
    const early = [tool.request('push.subscribe', '[]'), tool.request('push.unsubscribe', '{}')];
    await tool.request('admin.get_stats');
    hive.serve(handle);
    const [empty, bad] = await Promise.all(early);
    expect(json(empty ?? [])).toEqual([]);
    expect(json(bad ?? [])).toMatchObject({ error: 1 });
    expect(json(await tool.request('push.subscribe'))).toMatchObject({ error: 1 });
    expect(json(await tool.request('push.subscribe', Buffer.alloc(100_001, 0x20)))).toMatchObject({
      error: 1,
    });
    hive.stopServing();
    expect(json(await tool.request('push.subscribe', '[]'))).toMatchObject({ error: 3 });
  });

  it('says why a door cannot be opened', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'waggle-hive-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const { address } = await openHive();
    const opened = async (listen: string) => {
      const result = await openHive({ listen }).then(
        () => 'open',
        (error: Error) => error.message,
      );
      return result;
    };
    expect(await opened(address)).toMatch(/in use/);
    expect(await opened(`ipc://${directory}/none/hive.sock`)).toMatch(/directory .* does not exist/);
    await writeFile(join(directory, 'file'), 'precious');
    expect(await opened(`ipc://${directory}/file`)).toMatch(/is not a socket/);
    expect((await stat(join(directory, 'file'))).size).toBe(8);
    const other = createServer().listen(join(directory, 'used.sock'));
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    expect(await opened(`ipc://${directory}/used.sock`)).toMatch(/in use/);
    expect(await opened('ipc://@abstract')).toMatch(/path of a file/);
    expect(await opened('tcp://203.0.113.1:0')).toMatch(/no such address/);
    expect(await opened(`ipc:///${'x'.repeat(200)}`)).toMatch(/107 bytes/);
  });

  it('takes over the socket file of a process that crashed, for its group and nobody else', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'waggle-hive-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, 'hive.sock');
    await leaveSocketFile(path);
    const { hive, address } = await openHive({ listen: `ipc://${path}` });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    startNotifier({ address });
    await present(hive);
  });
});

describe('the doors', () => {
  it('admit to the CURVE port only the admins when there are any', async () => {
    const admin = randomKeyPair();
    const { hive, address, keyPair } = await openHive({
      listen: null,
      listenCurve: 'tcp://127.0.0.1:0',
      listenCurveAdmins: [admin.publicKey.toString('hex')],
    });
    const stranger = startNotifier({ address, serverKey: keyPair.publicKey, service: 'stranger' });
    const plain = startNotifier({ address, service: 'plain' });
    startNotifier({ address, serverKey: keyPair.publicKey, keyPair: admin });
    await present(hive);
    expect(hive.services()).toEqual(['test']);
    expect([stranger.isGreeted, plain.isGreeted]).toEqual([false, false]);
  });

  it('give everybody the right to subscribe on a public CURVE port, and nothing else', async () => {
    const admin = randomKeyPair();
    const { hive, doors, keyPair, handle } = await openHive({
      listen: null,
      listenCurve: 'tcp://127.0.0.1:0',
      listenCurveAdmin: 'tcp://127.0.0.1:0',
      listenCurveAdmins: [admin.publicKey.toString('hex')],
    });
    hive.serve(handle);
    const [open, closed] = doors;
    expect(doors.map(({ level }) => level)).toEqual(['none', 'admin']);
    const serverKey = keyPair.publicKey;
    // An admin too has only the rights of the door that he came in by.
    const visitor = startNotifier({
      address: open?.address ?? '',
      serverKey,
      keyPair: admin,
      isManual: true,
    });
    expect(json(await visitor.request('push.subscribe', '[]'))).toEqual([]);
    visitor.send('admin.get_stats', 'tag');
    visitor.send('admin.get_stats');
    visitor.register();
    visitor.send('admin.service_stats', 'test', 'de');
    await eventually(() => visitor.others.length === 4);
    expect(visitor.others).toEqual([
      ['FORBIDDEN', 'REPLY', 'tag'],
      ['FORBIDDEN', 'admin.get_stats'],
      ['FORBIDDEN', 'admin.register_service'],
      ['FORBIDDEN', 'admin.service_stats'],
    ]);
    expect(hive.services()).toEqual([]);
    startNotifier({ address: closed?.address ?? '', serverKey, keyPair: admin });
    await present(hive);
  });
});

/** What a killed process leaves behind: a socket that nobody listens at. */
async function leaveSocketFile(path: string): Promise<void> {
  const { execFileSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', script]);
  } catch {
    // Killed, as it should be.
  }
  expect((await stat(path)).isSocket()).toBe(true);
}
