import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { systemClock } from '../../src/domain/clock.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics, type TallyFamily } from '../../src/telemetry/metrics.js';
import { defaultUwpxLimits, type UwpxLimits } from '../../src/uwpx/limits.js';
import { defaultListenerLimits, type ListenerLimits } from '../../src/uwpx/listener-options.js';
import { UwpxListener } from '../../src/uwpx/listener.js';
import type { TestPush } from '../../src/uwpx/port.js';
import { UwpxService } from '../../src/uwpx/service.js';
import { createAuthority, type TestCertificate } from './certificates.js';
import { MemoryUwpxStore } from './memory-uwpx-store.js';
import { UwpxClient } from './uwpx-client.js';

export interface UwpxDoorOptions {
  readonly listener?: Partial<ListenerLimits>;
  readonly limits?: Partial<UwpxLimits>;
  /** Clients are on the list of those without limits. */
  readonly isExempt?: boolean;
}

/** The whole room `src/uwpx` behind a real port, with a store in memory and a WNS that does as it is told. */
export class UwpxDoor {
  readonly store = new MemoryUwpxStore();
  readonly metrics = new Metrics();
  readonly authority = createAuthority();
  readonly testPushes: Parameters<TestPush['send']>[0][] = [];
  sendTestPush: () => Promise<boolean> = () => Promise.resolve(true);
  listener: UwpxListener;
  service: UwpxService;
  port = 0;
  readonly #clients: UwpxClient[] = [];
  readonly #sockets: Socket[] = [];

  private constructor(
    readonly directory: string,
    { listener = {}, limits = {}, isExempt = false }: UwpxDoorOptions,
  ) {
    const parts = {
      clock: systemClock,
      randomBytes: createRandomBytes(),
      metrics: this.metrics,
      log: silentLog(),
    };
    const testPush: TestPush = {
      send: (push) => {
        this.testPushes.push(push);
        return this.sendTestPush();
      },
    };
    this.service = new UwpxService(
      { ...parts, store: this.store, account: null, testPush },
      { pushAddress: 'push@localhost', limits: { ...defaultUwpxLimits, ...limits } },
    );
    this.listener = new UwpxListener(
      {
        ...parts,
        answer: (message, sender) => this.service.answer(message, sender),
        classify: (address) => ({ key: address, isExempt }),
      },
      {
        host: '127.0.0.1',
        port: 0,
        certificateFile: join(directory, 'cert.pem'),
        keyFile: join(directory, 'key.pem'),
      },
      // What every test would wait for is short; what only hangs are cut off by is as it will be.
      { ...defaultListenerLimits, quietMs: 50, lingerMs: 300, ...listener },
    );
  }

  static async open(options: UwpxDoorOptions = {}): Promise<UwpxDoor> {
    const door = new UwpxDoor(await mkdtemp(join(tmpdir(), 'waggle-uwpx-')), options);
    await door.writeCertificate(door.authority.issueServer());
    const port = await door.listener.open();
    if (!port.ok) throw new Error(port.error);
    door.port = port.value;
    return door;
  }

  async writeCertificate({ certPem, keyPem }: TestCertificate): Promise<void> {
    await writeFile(join(this.directory, 'cert.pem'), certPem);
    await writeFile(join(this.directory, 'key.pem'), keyPem);
  }

  async connect(tls: ConnectionOptions = {}): Promise<UwpxClient> {
    const client = await UwpxClient.connect({ port: this.port, ca: this.authority.certPem, tls });
    this.#clients.push(client);
    return client;
  }

  /** A plain connection, of which the server expects a handshake. */
  connectTcp(): Promise<Socket> {
    return new Promise((resolve) => {
      const socket = connectTcp({ host: '127.0.0.1', port: this.port });
      this.#sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('connect', () => resolve(socket));
    });
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await this.listener.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What was counted, by the value of the label. */
export const countsOf = (family: TallyFamily): Record<string, number> =>
  Object.fromEntries([...family.entries()].map(([value, tally]) => [value, tally.value]));
