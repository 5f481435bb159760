import type { AccountId } from '../../../../src/domain/ids.js';
import { ok, type Result } from '../../../../src/domain/result.js';
import type {
  OxenmqAddress,
  OxenmqClient,
  OxenmqConnection,
  OxenmqConnectionHandlers,
  RequestError,
} from '../../../../src/oxenmq/port.js';
import type { MonitorEntrySink, MonitoredAccounts } from '../../../../src/subscription-index/port.js';
import { decode, type BencodeDict } from '../../../../src/codec/bencode.js';

/** Accounts with made-up entries; slot numbers are chosen by the test. */
export class FakeAccounts implements MonitoredAccounts {
  readonly live = new Map<number, { space: bigint; entries: Buffer[] }>();

  put(slot: number, space: bigint, entries = [entryOf(slot)]): void {
    this.live.set(slot, { space, entries });
  }

  get slotLimit(): number {
    return Math.max(-1, ...this.live.keys()) + 1;
  }
  get accountCount(): number {
    return this.live.size;
  }
  isLive(slot: number): boolean {
    return this.live.has(slot);
  }
  slotOf(): number {
    return -1;
  }
  accountAt(): AccountId {
    throw new Error('not used');
  }
  swarmSpaceOf(slot: number): bigint {
    return this.live.get(slot)?.space ?? 0n;
  }
  appendMonitorEntries(slot: number, _nowSeconds: number, sink: MonitorEntrySink): number {
    const entries = this.live.get(slot)?.entries ?? [];
    for (const entry of entries) sink.append(entry);
    return entries.length;
  }
}

/** A dict that a test can recognise. */
export const entryOf = (name: number | string): Buffer => {
  const text = String(name);
  return Buffer.from(`d1:x${text.length}:${text}e`);
};

export const namesIn = (request: Buffer): string[] =>
  (decode(request) as BencodeDict[]).map((dict) => String(dict.getBytes('x')));

export const acceptAll = (request: Buffer): Buffer =>
  Buffer.from(`l${'d7:successi1ee'.repeat(namesIn(request).length)}e`);

export interface FakeRequest {
  readonly command: string;
  readonly parts: readonly Buffer[];
  answer(result: Result<Buffer[], RequestError>): void;
}

export class FakeConnection implements OxenmqConnection {
  isUp = false;
  isClosed = false;
  /** Requests that nobody has answered. */
  readonly open: FakeRequest[] = [];
  readonly seen: { command: string; parts: readonly Buffer[] }[] = [];

  constructor(
    readonly address: OxenmqAddress,
    readonly handlers: OxenmqConnectionHandlers,
    private readonly respond: FakeClient['respond'],
  ) {}

  up(): void {
    this.isUp = true;
    this.handlers.onUp();
  }
  down(reason = 'cut'): void {
    this.isUp = false;
    this.handlers.onDown(reason);
  }
  end(reason = 'ended'): void {
    this.isUp = false;
    this.handlers.onClosed(reason);
  }
  say(command: string, ...parts: Buffer[]): void {
    this.handlers.onCommand(command, parts);
  }

  request(command: string, parts: readonly Buffer[]): Promise<Result<Buffer[], RequestError>> {
    this.seen.push({ command, parts });
    const answered = this.respond(this, command, parts);
    if (answered !== null) return Promise.resolve(ok(answered));
    return new Promise((resolve) => {
      this.open.push({ command, parts, answer: resolve });
    });
  }

  close(): void {
    this.isClosed = true;
    this.isUp = false;
  }

  namesSeen(): string[] {
    return this.seen
      .filter(({ command }) => command === 'monitor.messages')
      .flatMap(({ parts }) => parts.flatMap(namesIn));
  }
}

/** Remembers every connection that was opened; `respond` answers requests at once, null leaves them open. */
export class FakeClient implements OxenmqClient {
  readonly connections: FakeConnection[] = [];

  constructor(
    private readonly respond: (
      connection: FakeConnection,
      command: string,
      parts: readonly Buffer[],
    ) => Buffer[] | null = () => null,
    private readonly onConnect: (connection: FakeConnection) => void = () => undefined,
  ) {}

  connect(address: OxenmqAddress, handlers: OxenmqConnectionHandlers): FakeConnection {
    const connection = new FakeConnection(address, handlers, this.respond);
    this.connections.push(connection);
    this.onConnect(connection);
    return connection;
  }

  /** The newest open connection to an endpoint. */
  to(endpoint: string): FakeConnection {
    const found = this.connections.findLast((c) => c.address.endpoint === endpoint && !c.isClosed);
    if (found === undefined) throw new Error(`nobody is connected to ${endpoint}`);
    return found;
  }

  get openEndpoints(): string[] {
    return this.connections.filter((c) => !c.isClosed).map((c) => c.address.endpoint);
  }

  async close(): Promise<void> {}
}

export interface ListedNode {
  readonly key: string;
  readonly ip: string;
  readonly swarm: bigint;
}

/** The n-th node, at an address that shows its number. */
export const listed = (n: number, swarm: bigint): ListedNode => ({
  key: n.toString(16).padStart(64, '0'),
  ip: `10.0.${n >> 8}.${n & 255}`,
  swarm,
});

export const endpointOf = (node: ListedNode): string => `tcp://${node.ip}:22020`;

export function nodeListBody(nodes: readonly ListedNode[], height = 1): Buffer {
  const states = nodes.map(
    ({ key, ip, swarm }) =>
      `{"pubkey_x25519":"${key}","public_ip":"${ip}","storage_lmq_port":22020,"swarm_id":${swarm}}`,
  );
  return Buffer.from(
    `{"status":"OK","block_hash":"${height.toString(16).padStart(64, '0')}","height":${height},` +
      `"service_node_states":[${states.join(',')}]}`,
  );
}
