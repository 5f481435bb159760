import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { answerCalls } from './asked-process.js';
import { runLoadFlow, type LoadFlowResult } from './load-flow.js';
import type { UwpxLoadCalls, UwpxLoadRun } from './uwpx-load.js';

/** UWPX's clients: they write JSON as the program does, and count what they are told. */

const ACCOUNTS = 3;

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A connection with one message under way. */
class Client {
  #received = '';
  #onAnswer: (answer: string | null) => void = () => {};

  constructor(private readonly socket: TLSSocket) {
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: Buffer | string) => {
      this.#received += text.toString();
      if (!this.#received.endsWith('\0')) return;
      const answer = this.#received;
      this.#received = '';
      this.#onAnswer(answer);
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#onAnswer(null));
  }

  /** null: the connection is gone. */
  ask(message: Readonly<Record<string, unknown>>): Promise<string | null> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      if (this.socket.destroyed) resolve(null);
      else this.socket.write(`${JSON.stringify(message, null, 2)}\0`);
    });
  }

  end(): void {
    this.socket.end();
  }
}

let server: { readonly port: number; readonly secureContext: SecureContext } | null = null;

async function open(): Promise<Client> {
  if (server === null) throw new Error('no server');
  const socket = connect({ host: '127.0.0.1', ...server });
  await once(socket, 'secureConnect');
  return new Client(socket);
}

async function register(client: Client, index: number): Promise<string | null> {
  const device_id = hash(`device${index}`);
  const channel_uri = `https://db5p.notify.windows.com/?token=${hash(`channel${index}`)}${hash(`c${index}`)}`;
  const channel = await client.ask({ version: 2, action: 'set_channel_uri', device_id, channel_uri });
  if (channel === null) return 'the connection was lost';
  if (!channel.includes('"status":1')) return 'the channel was refused';
  const accounts = Array.from({ length: ACCOUNTS }, (_, account) => ({
    account_id: hash(`account${account} of ${index}`),
  }));
  const answer = await client.ask({ version: 2, action: 'set_push_accounts', device_id, accounts });
  if (answer === null) return 'the connection was lost';
  return answer.split('"success":true').length === ACCOUNTS + 1 ? null : 'accounts were refused';
}

async function run({ first, connections, ...flow }: UwpxLoadRun): Promise<LoadFlowResult> {
  if (connections === 'new') {
    return runLoadFlow(flow, async (index) => {
      const client = await open();
      const refusal = await register(client, first + index);
      client.end();
      return refusal;
    });
  }
  const clients = await Promise.all(Array.from({ length: flow.lanes }, open));
  const result = await runLoadFlow(flow, async (index, lane) => {
    const client = clients[lane];
    return client === undefined ? 'no connection' : register(client, first + index);
  });
  for (const client of clients) client.end();
  return result;
}

answerCalls<UwpxLoadCalls>({
  server: ({ port, caPem }) => {
    server = { port, secureContext: createSecureContext({ ca: caPem }) };
    return null;
  },
  run,
});
