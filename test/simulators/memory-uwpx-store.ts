import type {
  AccountsChange,
  ChannelChange,
  ChannelResult,
  UwpxAccount,
  UwpxDevice,
  UwpxStore,
} from '../../src/uwpx/port.js';

interface Row extends UwpxDevice {
  readonly accounts: Map<string, UwpxAccount>;
}

/** Devices and accounts in memory, by the rules of the port. */
export class MemoryUwpxStore implements UwpxStore {
  readonly devices = new Map<string, Row>();
  maxDevices = Infinity;
  /** What a call waits for before it does anything: lets a test make the store slow, or fail. */
  before: () => Promise<void> = () => Promise.resolve();

  async setChannel(change: ChannelChange): Promise<ChannelResult> {
    await this.before();
    const { deviceId, channelUri, protocolVersion, mayCreate } = change;
    const known = this.devices.get(deviceId);
    if (known === undefined && !mayCreate) return 'refused';
    if (known === undefined && this.devices.size >= this.maxDevices) return 'full';
    this.devices.set(deviceId, {
      deviceId,
      channelUri,
      protocolVersion,
      accounts: known?.accounts ?? new Map<string, UwpxAccount>(),
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
  }: AccountsChange): Promise<readonly UwpxAccount[] | null> {
    await this.before();
    const device = this.devices.get(deviceId);
    if (device === undefined || device.channelUri === null) return null;
    const stored = accounts.map(
      ({ accountId, node, secret }) => device.accounts.get(accountId) ?? { accountId, node, secret },
    );
    const byId = new Map(stored.map((account) => [account.accountId as string, account]));
    this.devices.set(deviceId, { ...device, protocolVersion, accounts: byId });
    // In another order than asked for: a database gives none.
    return stored.reverse();
  }

  /** As after an answer of WNS that the channel is gone. */
  forgetChannel(deviceId: string): void {
    const device = this.devices.get(deviceId);
    if (device !== undefined) this.devices.set(deviceId, { ...device, channelUri: null });
  }
}
