import { constants } from 'node:crypto';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import type { Clock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { RandomBytes } from '../crypto/sodium.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { codeOf, isSameCertificate, readCertificate, type Certificate } from './certificate.js';
import { ConnectionCount, type Admission } from './connection-count.js';
import { LineConnection } from './line-connection.js';
import type { ListenerLimits, UwpxAddress } from './listener-options.js';
import type { UwpxSender } from './port.js';
import type { UwpxReply } from './service.js';
import { TokenBuckets } from '../delivery-rules/token-buckets.js';

export interface ListenerParts {
  /** See `UwpxService.answer`. */
  readonly answer: (message: Uint8Array, sender: UwpxSender) => Promise<UwpxReply>;
  /** What limits count an address as. */
  readonly classify: (address: string) => UwpxSender;
  readonly randomBytes: RandomBytes;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** A connection whose handshake is not done. */
interface Newcomer {
  readonly socket: Socket;
  readonly sender: UwpxSender;
  readonly timer: NodeJS.Timeout;
}

/** How a connection ended that was never secured. */
type Dismissal = 'gone' | 'handshake-failed' | 'handshake-timeout' | 'evicted' | 'stopped';

const TICKET_KEY_BYTES = 48;

/**
 * The door for UWPX: TLS 1.2 or 1.3 from the first byte on, no client certificates. Connections are counted before
 * anything is spent on them: a plain listener takes them, and hands those that are admitted to the TLS server, which
 * itself listens nowhere. Source: spec uwpx-push, section 1.
 */
export class UwpxListener {
  readonly #count: ConnectionCount;
  readonly #newConnections: TokenBuckets;
  readonly #sampled: SampledLog;
  /** Oldest first. */
  readonly #newcomers = new Map<string, Newcomer>();
  readonly #connections = new Set<LineConnection>();
  readonly #timers: NodeJS.Timeout[] = [];
  #tcp: TcpServer | null = null;
  #tls: TlsServer | null = null;
  #certificate: Certificate | null = null;
  #ticketKeys: Buffer;
  #closing: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;

  constructor(
    private readonly parts: ListenerParts,
    private readonly address: UwpxAddress,
    private readonly limits: ListenerLimits,
  ) {
    this.#count = new ConnectionCount(limits);
    this.#newConnections = new TokenBuckets({
      burst: limits.newConnectionsBurst,
      perHour: limits.newConnectionsPerMinute * 60,
      maxKeys: limits.rememberedSenders,
    });
    this.#sampled = new SampledLog(parts.clock);
    this.#ticketKeys = parts.randomBytes(TICKET_KEY_BYTES);
  }

  /** Also those whose handshake is not done. */
  get connectionCount(): number {
    return this.#count.total;
  }

  /** Unix milliseconds; null before `open`. */
  get certificateExpiresAtMs(): number | null {
    return this.#certificate?.expiresAtMs ?? null;
  }

  /** The port; or, for the operator, why not. To be called once. */
  async open(): Promise<Result<number, string>> {
    const certificate = await readCertificate(this.address);
    if (!certificate.ok) return certificate;
    this.#certificate = certificate.value;
    this.#tls = createTlsServer(this.#secureOptions(certificate.value));
    this.#tls.on('secureConnection', (socket) => this.#serve(socket));
    this.#tls.on('tlsClientError', (_error, socket) => this.#handshakeFailed(socket));
    const tcp = createTcpServer({ noDelay: true }, (socket) => this.#admit(socket));
    try {
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject);
        tcp.listen({ host: this.address.host, port: this.address.port }, resolve);
      });
    } catch (error) {
      return fail(`cannot listen on port ${this.address.port} (${codeOf(error)})`);
    }
    tcp.removeAllListeners('error');
    tcp.on('error', (error) => this.#noteTrouble(error));
    this.#tcp = tcp;
    this.#repeat(this.limits.certificateCheckMs, () => void this.reloadCertificate());
    this.#repeat(this.limits.ticketLifetimeMs, () => this.#renewTicketKeys());
    return ok((tcp.address() as AddressInfo).port);
  }

  /** Reads the files again; what does not fit together (perhaps yet) leaves everything as it was. True: changed. */
  async reloadCertificate(): Promise<Result<boolean, string>> {
    const read = await readCertificate(this.address);
    if (!read.ok) {
      this.parts.log.warn({ reason: read.error }, 'UWPX: certificate not renewed, the old one stays in use');
      return read;
    }
    const isSame = this.#certificate !== null && isSameCertificate(read.value, this.#certificate);
    if (isSame || this.#tls === null) return ok(false);
    this.#certificate = read.value;
    this.#tls.setSecureContext(this.#secureOptions(read.value));
    this.parts.log.info('UWPX: certificate renewed');
    return ok(true);
  }

  /** Messages that are being answered get their answers, within `drainMs`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#tcp?.close();
    for (const key of this.#newcomers.keys()) this.#dismiss(key, 'stopped');
    for (const connection of this.#connections) connection.stop();
    await this.#emptied();
    for (const connection of this.#connections) connection.destroy('stopped');
  }

  /** All connections are gone, or `drainMs` are over. */
  async #emptied(): Promise<void> {
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.limits.drainMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #admit(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const key = pairOf(socket);
    const address = socket.remoteAddress;
    if (key === null || address === undefined || this.#closing !== null || this.#tls === null) {
      this.#refuse(socket, 'gone');
      return;
    }
    const sender = this.parts.classify(address);
    const admission = this.#admissionOf(sender);
    if (admission !== 'admitted') {
      this.#refuse(socket, admission);
      return;
    }
    this.#makeRoom();
    // The time limit of node's TLS server begins anew with every byte.
    const timer = setTimeout(() => this.#dismiss(key, 'handshake-timeout'), this.limits.handshakeTimeoutMs);
    const newcomer = { socket, sender, timer };
    this.#newcomers.set(key, newcomer);
    socket.once('close', () => {
      this.#count.release(sender);
      if (this.#newcomers.get(key) === newcomer) this.#dismiss(key, 'gone');
    });
    this.#tls.emit('connection', socket);
  }

  #admissionOf(sender: UwpxSender): Admission {
    const isLimited = !sender.isExempt && !this.#newConnections.take(sender.key, this.parts.clock.nowMs());
    return isLimited ? 'limited' : this.#count.admit(sender);
  }

  /** While no open files are left, every connection is trouble. */
  #noteTrouble(error: Error): void {
    this.#sampled.note('listener', (occurrences) =>
      this.parts.log.warn(
        { failure: codeOf(error), occurrences },
        'UWPX: a connection could not be accepted',
      ),
    );
  }

  #refuse(socket: Socket, result: Dismissal | Admission): void {
    this.parts.metrics.uwpxConnections.of(result).add();
    socket.destroy();
  }

  /** Whoever is honest has shaken hands long before he is the oldest. */
  #makeRoom(): void {
    if (this.#newcomers.size < this.limits.handshakesMax) return;
    const [oldest] = this.#newcomers.keys();
    if (oldest !== undefined) this.#dismiss(oldest, 'evicted');
  }

  #handshakeFailed(socket: TLSSocket): void {
    const key = pairOf(socket);
    if (key !== null) this.#dismiss(key, 'handshake-failed');
    socket.destroy();
  }

  #dismiss(key: string, outcome: Dismissal): void {
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return;
    this.#newcomers.delete(key);
    clearTimeout(newcomer.timer);
    this.#refuse(newcomer.socket, outcome);
  }

  #serve(socket: TLSSocket): void {
    const key = pairOf(socket);
    const newcomer = key === null ? undefined : this.#newcomers.get(key);
    if (key === null || newcomer === undefined) {
      socket.destroy();
      return;
    }
    this.#newcomers.delete(key);
    clearTimeout(newcomer.timer);
    // Not before: who ends in the middle of the handshake has left, and shall not take up room until its time is over.
    socket.allowHalfOpen = true;
    const { metrics, answer } = this.parts;
    metrics.uwpxConnections.of('secured').add();
    const connection = new LineConnection(
      socket,
      (message) => answer(message, newcomer.sender),
      this.limits,
      (reason) => {
        metrics.uwpxClosed.of(reason).add();
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#onEmpty?.();
      },
    );
    this.#connections.add(connection);
    if (this.#closing !== null) connection.stop();
  }

  #renewTicketKeys(): void {
    this.#ticketKeys = this.parts.randomBytes(TICKET_KEY_BYTES);
    if (this.#certificate !== null) this.#tls?.setSecureContext(this.#secureOptions(this.#certificate));
  }

  #secureOptions({ cert, key }: Certificate) {
    return {
      cert,
      key,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      // A renegotiation costs us more than the client, who may ask for one after the other.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      sessionIdContext: 'uwpx',
      sessionTimeout: Math.ceil(this.limits.ticketLifetimeMs / 1000),
      ticketKeys: this.#ticketKeys,
    } as const;
  }

  #repeat(everyMs: number, work: () => void): void {
    const timer = setInterval(work, everyMs);
    timer.unref();
    this.#timers.push(timer);
  }
}

/**
 * What both the plain socket and the TLS socket around it tell, and no other connection to this port at the same time.
 * Null: the client has left already.
 */
function pairOf(socket: Socket): string | null {
  const { remoteAddress, remotePort, localAddress } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return null;
  return `${remoteAddress} ${remotePort} ${localAddress ?? ''}`;
}
