import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import type { UwpxPushAccount } from '../simulators/uwpx-app.js';
import { HonestTraffic, until } from './hostile-support.js';
import { uwpxPort, UwpxScene } from './uwpx-support.js';

vi.setConfig({ testTimeout: 60_000 });

const MEBIBYTE = 1024 * 1024;
const CONNECTIONS = 10_000;
/** Of those. */
const STAYING = 500;
const ADDRESSES = 125;
const NEW_DEVICES = 20;
const ACCOUNTS = 300;
const MESSAGES = 100;
const HANDSHAKE_TIMEOUT_MS = 20_000;
const IDLE_TIMEOUT_MS = 1_500;

const FAILED = 'Internal server error... Failed to process received JSON message.';
const MALFORMED = 'Malformed JSON.';
const testPush = (device: string): string =>
  `{"version":2,"action":"request_test_push","device_id":"${device}"}\0`;
const setChannel = (device: string): string =>
  `{"version":2,"action":"set_channel_uri","device_id":"${device}","channel_uri":"https://a.notify.windows.com/?token=a"}\0`;

/** Every test has addresses of its own: what one has used up is not there for the next. */
const addressOf = (test: number, index = 1): string => `127.0.${test}.${index}`;

describe('UWPX clients that mean harm', () => {
  let scene: UwpxScene;
  let honest: HonestTraffic;
  let account: UwpxPushAccount;
  let sockets: Socket[] = [];
  let lines = 0;
  let resident = 0;

  const counted = (result: string): Promise<number> =>
    scene.server.metric(`waggle_uwpx_connections_total{result="${result}"}`);
  /** Left before the handshake, before or while we looked at them. */
  const gone = async (): Promise<number> => (await counted('gone')) + (await counted('handshake-failed'));
  const closed = (reason: string): Promise<number> =>
    scene.server.metric(`waggle_uwpx_closed_total{reason="${reason}"}`);
  const messages = (request: string, result: string): Promise<number> =>
    scene.server.metric(`waggle_uwpx_messages_total{request="${request}",result="${result}"}`);

  beforeAll(async () => {
    scene = await UwpxScene.start({
      config: {
        // The tests' own address is ours, all others of the loopback network are the world's.
        http: { rateLimitExempt: ['127.0.0.1/32'], maxConnections: 1_000 },
        uwpx: {
          maxConnections: 12_000,
          maxConnectionsPerAddress: 100,
          maxAccountsPerDevice: ACCOUNTS,
          maxHandshakes: 12_000,
          handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
          idleTimeoutMs: IDLE_TIMEOUT_MS,
          writeTimeoutMs: 500,
          quietMs: 100,
          newDevicesBurst: NEW_DEVICES,
          newDevicesPerHour: 1,
          messagesBurst: MESSAGES,
          messagesPerMinute: 1,
        },
      },
    });
    const app = scene.app();
    [account] = await app.register('juliet@example.org');
    honest = new HonestTraffic(async () => {
      const { status } = await app.setChannel();
      return status === 1 && (await scene.publish(account)) === 'result';
    });
    honest.begin();
    await until(1_500);
    await honest.end();
    resident = await scene.server.residentBytes();
  });
  beforeEach(() => {
    lines = scene.server.output().split('\n').length;
    honest.begin();
  });
  afterEach(async () => {
    const { count, refused, p99Ms } = await honest.end();
    for (const socket of sockets) socket.destroy();
    sockets = [];
    expect(scene.server.isRunning).toBe(true);
    expect(refused).toBe(0);
    expect(count).toBeGreaterThan(0);
    expect(p99Ms).toBeLessThan(3_000);
    expect(scene.server.output().split('\n').length - lines).toBeLessThan(20);
    expect((await scene.server.residentBytes()) - resident).toBeLessThan(500 * MEBIBYTE);
  });
  afterAll(() => scene.close());

  /** Connected, or refused: resolves with neither data nor an error. */
  function openTcp(localAddress: string): Promise<Socket> {
    const socket = connectTcp({ host: '127.0.0.1', port: uwpxPort(scene.server), localAddress });
    sockets.push(socket);
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(socket));
      socket.on('error', () => resolve(socket));
      socket.resume();
    });
  }

  function openTls(localAddress: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const port = uwpxPort(scene.server);
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      localAddress,
      rejectUnauthorized: false,
      ...options,
    } as ConnectionOptions);
    sockets.push(socket);
    return new Promise((resolve, reject) => {
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
      socket.on('error', () => undefined);
    });
  }

  /** All that comes until the server ends. */
  function endOf(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return new Promise((resolve) => {
      socket.once('close', () => resolve(text));
      socket.once('end', () => socket.destroy());
    });
  }

  const errorsIn = (text: string): string[] =>
    text
      .split('\0')
      .filter((part) => part !== '')
      .map((part) => (JSON.parse(part) as { readonly error?: string }).error ?? 'ok');

  async function openMany(count: number, test: number): Promise<void> {
    for (let opened = 0; opened < count; opened += 500) {
      await Promise.all(
        Array.from({ length: Math.min(500, count - opened) }, (_, index) =>
          openTcp(addressOf(test, 1 + ((opened + index) % ADDRESSES))),
        ),
      );
    }
  }

  it('10,000 connections without a handshake are held for their time, and are gone after it', async () => {
    const before = { late: await counted('handshake-timeout'), gone: await gone() };
    const half = await openTcp(addressOf(3));
    half.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]));
    const slow = await openTcp(addressOf(3));
    slow.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    const drip = setInterval(() => slow.write(Buffer.from([1])), 100);
    await openMany(CONNECTIONS, 1);
    // The last ones may still be waiting to be accepted.
    await eventually(async () => (await scene.server.metric('process_open_fds')) > CONNECTIONS, {
      what: 'all of them at once',
    });
    const leaving = CONNECTIONS - STAYING;
    for (const socket of sockets.slice(-leaving)) socket.destroy();
    await eventually(async () => (await gone()) - before.gone === leaving, { timeoutMs: 20_000 });
    await eventually(async () => (await counted('handshake-timeout')) - before.late === STAYING + 2, {
      timeoutMs: HANDSHAKE_TIMEOUT_MS + 10_000,
      what: 'the end of those who stay',
    });
    clearInterval(drip);
    await eventually(async () => (await scene.server.metric('process_open_fds')) < 500);
  });

  it('of one address, those beyond its share are refused, and later those beyond its share of a while', async () => {
    const before = [await counted('address-full'), await counted('limited')];
    await Promise.all(Array.from({ length: 150 }, () => openTcp(addressOf(2))));
    await eventually(async () => (await counted('address-full')) - (before[0] ?? 0) === 50);
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 150 }, () => openTcp(addressOf(2))));
    }
    await eventually(
      async () => (await counted('limited')) - (before[1] ?? 0) >= 5 * 150 + 150 - 2 * MESSAGES - 5,
    );
  });

  it('plain text and nonsense in place of a handshake end at once', async () => {
    const before = await counted('handshake-failed');
    const nonsense = [
      'GET / HTTP/1.1\r\n\r\n',
      testPush('x'),
      randomBytes(20_000),
      Buffer.alloc(100_000),
      Buffer.from([0x15, 3, 1, 0, 2, 2, 40]),
    ];
    for (const bytes of nonsense) (await openTcp(addressOf(3))).write(bytes);
    await eventually(async () => (await counted('handshake-failed')) - before === nonsense.length);
  });

  it('a second handshake on a connection, and older versions, are not to be had', async () => {
    const before = await closed('lost');
    const socket = await openTls(addressOf(4), { maxVersion: 'TLSv1.2' });
    const outcome = new Promise<boolean>((resolve) => {
      socket.once('close', () => resolve(false));
      socket.renegotiate({}, (error) => resolve(error === null));
    });
    expect(await outcome).toBe(false);
    socket.destroy();
    await eventually(async () => (await closed('lost')) > before);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    await expect(openTls(addressOf(4), old)).rejects.toThrow();
  });

  it('messages too long, without end, byte by byte, and those who read nothing are cut off', async () => {
    const before = {
      tooLong: await closed('too-long'),
      idle: await closed('idle'),
      slow: await closed('slow-reader'),
    };
    const long = await openTls(addressOf(5));
    const longEnd = endOf(long);
    long.write(`${testPush('x').slice(0, -1).padEnd(65_537)}\0${testPush('x')}`);
    expect(errorsIn(await longEnd)).toEqual([MALFORMED]);

    const endless = await openTls(addressOf(5));
    const endlessEnd = endOf(endless);
    let written = 0;
    while (!endless.destroyed && written < 50 * MEBIBYTE) {
      endless.write(Buffer.alloc(MEBIBYTE, 'x'));
      written += MEBIBYTE;
      await until(5);
    }
    await endlessEnd;
    expect(written).toBeLessThan(50 * MEBIBYTE);
    await eventually(async () => (await closed('too-long')) - before.tooLong === 2);

    const dripping = await openTls(addressOf(5));
    const drip = setInterval(() => dripping.write('{'), 20);
    await endOf(dripping);
    clearInterval(drip);
    await eventually(async () => (await closed('idle')) - before.idle >= 1);

    // The tests' own address has no limits but those of a connection.
    const deaf = await openTls('127.0.0.1');
    deaf.pause();
    const accounts = Array.from({ length: ACCOUNTS }, (_, index) => ({
      account_id: `${index}`.padStart(64, '0'),
    }));
    const device = randomBytes(32).toString('hex');
    const ask = JSON.stringify({ version: 2, action: 'set_push_accounts', device_id: device, accounts });
    deaf.write(setChannel(device) + `${ask}\0`.repeat(1_000));
    await eventually(async () => (await closed('slow-reader')) - before.slow === 1, { timeoutMs: 30_000 });
  });

  it('nonsense is told so, so many times', async () => {
    const before = await closed('faults');
    const deep = 60_000;
    const nonsense: (string | Buffer)[] = [
      '['.repeat(deep),
      `${'['.repeat(deep / 2)}${']'.repeat(deep / 2)}`,
      `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
      `{"version":${'9'.repeat(60_000)},"action":"request_test_push","device_id":"d"}`,
      '{"version":1e999,"action":"request_test_push","device_id":"d"}',
      '{"version":2,"version":7,"action":"request_test_push","device_id":"d"}',
      '{"__proto__":{"version":2,"device_id":"d"},"action":"request_test_push"}',
      '{"constructor":{"prototype":{"version":2}},"action":"request_test_push","version":2}',
      Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0xff, 0xfe, 0x22, 0x7d]),
      '{"version":2,"action":"set_push_accounts","device_id":"d","accounts":{"length":1e9}}',
    ];
    const socket = await openTls(addressOf(6));
    const end = endOf(socket);
    for (const text of nonsense) socket.write(Buffer.concat([Buffer.from(text), Buffer.alloc(1)]));
    const errors = errorsIn(await end);
    expect(errors).toHaveLength(nonsense.length);
    expect(new Set(errors)).toEqual(new Set([MALFORMED, 'Invalid JSON message.']));
    await eventually(async () => (await closed('faults')) === before + 1);
  });

  it('a million small messages cost their sender the connection', async () => {
    const before = await closed('faults');
    const socket = await openTls(addressOf(7));
    const end = endOf(socket);
    const piece = '{}\0'.repeat(100_000);
    for (let sent = 0; sent < 10 && !socket.destroyed; sent += 1) socket.write(piece);
    await end;
    await eventually(async () => (await closed('faults')) === before + 1);
    const others = await openTls(addressOf(8));
    const othersEnd = endOf(others);
    others.write(testPush('nobody').repeat(10_000));
    const errors = errorsIn(await othersEnd);
    expect(errors.filter((error) => error === 'Device id unknown.')).toHaveLength(MESSAGES);
    expect(errors.length).toBeLessThanOrEqual(MESSAGES + 10);
    expect(errors.at(-1)).toBe(FAILED);
    expect(await messages('unknown', 'limited')).toBeGreaterThan(0);
  });

  it('an address brings so many devices, an app so many accounts', async () => {
    const socket = await openTls(addressOf(9));
    const end = endOf(socket);
    for (let index = 0; index < 60; index += 1) socket.write(setChannel(randomBytes(32).toString('hex')));
    socket.end();
    const errors = errorsIn(await end);
    expect(errors.filter((error) => error === 'ok')).toHaveLength(NEW_DEVICES);
    expect(errors.filter((error) => error === FAILED)).toHaveLength(60 - NEW_DEVICES);
    expect(await messages('set-channel', 'limited')).toBe(60 - NEW_DEVICES);
    const app = scene.app();
    await app.setChannel();
    const answer = await app.askForAccounts(
      Array.from({ length: 500 }, (_, index) => `u${index}@example.org`),
    );
    expect(answer.accounts?.length).toBe(ACCOUNTS);
  });

  it('at the limit of open files what is there goes on, and what is new is let in when there is room again', async () => {
    // Those who connect anew are not served for a while: that is what the limit is about.
    await honest.end();
    const limitTo = (files: string): Promise<unknown> =>
      promisify(execFile)('prlimit', ['--pid', String(scene.server.pid), `--nofile=${files}`]);
    const { stdout } = await promisify(execFile)('prlimit', [
      '--pid',
      String(scene.server.pid),
      '--nofile',
      '--output',
      'SOFT,HARD',
      '--noheadings',
    ]);
    const [soft = '', hard = ''] = stdout.trim().split(/\s+/);
    const openFiles = await scene.server.metric('process_open_fds');
    const kept = await openTls('127.0.0.1');
    await limitTo(`${openFiles + 100}:${hard}`);
    try {
      await openMany(1_000, 10);
      expect(scene.server.isRunning).toBe(true);
      // The connections that are there: of the XMPP server, to WNS, of a client.
      for (let n = 0; n < 5; n += 1) expect(await scene.publish(account)).toBe('result');
      kept.write(testPush('nobody'));
      const answer = new Promise<string>((resolve) =>
        kept.once('data', (data: Buffer) => resolve(data.toString())),
      );
      expect(errorsIn(await answer)).toEqual(['Device id unknown.']);
      for (const socket of sockets) socket.destroy();
      // Also without a higher limit.
      expect((await scene.app().setChannel()).status).toBe(1);
    } finally {
      await limitTo(`${soft}:${hard}`);
    }
    expect(await scene.server.metric('waggle_stage_failures_total')).toBe(0);
    honest.begin();
    await until(500);
  });
});
