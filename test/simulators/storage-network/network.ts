import { Context } from 'zeromq';
import type { KeyPair } from '../../../src/oxenmq/port.js';
import type { Clock } from '../../../src/domain/clock.js';
import { SimulatedOxend, type NodeEntry } from './oxend.js';
import { SimulatedStorageNode, type StorageNodeOptions } from './storage-node.js';
import { encodeMessage, type EncodedMessage, type StoredMessage } from './stored-message.js';
import { NO_SWARM, swarmOf } from './swarm-space.js';

export interface StorageNetworkOptions {
  readonly swarms?: number;
  readonly nodesPerSwarm?: number;
  /** Instead of `swarms` evenly spaced ids, most of which no JavaScript number holds. */
  readonly swarmIds?: readonly bigint[];
  readonly verify?: boolean;
  /** Whose words the chain daemon speaks. */
  readonly daemon?: 'oxend' | 'beldexd';
  /** What nodes put before the X25519 form of an Ed25519 key; see `MonitorRules`. */
  readonly userPrefix?: number;
  readonly clock?: Clock;
  /** CURVE for oxend too; plain by default. */
  readonly oxendKeyPair?: KeyPair | null;
  readonly sendHighWaterMark?: number;
  /** Threads that encrypt for all nodes together. */
  readonly ioThreads?: number;
}

/** An oxend and the nodes of some swarms, all on 127.0.0.1, with random keys and ports. */
export class StorageNetwork {
  readonly #swarmIdByNode = new Map<SimulatedStorageNode, bigint>();
  /** Added to the list as they are: broken entries, nodes without a server. */
  extraEntries: NodeEntry[] = [];

  private constructor(
    readonly oxend: SimulatedOxend,
    private readonly nodeOptions: StorageNodeOptions,
  ) {}

  static async start(options: StorageNetworkOptions = {}): Promise<StorageNetwork> {
    const { swarms = 4, nodesPerSwarm = 5, clock } = options;
    const context = new Context({
      maxSockets: 65_535,
      ioThreads: options.ioThreads ?? 1,
      blocky: false,
    });
    const shared = { context, ...(clock !== undefined && { clock }) };
    const oxend = await SimulatedOxend.start({
      ...shared,
      keyPair: options.oxendKeyPair ?? null,
      daemon: options.daemon ?? 'oxend',
    });
    const network = new StorageNetwork(oxend, {
      ...shared,
      verify: options.verify ?? false,
      ...(options.userPrefix !== undefined && { userPrefix: options.userPrefix }),
      accountsByKey: new Map(),
      ...(options.sendHighWaterMark !== undefined && { sendHighWaterMark: options.sendHighWaterMark }),
    });
    const ids = options.swarmIds ?? evenlySpacedSwarmIds(swarms);
    await Promise.all(ids.flatMap((id) => Array.from({ length: nodesPerSwarm }, () => network.#addNode(id))));
    network.#publish();
    return network;
  }

  get nodes(): SimulatedStorageNode[] {
    return [...this.#swarmIdByNode.keys()];
  }

  get swarmIds(): bigint[] {
    return [...new Set(this.#swarmIdByNode.values())].filter((id) => id !== NO_SWARM);
  }

  get oxendAddress(): string {
    return this.oxend.address;
  }

  swarmIdOf(node: SimulatedStorageNode): bigint {
    return this.#swarmIdByNode.get(node) ?? NO_SWARM;
  }

  swarmOf(account: Buffer): bigint {
    return swarmOf(account, this.swarmIds);
  }

  nodesOfSwarm(swarmId: bigint): SimulatedStorageNode[] {
    return this.nodes.filter((node) => this.swarmIdOf(node) === swarmId);
  }

  swarmNodesOf(account: Buffer): SimulatedStorageNode[] {
    return this.nodesOfSwarm(this.swarmOf(account));
  }

  /** Every running node of the account's swarm tells its subscribers. How many notifications went out. */
  deliver(message: StoredMessage, copies = Infinity): number {
    return this.deliverEncoded(message.account, encodeMessage(message), copies);
  }

  deliverEncoded(account: Buffer, message: EncodedMessage, copies = Infinity): number {
    let told = 0;
    let left = copies;
    for (const node of this.swarmNodesOf(account)) {
      if (left <= 0) break;
      if (!node.isRunning) continue;
      told += node.storeEncoded(message);
      left -= 1;
    }
    return told;
  }

  /** The node keeps its key and address and joins another swarm with the next block. */
  moveNode(node: SimulatedStorageNode, swarmId: bigint, { announce = true } = {}): void {
    this.#swarmIdByNode.set(node, swarmId);
    this.#publish(announce);
  }

  async addNode(swarmId: bigint, { announce = true } = {}): Promise<SimulatedStorageNode> {
    const node = await this.#addNode(swarmId);
    this.#publish(announce);
    return node;
  }

  removeNode(node: SimulatedStorageNode, { announce = true } = {}): void {
    this.#swarmIdByNode.delete(node);
    node.stop();
    this.#publish(announce);
  }

  newBlock(): number {
    this.#publish();
    return this.oxend.newBlock();
  }

  close(): void {
    for (const node of this.nodes) node.stop();
    this.oxend.stop();
  }

  async #addNode(swarmId: bigint): Promise<SimulatedStorageNode> {
    const node = await SimulatedStorageNode.start(this.nodeOptions);
    this.#swarmIdByNode.set(node, swarmId);
    return node;
  }

  #publish(announce = false): void {
    const entries = this.nodes.map((node) => ({
      pubkey_x25519: node.pubkeyHex,
      public_ip: '127.0.0.1',
      storage_lmq_port: node.port,
      swarm_id: this.swarmIdOf(node),
    }));
    this.oxend.nodes = [...entries, ...this.extraEntries];
    if (announce) this.oxend.newBlock();
  }
}

export const startStorageNetwork = (options: StorageNetworkOptions = {}): Promise<StorageNetwork> =>
  StorageNetwork.start(options);

/** Odd numbers all over the 64 bits, so that a lost bit shows. */
function evenlySpacedSwarmIds(count: number): bigint[] {
  const step = 2n ** 64n / BigInt(count);
  return Array.from({ length: count }, (_, index) => step * BigInt(index) + step / 2n + 1n);
}
