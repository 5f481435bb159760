import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { createPkcs12 } from '../simulators/pkcs12.js';
import { createProviderDevice, ProviderDevice } from '../simulators/provider-devices.js';
import { EXTERNAL_SERVICE, startProviderWorld, type ProviderWorld } from '../simulators/provider-world.js';
import { startApnsStandIn, type ApnsStandIn } from '../simulators/providers/apns-stand-in.js';
import type { TestApp } from '../simulators/providers/unifiedpush-stand-in.js';
import type { PythonNotifier } from '../simulators/python-notifier.js';
import { ServerProcess } from '../simulators/server-process.js';
import { SessionAccount } from '../simulators/session-client.js';
import { decodePush, show } from '../simulators/session-push.js';
import type { StoredMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage, TOPIC } from '../simulators/world.js';
import { added, subscribe, unsubscribe, untilRegistered } from './support.js';

const CERTIFICATE_SERVICE = 'apns-certificate';
const PASSPHRASE = `pass-${randomBytes(24).toString('hex')}`;
const providerServices = [
  'apns',
  'apns-sandbox',
  'firebase',
  'huawei',
  'wns',
  'webpush',
  'unifiedpush',
] as const;

/** A device with an account of its own and the message that it is to hear of. */
interface Listener {
  readonly name: string;
  readonly account: SessionAccount;
  readonly phone: ProviderDevice;
  readonly message: StoredMessage;
}

/** What must never be seen: the pieces of it by which it is known, each with a name that may be seen. */
class Secrets {
  readonly #pieces = new Map<string, string>();

  get count(): number {
    return this.#pieces.size;
  }

  text(name: string, text: string): void {
    for (const at of [0, Math.floor((text.length - 16) / 2), text.length - 16]) {
      const piece = text.slice(Math.max(0, at), Math.max(0, at) + 16);
      if (piece.length < 12) throw new Error(`${name} is too short to be searched for`);
      this.#pieces.set(piece, name);
    }
  }

  /** In every form in which bytes get into texts; base64 of bytes that begin elsewhere looks different. */
  bytes(name: string, bytes: Buffer): void {
    this.text(name, bytes.toString('hex'));
    this.text(name, bytes.toString('hex').toUpperCase());
    for (const from of [0, 1, 2]) this.text(name, bytes.subarray(from).toString('base64'));
    this.text(name, bytes.toString('base64url'));
    this.text(name, [...bytes].join(','));
  }

  /** Every text of a JSON value that is long enough to be anything. */
  leaves(name: string, value: unknown): void {
    if (typeof value === 'string' && value.length >= 12) this.text(name, value);
    if (typeof value === 'object' && value !== null)
      for (const one of Object.values(value)) this.leaves(name, one);
  }

  /** The names of what is in the text. */
  foundIn(text: string): string[] {
    return [...this.#pieces].filter(([piece]) => text.includes(piece)).map(([, name]) => name);
  }
}

describe('one server with a notifier of every type', () => {
  let world: ProviderWorld;
  let certified: ApnsStandIn;
  let external: PythonNotifier;
  let server: ServerProcess;
  let plainApp: TestApp;
  let listeners: Listener[];
  const secrets = new Secrets();

  beforeAll(async () => {
    const authority = createAuthority();
    const client = authority.issueAppleClient();
    const certificate = authority.issueServer();
    certified = await startApnsStandIn({ certificate, topic: TOPIC, clientCaPem: authority.certPem });
    world = await startProviderWorld({
      network: { verify: true },
      config: {
        log: { level: 'trace' },
        session: { notifiersExpected: [EXTERNAL_SERVICE] },
        notifiers: {
          [CERTIFICATE_SERVICE]: {
            type: 'apns',
            topic: TOPIC,
            pfxFile: 'client.p12',
            pfxPassphrase: PASSPHRASE,
            endpoint: certified.endpoint,
            caFile: 'apple-ca.pem',
          },
        },
      },
    });
    await writeFile(join(world.directory, 'apple-ca.pem'), authority.certPem);
    await writeFile(join(world.directory, 'client.p12'), createPkcs12(client, PASSPHRASE), { mode: 0o600 });
    secrets.text('key of the .p12 file', client.keyPem.split('\n')[2] ?? '');
    external = world.startExternalNotifier();
    server = await ServerProcess.start(world.configFile);
    listeners = createListeners();
    await keepSecret();
  });
  afterAll(async () => {
    await server.close();
    await world.close();
    await certified.close();
  });

  function createListeners(): Listener[] {
    plainApp = world.unifiedpush.register({ withKeys: false });
    const nothing = (): [] => [];
    const token = randomBytes(32).toString('hex');
    const secretWord = randomBytes(16).toString('hex');
    const devices = new Map<string, ProviderDevice>([
      ...providerServices.map((service) => [service, createProviderDevice(world, service)] as const),
      [
        CERTIFICATE_SERVICE,
        new ProviderDevice(CERTIFICATE_SERVICE, 'ios', { token }, () =>
          certified.pushes
            .filter((push) => push.token === token)
            .map(({ body }) => ({ encPayload: String(body['enc_payload']), bodyBytes: null })),
        ),
      ],
      [
        'unifiedpush, plain',
        new ProviderDevice('unifiedpush', 'android', plainApp.serviceInfo(), () =>
          plainApp.received.map((body) => ({
            encPayload: (JSON.parse(body.toString()) as { enc_payload: string }).enc_payload,
            bodyBytes: body.length,
          })),
        ),
      ],
      ['dummy', new ProviderDevice('dummy', 'android', { foo: `TEST-${secretWord}`, bar: 1 }, nothing)],
      [
        EXTERNAL_SERVICE,
        new ProviderDevice(EXTERNAL_SERVICE, 'android', { token: randomBytes(32).toString('hex') }, nothing),
      ],
    ]);
    return [...devices].map(([name, phone]) => {
      const account = SessionAccount.user();
      const text = `to ${name}: ${randomBytes(16).toString('hex')}`;
      return { name, account, phone, message: makeMessage(account, text) };
    });
  }

  /** From here on a leak of anything about them is found. */
  async function keepSecret(): Promise<void> {
    for (const { name, account, phone, message } of listeners) {
      secrets.bytes(`account of ${name}`, account.id);
      secrets.bytes(`account key of ${name}`, account.key.publicKey);
      secrets.bytes(`payload key of ${name}`, phone.encryptionKey);
      secrets.leaves(`service_info of ${name}`, phone.serviceInfo);
      secrets.bytes(`message to ${name}`, message.data);
      secrets.text(`message to ${name}`, message.data.toString().slice(-32));
    }
    const config = parse(await readFile(world.configFile, 'utf8')) as {
      readonly notifiers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    const setting = (service: string, name: string): string =>
      String([config.notifiers[service]?.[name]].flat()[0]);
    secrets.text('app secret', setting('huawei', 'appSecret'));
    secrets.text('client secret', setting('wns', 'clientSecret'));
    secrets.text('passphrase', setting(CERTIFICATE_SERVICE, 'pfxPassphrase'));
    for (const file of [
      join(world.directory, 'apns.p8'),
      setting('apns-sandbox', 'keyFile'),
      setting('webpush', 'vapidKeyFiles'),
    ])
      secrets.text('key file', (await readFile(file, 'utf8')).split('\n')[1] ?? '');
    const account = JSON.parse(await readFile(join(world.directory, 'firebase.json'), 'utf8')) as {
      readonly private_key: string;
    };
    secrets.text('service account', account.private_key.split('\n')[2] ?? '');
    for (const name of ['server', 'onion']) {
      const key = await readKeyFile(join(world.directory, `keys/${name}.x25519`));
      if (!key.ok) throw new Error('the server makes its keys at its first start');
      secrets.bytes(`${name} key`, key.value.secretKey);
    }
  }

  const dummyPushes = (): number => server.output().split('"dummy push"').length - 1;
  const arrivals = ({ phone }: Listener): number => {
    if (phone.service === 'dummy') return dummyPushes();
    return phone.service === EXTERNAL_SERVICE ? external.pushes.length : phone.arrived().length;
  };
  const askAdmin = async (path: string): Promise<string> => (await fetch(server.adminAddress + path)).text();

  it('brings one message to one device of each, and only the device can read it', async () => {
    for (const one of listeners) expect(await subscribe(server.httpAddress, one), one.name).toEqual(added);
    await untilRegistered(
      world.network,
      listeners.map(({ account }) => account.id),
    );
    // Asked whether it is a push server, once for each endpoint at most.
    const discoveries = world.unifiedpush.http.requests;
    expect(discoveries).toBe(world.unifiedpush.discoveries);

    let copies = 0;
    for (const { message } of listeners) copies += world.network.deliver(message);
    expect(copies).toBe(5 * listeners.length);
    for (const one of listeners) await eventually(() => arrivals(one) > 0, { what: `a push by ${one.name}` });
    const duplicates = copies - listeners.length;
    await eventually(async () => (await server.metric('waggle_frames_duplicate_total')) === duplicates);
    await eventually(
      async () => (await server.metric('waggle_pushes_delivered_total')) === listeners.length,
      { what: 'every push settled' },
    );
    expect(listeners.map((one) => [one.name, arrivals(one)])).toEqual(listeners.map(({ name }) => [name, 1]));

    for (const { name, account, phone, message } of listeners) {
      const [push] = phone.arrived();
      if (push === undefined) continue;
      secrets.text(`sealed payload for ${name}`, push.encPayload);
      const opened = decodePush(push.encPayload, phone.encryptionKey);
      expect(opened, name).toMatchObject({ account: account.hex, hash: message.hash, namespace: 0 });
      expect(show(opened, phone.platform), name).toMatchObject({ kind: 'message', data: message.data });
      expect(() => decodePush(push.encPayload, randomBytes(32))).toThrow();
    }
    const told = listeners.find(({ name }) => name === EXTERNAL_SERVICE);
    const [dict] = external.dicts;
    expect(dict?.getBytes('^')).toEqual(told?.phone.encryptionKey);
    expect(dict?.getBytes('&')?.toString()).toBe(told?.phone.token);
    expect(dict?.getBytes('~')).toEqual(told?.message.data);

    // No provider got anything else or found fault with what it got.
    const { apns, apnsSandbox, fcm, hms, wns, pushService, unifiedpush } = world;
    for (const standIn of [apns, apnsSandbox, certified, fcm]) {
      expect([standIn.requests, standIn.accepted, standIn.refusals]).toEqual([1, 1, []]);
    }
    expect([hms.http.requests, hms.accepted]).toEqual([1, 1]);
    expect([wns.http.requests, wns.accepted]).toEqual([1, 1]);
    expect([pushService.http.requests, pushService.delivered]).toEqual([1, 1]);
    expect(unifiedpush.http.requests).toBe(discoveries + 2);
    expect(apns.pushes[0]?.headers.authorization).toMatch(/^bearer /);
    expect(certified.pushes[0]?.headers.authorization).toBeUndefined();
  });

  it('shows operators how each of them is doing', async () => {
    const report = JSON.parse(await askAdmin('/notifiers')) as Readonly<Record<string, object>>;
    const services = new Map(listeners.map(({ phone }) => [phone.service, phone.service]));
    for (const service of [CERTIFICATE_SERVICE, 'apns-sandbox']) services.set(service, 'apns');
    expect(Object.keys(report).sort()).toEqual([...services.keys()].sort());
    for (const [service, type] of services) {
      expect(report[service], service).toMatchObject({
        type,
        health: { state: 'connected' },
        held: 0,
        inFlight: 0,
        pausedUntil: null,
        breaker: 'closed',
      });
    }
    const metrics = await server.metricsText();
    for (const { phone } of listeners)
      expect(metrics).toContain(`waggle_pushes_delivered_total{notifier="${phone.service}"}`);
  });

  it('has said nothing about anybody', async () => {
    const [one] = listeners;
    if (one === undefined) throw new Error('nobody listens');
    for (const { headers } of [...world.apns.pushes, ...world.apnsSandbox.pushes, ...world.fcm.pushes])
      secrets.text('access token', String(headers.authorization).replace(/^bearer /i, ''));
    for (const { headers } of [...world.hms.pushes, ...world.wns.pushes])
      secrets.text('access token', String(headers.authorization).replace(/^bearer /i, ''));
    for (const token of world.pushService.tokens) secrets.text('VAPID token', token);
    const operators = await Promise.all(['/metrics', '/stats', '/notifiers', '/readyz'].map(askAdmin));
    for (const { phone, account } of listeners)
      expect(await unsubscribe(server.httpAddress, { phone, account })).toMatchObject({ removed: true });
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    const said = server.output();
    expect(said.split('\n').length).toBeGreaterThan(listeners.length);
    expect(secrets.foundIn(said)).toEqual([]);
    expect(secrets.foundIn(operators.join('\n'))).toEqual([]);
    expect(said).not.toMatch(/"level":[56]0/);

    // The search finds what is there.
    expect(secrets.count).toBeGreaterThan(500);
    expect(secrets.foundIn(`${said}{"token":"${one.phone.token}"}`)).not.toEqual([]);
    expect(secrets.foundIn(said + PASSPHRASE)).toEqual(['passphrase', 'passphrase', 'passphrase']);
  });
});
