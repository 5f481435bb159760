import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';

/** Where UWPX finds its push server; the real one has it built in. */
export interface UwpxDoorAddress {
  readonly port: number;
  /** PEM of the authority. */
  readonly ca: string;
}

/** Of the client. Source: spec uwpx-push, the table at its beginning. */
export type UwpxGeneration = 'v2' | 'v1-cpp' | 'v1-py';

/** An account as the client reads it from the answer, and as its XMPP server is told of it. */
export interface UwpxPushAccount {
  readonly jid: string;
  readonly node: string;
  readonly secret: string;
}

/** One for each. */
type AccountsOf<Jids extends readonly string[]> = { readonly [Index in keyof Jids]: UwpxPushAccount };

export interface UwpxAnswer {
  readonly status: number;
  readonly error?: string;
  readonly version?: number;
  readonly push_bare_jid?: string;
  readonly accounts?: readonly Readonly<Record<string, unknown>>[];
}

const CONNECT_TIMEOUT_MS = 3_000;
const ATTEMPTS = 3;
const BETWEEN_ATTEMPTS_MS = 1_000;
const READ_BYTES = 4_096;
const READ_TIMEOUT_MS = 3_000;
/** The real client waits for the first read as long as the server keeps the connection; a test does not. */
const FIRST_READ_TIMEOUT_MS = 20_000;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The push side of UWPX: a connection for each request, TLS 1.2, JSON over several lines and a NUL behind it, and of the
 * answer as much as its way of reading gets. Source: spec uwpx-push, sections 1, 2 and 8.
 */
export class UwpxApp {
  readonly deviceId = randomBytes(32).toString('hex');
  channel = newChannel();

  constructor(
    private readonly door: () => UwpxDoorAddress,
    readonly generation: UwpxGeneration = 'v2',
  ) {}

  /** Opaque to the server, but that it makes the same of the first generation's JIDs. */
  accountId(bareJid: string): string {
    return sha256(this.deviceId + bareJid);
  }

  /** Channels are renewed by Windows; afterwards the old one is dead. */
  renewChannel(): void {
    this.channel = newChannel();
  }

  setChannel(): Promise<UwpxAnswer> {
    return this.request({ action: 'set_channel_uri', device_id: this.deviceId, channel_uri: this.channel });
  }

  askForAccounts(bareJids: readonly string[], action = 'set_push_accounts'): Promise<UwpxAnswer> {
    const accounts = bareJids.map((bareJid) =>
      this.generation === 'v1-py' ? { bare_jid: bareJid } : { account_id: this.accountId(bareJid) },
    );
    return this.request({ action, device_id: this.deviceId, accounts });
  }

  /** As `askForAccounts`; rejects unless all of them may be used, in the order of the JIDs. */
  async setAccounts<Jids extends readonly string[]>(...bareJids: Jids): Promise<AccountsOf<Jids>> {
    return this.accountsIn<Jids>(await this.askForAccounts(bareJids), bareJids);
  }

  accountsIn<Jids extends readonly string[]>(answer: UwpxAnswer, bareJids: Jids): AccountsOf<Jids> {
    const { status, error, accounts = [], push_bare_jid: jid } = answer;
    if (status !== 1 || jid === undefined) throw new Error(`refused: ${error ?? 'no push_bare_jid'}`);
    return bareJids.map((bareJid) => {
      const account = accounts.find((one) =>
        this.generation === 'v1-py'
          ? one['bare_jid'] === bareJid
          : one['account_id'] === this.accountId(bareJid) && one['success'] === true,
      );
      const { node, secret } = account ?? {};
      if (typeof node !== 'string' || typeof secret !== 'string')
        throw new Error('the answer lacks an account, its node or its secret');
      return { jid, node, secret };
    }) as unknown as AccountsOf<Jids>;
  }

  /** Channel and accounts, as at its first start. */
  async register<Jids extends readonly string[]>(...bareJids: Jids): Promise<AccountsOf<Jids>> {
    const { status, error } = await this.setChannel();
    if (status !== 1) throw new Error(`refused: ${error ?? ''}`);
    return this.setAccounts<Jids>(...bareJids);
  }

  requestTestPush(): Promise<UwpxAnswer> {
    return this.request({ action: 'request_test_push', device_id: this.deviceId });
  }

  /** Rejects where the real client of this generation throws. */
  async request(message: Readonly<Record<string, unknown>>): Promise<UwpxAnswer> {
    const version = this.generation === 'v2' ? 2 : 1;
    const text = await this.exchange(`${JSON.stringify({ ...message, version }, null, 2)}\0`);
    const answer = JSON.parse(text) as UwpxAnswer;
    if (this.generation === 'v2' && answer.version !== 2) throw new Error('an answer of another version');
    return answer;
  }

  /** Any bytes, and the answer before its NUL. */
  async exchange(bytes: string | Uint8Array): Promise<string> {
    const socket = await this.#connect();
    try {
      socket.write(bytes);
      const read = await readAnswer(socket);
      const end = read.indexOf(0);
      if (end < 0) throw new Error(`only a part of the answer: ${read.length} bytes`);
      return read.toString('utf8', 0, end);
    } finally {
      socket.destroy();
    }
  }

  async #connect(): Promise<TLSSocket> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await connectOnce(this.door());
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        await sleep(BETWEEN_ATTEMPTS_MS);
      }
    }
  }
}

export const newChannel = (): string =>
  `https://db5p.notify.windows.com/?token=${encodeURIComponent(randomBytes(60).toString('base64'))}`;

function connectOnce({ port, ca }: UwpxDoorAddress): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca,
      servername: 'localhost',
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
    });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeListener('error', fail);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Reads of up to 4096 bytes; one that returns less is the last, and so is one that takes too long. */
function readAnswer(socket: TLSSocket): Promise<Buffer> {
  return new Promise((resolve) => {
    const reads: Buffer[] = [];
    const finish = (): void => {
      clearTimeout(timer);
      resolve(Buffer.concat(reads));
    };
    let timer = setTimeout(finish, FIRST_READ_TIMEOUT_MS);
    socket.on('data', (chunk: Buffer) => {
      reads.push(chunk);
      clearTimeout(timer);
      if (chunk.length % READ_BYTES === 0) timer = setTimeout(finish, READ_TIMEOUT_MS);
      else finish();
    });
    socket.once('close', finish);
  });
}
