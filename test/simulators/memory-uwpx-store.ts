import { secretHashOf } from '../../src/crypto/secret-keeper.js';
import type { UwpxNodeStore } from '../../src/uwpx/account-port.js';
import type {
  AccountsChange,
  ChannelChange,
  ChannelResult,
  OfferedAccount,
  UwpxAccount,
  UwpxDevice,
  UwpxDeviceId,
  UwpxPushStore,
  UwpxStore,
  UwpxTargetRecord,
} from '../../src/uwpx/port.js';

interface Row extends UwpxDevice {
  readonly accounts: ReadonlyMap<string, OfferedAccount>;
  readonly channelSetAtMs: number;
  readonly channelLostAtMs: number | null;
  readonly activeAtMs: number;
}

/** Devices and accounts in memory, by the rules of the ports. */
export class MemoryUwpxStore implements UwpxStore, UwpxPushStore, UwpxNodeStore {
  readonly devices = new Map<string, Row>();
  maxDevices = Infinity;
  /** What a call waits for before it does anything: lets a test make the store slow, or fail. */
  before: () => Promise<void> = () => Promise.resolve();
  /** The nodes of each call of `findTargets`. */
  readonly queries: (readonly string[])[] = [];
  /** The devices of each call of `noteActive`. */
  readonly notes: (readonly string[])[] = [];

  async setChannel(change: ChannelChange): Promise<ChannelResult> {
    await this.before();
    const { deviceId, channelUri, protocolVersion, mayCreate, nowMs } = change;
    const known = this.devices.get(deviceId);
    if (known === undefined && !mayCreate) return 'refused';
    if (known === undefined && this.devices.size >= this.maxDevices) return 'full';
    this.devices.set(deviceId, {
      deviceId,
      channelUri,
      protocolVersion,
      accounts: known?.accounts ?? new Map(),
      channelSetAtMs: nowMs,
      channelLostAtMs: null,
      activeAtMs: nowMs,
    });
    return known === undefined ? 'created' : 'changed';
  }

  async findDevice(deviceId: string): Promise<UwpxDevice | null> {
    await this.before();
    return this.devices.get(deviceId) ?? null;
  }

  async setAccounts({
    deviceId,
    protocolVersion,
    accounts,
    nowMs,
  }: AccountsChange): Promise<readonly UwpxAccount[] | null> {
    await this.before();
    const device = this.devices.get(deviceId);
    if (device === undefined || device.channelUri === null) return null;
    const stored = accounts.map((offered) => device.accounts.get(offered.accountId) ?? offered);
    const byId = new Map(stored.map((account) => [account.accountId as string, account]));
    this.devices.set(deviceId, { ...device, protocolVersion, accounts: byId, activeAtMs: nowMs });
    // In another order than asked for: a database gives none.
    return stored.map(({ accountId, node, secret }) => ({ accountId, node, secret })).reverse();
  }

  async findTargets(nodes: readonly string[]): Promise<readonly UwpxTargetRecord[]> {
    this.queries.push(nodes);
    await this.before();
    return this.#targets().filter(({ node }) => nodes.includes(node));
  }

  async channelDied({
    channelUri,
    sinceMs,
    nowMs,
  }: Parameters<UwpxPushStore['channelDied']>[0]): Promise<number> {
    await this.before();
    const dead = [...this.devices.values()].filter(
      (device) => device.channelUri === channelUri && device.channelSetAtMs < sinceMs,
    );
    for (const { deviceId } of dead) this.forgetChannel(deviceId, nowMs);
    return dead.length;
  }

  async countDevices(): Promise<number> {
    await this.before();
    return this.devices.size;
  }

  async noteActive(deviceIds: readonly UwpxDeviceId[], nowMs: number): Promise<void> {
    await this.before();
    this.notes.push(deviceIds);
    for (const deviceId of deviceIds) {
      const device = this.devices.get(deviceId);
      if (device !== undefined) this.devices.set(deviceId, { ...device, activeAtMs: nowMs });
    }
  }

  async removeOutdated({
    idleSinceMs,
    lostBeforeMs,
    limit,
  }: Parameters<UwpxPushStore['removeOutdated']>[0]): Promise<number> {
    await this.before();
    const outdated = [...this.devices.values()]
      .filter(
        ({ activeAtMs, channelLostAtMs }) =>
          activeAtMs < idleSinceMs || (channelLostAtMs !== null && channelLostAtMs < lostBeforeMs),
      )
      .slice(0, limit);
    for (const { deviceId } of outdated) this.devices.delete(deviceId);
    return outdated.length;
  }

  async nodesOf(deviceId: UwpxDeviceId): Promise<readonly string[]> {
    await this.before();
    return [...(this.devices.get(deviceId)?.accounts.values() ?? [])].map(({ node }) => node);
  }

  async nodesAfter(after: string, limit: number): Promise<readonly string[]> {
    await this.before();
    const nodes = this.#targets().map(({ node }) => node);
    return nodes
      .filter((node) => node > after)
      .sort((a, b) => (a < b ? -1 : 1))
      .slice(0, limit);
  }

  /** As after an answer of WNS that the channel is gone. */
  forgetChannel(deviceId: string, nowMs = Date.now()): void {
    const device = this.devices.get(deviceId);
    if (device === undefined) return;
    this.devices.set(deviceId, { ...device, channelUri: null, channelLostAtMs: nowMs });
  }

  #targets(): UwpxTargetRecord[] {
    return [...this.devices.values()].flatMap(({ accounts, ...device }) =>
      [...accounts.values()].map(({ secret, ...account }) => ({
        ...device,
        ...account,
        secretHash: secretHashOf(secret),
      })),
    );
  }
}
