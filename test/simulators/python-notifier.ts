import { randomBytes } from 'node:crypto';
import { Dealer } from 'zeromq';
import { keyPairFromSecret } from '../../src/crypto/x25519.js';
import { keyedBlake2b } from '../../src/notifiers/dummy/keyed-blake2b.js';
import { decode, BencodeDict, encode } from '../../src/codec/bencode.js';
import type { KeyPair } from '../../src/oxenmq/port.js';

/** The key of a notifier process, from that of the hivemind (spec session-push-v2, 8.5). */
export const notifierKeyPair = (hivemindSecretKey: Buffer, name: string): KeyPair =>
  keyPairFromSecret(
    keyedBlake2b(32, Buffer.from('notifier'), Buffer.concat([hivemindSecretKey, Buffer.from(name)])),
  );

export interface PythonNotifierOptions {
  /** `tcp://HOST:PORT` or `ipc://PATH`. */
  readonly address: string;
  readonly service: string;
  readonly serverKey?: Buffer;
  /** The process's own pair: the CURVE client key, and with `L` before it the routing id. */
  readonly keyPair: KeyPair;
  /** 5 s in the original. */
  readonly intervalMs?: number;
  /** What it says to `notifier.validate`; by default any `token` is its own service id. */
  readonly validate?: (service: string, info: unknown) => readonly (string | Buffer)[];
  /** Registers only when told. */
  readonly isManual?: boolean;
}

/**
 * A notifier process of the original, as far as the hive can see it: a DEALER with liboxenmq's frames and static
 * routing id, HI at first, `admin.register_service` and `admin.service_stats` every few seconds, answers to
 * `notifier.validate`, and a list of what came by `notifier.push`.
 * Source: spec session-push-v2, 8 and 12; oxenmq, 1.2, 3 and 4.
 */
export class PythonNotifier {
  /** The dicts as they came. */
  readonly pushes: Buffer[] = [];
  /** Both parts of each validate request, as text. */
  readonly validations: (readonly [string, string])[] = [];
  /** Everything else that came, as text. */
  readonly others: string[][] = [];
  isGreeted = false;
  /** Does not read, like a process that hangs. */
  isDeaf = false;
  /** Reads, but leaves validations without an answer. */
  isSilent = false;
  #notifies = 0;
  readonly #socket: Dealer;
  #timer: NodeJS.Timeout | null = null;
  readonly #replies = new Map<string, (parts: Buffer[]) => void>();

  constructor(private readonly options: PythonNotifierOptions) {
    const { keyPair, serverKey } = options;
    this.#socket = new Dealer({
      linger: 0,
      sendTimeout: 0,
      reconnectInterval: 50,
      routingId: raw(Buffer.concat([Buffer.from('L'), keyPair.publicKey])),
      ...(serverKey && {
        curveServerKey: raw(serverKey),
        curvePublicKey: raw(keyPair.publicKey),
        curveSecretKey: raw(keyPair.secretKey),
      }),
    });
    this.#socket.connect(options.address);
    this.send('HI');
    void this.#receive();
    if (options.isManual === true) return;
    this.#report();
    this.#timer = setInterval(() => this.#report(), options.intervalMs ?? 5_000);
  }

  send(...frames: (string | Buffer)[]): void {
    this.#socket.send(frames).catch(() => undefined);
  }

  register(): void {
    this.send('admin.register_service', this.options.service);
  }

  /** A request as a tool makes it; rejects when no reply comes. */
  request(command: string, ...parts: (string | Buffer)[]): Promise<Buffer[]> {
    const tag = randomBytes(15);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${command}: no reply`)), 10_000);
      this.#replies.set(tag.toString('hex'), (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.send(command, tag, ...parts);
    });
  }

  /** The pushes, decoded. */
  get dicts(): BencodeDict[] {
    return this.pushes.map((push) => {
      const dict = decode(push);
      if (!(dict instanceof BencodeDict)) throw new Error('a push that is no dict');
      return dict;
    });
  }

  /** As if the process had been killed. */
  kill(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#socket.close();
  }

  #report(): void {
    this.register();
    const report = new Map([['+notifies', this.#notifies]]);
    this.#notifies = 0;
    this.send('admin.service_stats', this.options.service, encode(report));
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        while (this.isDeaf) await new Promise((resolve) => setTimeout(resolve, 10));
        this.#handle(await this.#socket.receive());
      }
    } catch {
      // Closed.
    }
  }

  #handle([name, ...parts]: Buffer[]): void {
    switch (name?.toString('latin1')) {
      case 'HELLO':
        this.isGreeted = true;
        break;
      case 'REPLY':
        this.#replies.get(parts[0]?.toString('hex') ?? '')?.(parts.slice(1));
        break;
      case 'notifier.push':
        this.pushes.push(Buffer.concat(parts));
        this.#notifies += 1;
        break;
      case 'notifier.validate': {
        const [tag, service, info] = parts;
        if (tag === undefined || service === undefined || info === undefined) throw new Error('bad validate');
        this.validations.push([service.toString(), info.toString()]);
        if (this.isSilent) break;
        const answer = this.options.validate ?? tokenIsServiceId;
        this.send('REPLY', tag, ...answer(service.toString(), JSON.parse(info.toString())));
        break;
      }
      default:
        this.others.push([name, ...parts].map((part) => String(part)));
    }
  }
}

/** Like firebase and huawei of the original (spec session-push-v2, 12.2). */
function tokenIsServiceId(_service: string, info: unknown): readonly string[] {
  const token = (info as { token?: unknown }).token;
  if (token === undefined) return ['1', "Error: missing required key 'token'"];
  return typeof token === 'string' && token !== '' ? ['0', token] : ['4', 'Invalid device token'];
}

const raw = (bytes: Buffer): string => bytes as unknown as string;
