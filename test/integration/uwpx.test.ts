import { readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { silentLog } from '../../src/telemetry/log.js';
import { defaultListenerLimits } from '../../src/uwpx/listener-options.js';
import { UwpxListener } from '../../src/uwpx/listener.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { countsOf, UwpxDoor, type UwpxDoorOptions } from '../simulators/uwpx-door.js';

interface Vector {
  readonly id: string;
  readonly request: string | readonly string[];
  readonly response: string;
}

const vectors = (
  JSON.parse(readFileSync(new URL('../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
    uwpx: { debug_build: Vector[]; release_build: Vector[] };
  }
).uwpx;

const CHANNEL = 'https://db5p.notify.windows.com/?token=AwYAAABq%2bX0';
const OK = '{"action":"response","status":1,"version":2}\0';
const errorText = (text: string): string =>
  `{"action":"response","error":${JSON.stringify(text)},"status":0,"version":2}\0`;
const MALFORMED = errorText('Malformed JSON.');
const UNKNOWN = errorText('Device id unknown.');
const FAILED = errorText('Internal server error... Failed to process received JSON message.');
const TEST_PUSH_FAILED = errorText('Failed to send test push. Something went wrong...');

const testPush = (device: string): string =>
  JSON.stringify({ version: 2, action: 'request_test_push', device_id: device });
const setChannel = (device: string, version = 2): string =>
  JSON.stringify({ version, action: 'set_channel_uri', device_id: device, channel_uri: CHANNEL });
const setAccounts = (device: string, accounts: readonly object[]): string =>
  JSON.stringify({ version: 2, action: 'set_push_accounts', device_id: device, accounts });

interface AccountsAnswer {
  readonly accounts: readonly {
    readonly account_id: string;
    readonly node: string;
    readonly secret: string;
  }[];
}
const parse = (text: string | null): AccountsAnswer =>
  JSON.parse((text ?? '').slice(0, -1)) as AccountsAnswer;

let door: UwpxDoor;
const open = async (options?: UwpxDoorOptions): Promise<UwpxDoor> => {
  door = await UwpxDoor.open(options);
  return door;
};

afterEach(() => door.close());

/** The server may still be about to notice an end that the client has seen. */
const closedAs = (counts: Record<string, number>): Promise<unknown> =>
  eventually(() => isDeepStrictEqual(countsOf(door.metrics.uwpxClosed), counts), {
    what: `connections closed as ${JSON.stringify(counts)}`,
  });

/** Node and secret are drawn anew. */
const withoutCredentials = (text: string): string =>
  text.replace(/"(node|secret)":"[0-9A-Za-z]+"/g, '"$1":"…"');

/** Where we do better than the program that the vectors were recorded from. Source: spec uwpx-push, 1 to 4. */
const ours: Readonly<Record<string, string>> = {
  'uri https://x.notify.windows.com/?token=a-b': OK,
  'set_accounts (readme name)':
    '{"accounts":[],"action":"response","push_bare_jid":"push@localhost","status":1,"version":2}\0',
  'split in two writes': UNKNOWN,
  'two messages in one write': UNKNOWN + UNKNOWN,
  'v1 bare_jid form': UNKNOWN,
};

describe('the recorded messages, over TLS', () => {
  it.each(['debug_build', 'release_build'] as const)('are answered as recorded (%s)', async (build) => {
    await open({ isExempt: true });
    for (const { id, request, response } of vectors[build]) {
      const expected = withoutCredentials(ours[id] ?? response);
      const client = await door.connect({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
      for (const part of [request].flat()) {
        client.write(part);
        // So that every part is a record of its own.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      let answer = '';
      while (answer.length < expected.length) {
        const text = await client.read();
        if (text === null) break;
        answer += withoutCredentials(text);
      }
      expect({ id, answer }).toEqual({ id, answer: expected });
      client.end();
    }
  });
});

describe('a connection', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s', async (version) => {
    await open();
    const client = await door.connect({ minVersion: version, maxVersion: version });
    expect(client.socket.getProtocol()).toBe(version);
    client.write(`${setChannel('d')}\0`);
    expect(await client.read()).toBe(OK);
  });

  it('is refused with an older TLS, or without any', async () => {
    await open();
    await expect(
      door.connect({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow();
    const plain = await door.connectTcp();
    plain.write(`${setChannel('d')}\0`);
    await new Promise((resolve) => plain.once('close', resolve));
    await eventually(() => countsOf(door.metrics.uwpxConnections)['handshake-failed'] === 2);
    await eventually(() => door.listener.connectionCount === 0);
  });

  it('resumes by ticket, also after the certificate was replaced', async () => {
    await open();
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const limit = { minVersion: version, maxVersion: version };
      const first = await door.connect(limit);
      const tickets: Buffer[] = [];
      first.socket.on('session', (session: Buffer) => tickets.push(session));
      await first.request(JSON.parse(testPush('d')));
      const known = first.socket.getSession();
      const session = await eventually(() => tickets.at(-1) ?? (version === 'TLSv1.2' ? known : undefined));
      await door.writeCertificate(door.authority.issueServer());
      expect(await door.listener.reloadCertificate()).toEqual({ ok: true, value: true });
      const second = await door.connect({ ...limit, session });
      expect({ version, reused: second.socket.isSessionReused() }).toEqual({ version, reused: true });
    }
  });

  it('answers many messages in their order, whatever pieces they come in', async () => {
    await open();
    const client = await door.connect();
    const stream = Array.from(
      { length: 20 },
      (_, index) => `${index % 2 === 0 ? setChannel(`d${index}`) : testPush('nobody')}\0`,
    ).join('');
    for (let at = 0; at < stream.length; at += 37) client.write(stream.slice(at, at + 37));
    for (let index = 0; index < 20; index += 1) {
      expect(await client.read()).toBe(index % 2 === 0 ? OK : UNKNOWN);
    }
  });

  it('answers a message without NUL after a silence, or when the client half-closes', async () => {
    await open({ listener: { quietMs: 30 } });
    const quiet = await door.connect();
    quiet.write(testPush('nobody'));
    expect(await quiet.read()).toBe(UNKNOWN);
    quiet.write(`${testPush('nobody')}\0`);
    expect(await quiet.read()).toBe(UNKNOWN);

    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const ended = await door.connect({ maxVersion });
      ended.socket.end(`${setChannel('d')}\0${testPush('nobody')}`);
      expect([await ended.read(), await ended.read(), await ended.read()]).toEqual([OK, UNKNOWN, null]);
      const broken = await door.connect({ maxVersion });
      broken.socket.end('{"version":2,');
      expect([await broken.read(), await broken.read()]).toEqual([MALFORMED, null]);
    }
  });

  it('waits for the rest of a message whose sender pauses in the middle', async () => {
    await open({ listener: { quietMs: 10 } });
    const client = await door.connect();
    const text = `${testPush('nobody')}\0`;
    client.write(text.slice(0, 20));
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.write(text.slice(20));
    expect(await client.read()).toBe(UNKNOWN);
  });

  it('sends an answer in one piece', async () => {
    await open();
    const client = await door.connect();
    client.write(`${setChannel('d')}\0`);
    await client.read();
    const accounts = Array.from({ length: 19 }, (_, index) => ({ account_id: `${index}`.padStart(64, '0') }));
    client.write(`${setAccounts('d', accounts)}\0`);
    const answer = await client.read();
    expect(parse(answer).accounts).toHaveLength(19);
    expect(client.pieces).toHaveLength(2);
    expect(Buffer.byteLength(answer ?? '')).toBeLessThan(4096);
  });

  it('ends when the client ends, and leaves nothing behind', async () => {
    await open();
    const client = await door.connect();
    await client.request(JSON.parse(setChannel('d')));
    client.end();
    await client.closed;
    await eventually(() => door.listener.connectionCount === 0);
    await closedAs({ done: 1 });
  });
});

describe('registering', () => {
  it('keeps node and secret of what is named again, removes what is not, in the order of the request', async () => {
    await open();
    const client = await door.connect();
    await client.request(JSON.parse(setChannel('d')));
    const ask = async (...ids: string[]) => {
      client.write(
        `${setAccounts(
          'd',
          ids.map((account_id) => ({ account_id })),
        )}\0`,
      );
      return parse(await client.read()).accounts;
    };
    const [a, b] = await ask('a', 'b');
    expect(await ask('c', 'b')).toEqual([expect.objectContaining({ account_id: 'c' }), b]);
    const [again] = await ask('a');
    expect(again?.node).not.toBe(a?.node);
    // A new channel changes nothing about accounts.
    await client.request(JSON.parse(setChannel('d')));
    expect(await ask('a')).toEqual([again]);
  });

  it('sends test pushes in the form of the protocol that the device speaks', async () => {
    await open();
    const client = await door.connect();
    for (const version of [1, 2]) {
      await client.request(JSON.parse(setChannel('d', version)));
      client.write(`${testPush('d')}\0`);
      expect(await client.read()).toBe(OK);
    }
    expect(door.testPushes).toEqual([
      { deviceId: 'd', channelUri: CHANNEL, body: '<test/>' },
      { deviceId: 'd', channelUri: CHANNEL, body: '{"action":"test_push","version":2}' },
    ]);
    door.sendTestPush = () => Promise.resolve(false);
    client.write(`${testPush('d')}\0`);
    expect(await client.read()).toBe(TEST_PUSH_FAILED);
    door.store.forgetChannel('d');
    client.write(`${testPush('d')}\0${setAccounts('d', [])}\0`);
    expect([await client.read(), await client.read()]).toEqual([UNKNOWN, UNKNOWN]);
  });

  it('answers in time while the store hangs or fails, and goes on when it is back', async () => {
    await open({ limits: { answerTimeoutMs: 50, messagesInProgress: 2 } });
    const client = await door.connect();
    let release = (): void => undefined;
    door.store.before = () => new Promise((resolve) => (release = resolve));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      client.write(`${setChannel('d')}\0`);
      expect(await client.read()).toBe(FAILED);
    }
    expect(door.service.inProgress).toBe(2);
    door.store.before = () => Promise.reject(new Error('away'));
    release();
    await eventually(() => door.service.inProgress === 1);
    client.write(`${setChannel('d')}\0`);
    expect(await client.read()).toBe(FAILED);
    door.store.before = () => Promise.resolve();
    client.write(`${setChannel('d')}\0`);
    expect(await client.read()).toBe(OK);
    expect(countsOf(family('set-channel'))).toEqual({
      timeout: 2,
      busy: 1,
      failed: 1,
      ok: 1,
    });
  });

  it('takes 1,000 registrations over kept connections', async () => {
    await open({ isExempt: true });
    const connections = 20;
    const clients = await Promise.all(Array.from({ length: connections }, () => door.connect()));
    const before = process.cpuUsage();
    const startMs = performance.now();
    await Promise.all(
      clients.map(async (client, index) => {
        for (let turn = 0; turn < 1000 / connections; turn += 1) {
          const device = `${index}-${turn}`.padStart(64, '0');
          await client.request(JSON.parse(setChannel(device)));
          await client.request(JSON.parse(setAccounts(device, [{ account_id: 'a' }, { account_id: 'b' }])));
        }
      }),
    );
    const { user, system } = process.cpuUsage(before);
    const perSecond = 1000 / ((performance.now() - startMs) / 1000);
    console.log(
      `uwpx: ${Math.round(perSecond)} registrations/s (two messages each), ` +
        `${Math.round((user + system) / 1000)} µs CPU each with the client in the same process`,
    );
    expect(door.store.devices.size).toBe(1000);
    expect(perSecond).toBeGreaterThan(200);
  });
});

const family = (request: string) => {
  for (const [name, entries] of door.metrics.uwpxMessages.entries()) if (name === request) return entries;
  throw new Error(`nothing counted for ${request}`);
};

describe('limits', () => {
  it('let an address bring so many devices; those that are there may still change', async () => {
    await open({ limits: { newDevicesBurst: 2, newDevicesPerHour: 1 } });
    const client = await door.connect();
    const answers: (string | null)[] = [];
    for (const device of ['a', 'b', 'c', 'a', 'b', 'a', 'd']) {
      client.write(`${setChannel(device)}\0`);
      answers.push(await client.read());
    }
    expect(answers).toEqual([OK, OK, FAILED, OK, OK, OK, FAILED]);
    expect([...door.store.devices.keys()]).toEqual(['a', 'b']);
    expect(countsOf(family('set-channel'))).toEqual({ ok: 5, limited: 2 });
  });

  it('hold a store that is full, accounts of a device, test pushes of a device, messages of an address', async () => {
    await open({
      limits: {
        accountsPerDevice: 3,
        testPushesBurst: 2,
        testPushesPerHour: 1,
        messagesBurst: 9,
        messagesPerMinute: 1,
      },
      listener: { faultsMax: 3 },
    });
    door.store.maxDevices = 1;
    const client = await door.connect();
    const ask = async (text: string) => {
      client.write(`${text}\0`);
      return client.read();
    };
    expect(await ask(setChannel('a'))).toBe(OK);
    expect(await ask(setChannel('b'))).toBe(FAILED);
    const many = Array.from({ length: 10 }, (_, index) => ({ account_id: `${index}` }));
    const answer = parse(await ask(setAccounts('a', many)));
    expect(answer.accounts.map(({ account_id: id }) => id)).toEqual(['0', '1', '2']);
    const pushes = [await ask(testPush('a')), await ask(testPush('a')), await ask(testPush('a'))];
    expect(pushes).toEqual([OK, OK, TEST_PUSH_FAILED]);
    for (let rest = 0; rest < 3; rest += 1) expect(await ask(testPush('nobody'))).toBe(UNKNOWN);
    // Whoever goes on is cut off.
    expect([await ask(testPush('a')), await ask(testPush('a')), await ask(testPush('a'))]).toEqual([
      FAILED,
      FAILED,
      FAILED,
    ]);
    expect(await client.read()).toBeNull();
    await closedAs({ faults: 1 });
  });

  it('refuse connections beyond so many of an address, and of all', async () => {
    await open({ listener: { connectionsPerAddress: 5 } });
    const kept = await Promise.all(Array.from({ length: 5 }, () => door.connect()));
    const refused = await Promise.allSettled(Array.from({ length: 100 }, () => door.connect()));
    expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ secured: 5, 'address-full': 100 });
    kept[0]?.destroy();
    await eventually(() => door.listener.connectionCount === 4);
    const next = await door.connect();
    next.write(`${setChannel('d')}\0`);
    expect(await next.read()).toBe(OK);
    await door.close();

    await open({ listener: { connectionsMax: 3 }, isExempt: true });
    await Promise.all(Array.from({ length: 3 }, () => door.connect()));
    await expect(door.connect()).rejects.toThrow();
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ secured: 3, full: 1 });
  });

  it('refuse connections of an address that makes them one after the other', async () => {
    await open({ listener: { newConnectionsBurst: 4, newConnectionsPerMinute: 1 } });
    const ask = async (): Promise<void> => {
      const client = await door.connect();
      await client.request(JSON.parse(setChannel('d')));
      client.destroy();
    };
    for (let times = 0; times < 4; times += 1) await ask();
    await expect(door.connect()).rejects.toThrow();
    await expect(door.connect()).rejects.toThrow();
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ secured: 4, limited: 2 });
    await door.close();
    await open({ listener: { newConnectionsBurst: 1, newConnectionsPerMinute: 1 }, isExempt: true });
    for (let times = 0; times < 4; times += 1) await ask();
  });

  it('let a new handshake take the place of the oldest that is not done', async () => {
    await open({ listener: { handshakesMax: 10 } });
    const idle = await Promise.all(Array.from({ length: 10 }, () => door.connectTcp()));
    const client = await door.connect();
    client.write(`${setChannel('d')}\0`);
    expect(await client.read()).toBe(OK);
    await eventually(
      () => idle.filter((socket) => socket.readyState === 'open').length < 10 || idle[0]?.destroyed,
    );
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ evicted: 1, secured: 1 });
  });
});

describe('a hostile client', () => {
  it('that is slow with its handshake is cut off, however busy it looks', async () => {
    await open({ listener: { handshakeTimeoutMs: 150 } });
    const silent = await door.connectTcp();
    const dripping = await door.connectTcp();
    // The head of a record of 512 bytes, then a byte now and then.
    dripping.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    const drip = setInterval(() => dripping.write(Buffer.from([0])), 20);
    const startMs = performance.now();
    await Promise.all([silent, dripping].map((socket) => new Promise((done) => socket.once('close', done))));
    clearInterval(drip);
    expect(performance.now() - startMs).toBeLessThan(2_000);
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ 'handshake-timeout': 2 });
  });

  it('that leaves before its handshake is done is gone at once', async () => {
    await open();
    const leaving = await Promise.all(Array.from({ length: 4 }, () => door.connectTcp()));
    const [silent, half, ended, reset] = leaving;
    silent?.destroy();
    half?.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), () => half.destroy());
    ended?.end();
    reset?.resetAndDestroy();
    await eventually(() => door.listener.connectionCount === 0, { timeoutMs: 2_000 });
    const { gone = 0, 'handshake-failed': failed = 0 } = countsOf(door.metrics.uwpxConnections);
    expect(gone + failed).toBe(4);
  });

  it('that is slow with its message is cut off, however busy it looks', async () => {
    await open({ listener: { idleTimeoutMs: 200 } });
    const silent = await door.connect();
    const dripping = await door.connect();
    const drip = setInterval(() => dripping.write('{'), 20);
    await Promise.all([silent.closed, dripping.closed]);
    clearInterval(drip);
    await closedAs({ idle: 2 });
  });

  it('that sends 10 MB without a NUL gets its answer and no more', async () => {
    await open();
    const client = await door.connect();
    const piece = Buffer.alloc(65_536, 'a');
    for (let sent = 0; sent < 160; sent += 1) client.write(piece);
    expect(await client.read()).toBe(MALFORMED);
    await client.closed;
    await eventually(() => door.listener.connectionCount === 0);
    await closedAs({ 'too-long': 1 });
  });

  it('may send a message of 64 KiB, and none that is longer, NUL or not', async () => {
    await open();
    const longest = testPush('nobody').padEnd(65_536);
    const client = await door.connect();
    client.write(`${longest}\0`);
    expect(await client.read()).toBe(UNKNOWN);
    client.write(`${longest} \0`);
    expect([await client.read(), await client.read()]).toEqual([MALFORMED, null]);
  });

  it('that sends nonsense gets one answer for each, and is closed after so many', async () => {
    await open();
    const nonsense = [
      '',
      'null',
      '"text"',
      '['.repeat(60_000),
      `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
      '{"version":2,"action":"request_test_push","device_id":"\\u0000"}',
      '{"version":2,"action":"request_test_push","device_id":"\\ud800"}',
      '{"__proto__":{"version":2,"action":"request_test_push","device_id":"d"}}',
    ];
    const client = await door.connect();
    for (const text of nonsense) {
      client.write(`${text}\0`);
      expect(await client.read()).toMatch(/"(Malformed JSON|Invalid JSON message)\."/);
    }
    client.write(
      Buffer.concat([
        Buffer.from('{"version":2,"action":"'),
        Buffer.from([0xff, 0xfe, 0xc0]),
        Buffer.from('"}\0'),
      ]),
    );
    expect(await client.read()).toBe(MALFORMED);
    client.write('\0\0\0\0\0\0\0\0');
    expect([await client.read(), await client.read()]).toEqual([MALFORMED, null]);
    await closedAs({ faults: 1 });
  });

  it('that reads no answers is cut off, and holds back no more than one', async () => {
    await open({ listener: { writeTimeoutMs: 200 }, isExempt: true, limits: { accountsPerDevice: 700 } });
    const client = await door.connect();
    await client.request(JSON.parse(setChannel('d')));
    client.socket.pause();
    const accounts = Array.from({ length: 600 }, (_, index) => ({
      account_id: `${index}`.padStart(64, '0'),
    }));
    const message = `${setAccounts('d', accounts)}\0`;
    for (let sent = 0; sent < 200; sent += 1) client.write(message);
    await eventually(() => countsOf(door.metrics.uwpxClosed)['slow-reader'] === 1);
    expect(countsOf(family('set-accounts'))['ok']).toBeLessThan(200);
    await eventually(() => door.listener.connectionCount === 0);
  });

  it('may vanish at any moment', async () => {
    await open();
    let release = (): void => undefined;
    door.store.before = () => new Promise((resolve) => (release = resolve));
    const asking = await door.connect();
    asking.write(`${setChannel('d')}\0`);
    await eventually(() => door.service.inProgress === 1);
    asking.destroy();
    release();
    const half = await door.connect();
    half.write('{"version":');
    half.destroy();
    const plain = await door.connectTcp();
    plain.resetAndDestroy();
    await eventually(() => door.listener.connectionCount === 0);
    await eventually(() => door.store.devices.size === 1);
    expect(countsOf(door.metrics.uwpxConnections)).toEqual({ secured: 2, gone: 1 });
  });

  it('cannot renegotiate', async () => {
    await open();
    const client = await door.connect({ maxVersion: 'TLSv1.2' });
    const error = await new Promise<Error | null>((resolve) => {
      client.socket.once('error', resolve);
      if (!client.socket.renegotiate({}, resolve)) resolve(new Error('not sent'));
    });
    expect(error).toBeInstanceOf(Error);
    const other = await door.connect();
    other.write(`${setChannel('d')}\0`);
    expect(await other.read()).toBe(OK);
  });
});

describe('the certificate', () => {
  const serialOf = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port: door.port, ca: door.authority.certPem }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
    });

  it('is read again when its files change; kept connections go on; a pair that does not fit is left alone', async () => {
    await open({ listener: { certificateCheckMs: 20 } });
    const client = await door.connect();
    const before = await serialOf();
    const renewed = door.authority.issueServer();
    await door.writeCertificate({ certPem: renewed.certPem, keyPem: createAuthority().keyPem });
    expect(await door.listener.reloadCertificate()).toMatchObject({ ok: false });
    expect(await serialOf()).toBe(before);
    await door.writeCertificate(renewed);
    await eventually(async () => (await serialOf()) !== before);
    expect(door.listener.certificateExpiresAtMs).toBeGreaterThan(Date.now());
    client.write(`${setChannel('d')}\0`);
    expect(await client.read()).toBe(OK);
  });

  it('keeps the door shut when it cannot be read, and says which file', async () => {
    await open();
    await door.writeCertificate({ certPem: 'none', keyPem: 'none' });
    const result = await door.listener.reloadCertificate();
    expect(result).toMatchObject({ ok: false });
    expect(JSON.stringify(result)).toContain('certificateFile');
  });
});

describe('the door', () => {
  it('stays shut where another program listens, and without a certificate, and says why', async () => {
    await open();
    const address = {
      host: '127.0.0.1',
      port: door.port,
      certificateFile: join(door.directory, 'cert.pem'),
      keyFile: join(door.directory, 'key.pem'),
    };
    const second = (changes: Partial<typeof address>) =>
      new UwpxListener(
        {
          answer: () => Promise.reject(new Error('nobody asks')),
          classify: (key) => ({ key, isExempt: false }),
          randomBytes: createRandomBytes(),
          clock: systemClock,
          metrics: door.metrics,
          log: silentLog(),
        },
        { ...address, ...changes },
        defaultListenerLimits,
      ).open();
    expect(await second({})).toEqual({ ok: false, error: `cannot listen on port ${door.port} (EADDRINUSE)` });
    expect(await second({ keyFile: join(door.directory, 'none.pem') })).toEqual({
      ok: false,
      error: 'keyFile: cannot read the file (ENOENT)',
    });
  });
});

describe('a stop', () => {
  it('answers what is being answered, refuses what is new, and is over in time', async () => {
    await open({ listener: { drainMs: 2_000 } });
    const idle = await door.connect();
    const half = await door.connectTcp();
    await eventually(() => door.listener.connectionCount === 2);
    let release = (): void => undefined;
    door.store.before = () => new Promise((resolve) => (release = resolve));
    const asking = await door.connect();
    asking.write(`${setChannel('d')}\0${setChannel('e')}\0`);
    await eventually(() => door.service.inProgress === 1);
    const closing = door.listener.close();
    await expect(door.connect()).rejects.toThrow();
    door.store.before = () => Promise.resolve();
    release();
    expect([await asking.read(), await asking.read()]).toEqual([OK, null]);
    await closing;
    expect(await idle.read()).toBeNull();
    await eventually(() => half.destroyed);
    await eventually(() => door.listener.connectionCount === 0);
  });

  it('does not wait longer than its limit for a store that hangs', async () => {
    await open({ listener: { drainMs: 100 } });
    door.store.before = () => new Promise(() => undefined);
    const asking = await door.connect();
    asking.write(`${setChannel('d')}\0`);
    await eventually(() => door.service.inProgress === 1);
    const startMs = performance.now();
    await door.listener.close();
    expect(performance.now() - startMs).toBeLessThan(2_000);
    await eventually(() => door.listener.connectionCount === 0);
  });
});
