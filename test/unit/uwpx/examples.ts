import { parseChannelUri, type ChannelUri } from '../../../src/codec/wns-channel-uri.js';
import { parseServiceName, type ServiceName } from '../../../src/domain/ids.js';
import type { UwpxAccountId, UwpxDeviceId } from '../../../src/uwpx/port.js';
import type { MemoryUwpxStore } from '../../simulators/memory-uwpx-store.js';

const sure = <Value>(value: Value | null): Value => {
  if (value === null) throw new Error('a bad example');
  return value;
};

export const WNS: ServiceName = sure(parseServiceName('wns'));
export const NOW_MS = 1_700_000_000_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const channelOf = (label: string): ChannelUri =>
  sure(parseChannelUri(`https://db5p.notify.windows.com/?token=${label}`));

/** A device called `label` with one account, whose node is `${label}Node` and its secret `${label}Secret`. */
export async function addDevice(
  store: MemoryUwpxStore,
  label: string,
  { nowMs = NOW_MS, domain = null as string | null, channelUri = channelOf(label) } = {},
): Promise<UwpxDeviceId> {
  const deviceId = label as UwpxDeviceId;
  await store.setChannel({ deviceId, channelUri, protocolVersion: 2, mayCreate: true, nowMs });
  await store.setAccounts({
    deviceId,
    protocolVersion: 2,
    accounts: [
      {
        accountId: `${label}Account` as UwpxAccountId,
        node: `${label}Node`,
        secret: `${label}Secret`,
        domain,
      },
    ],
    nowMs,
  });
  return deviceId;
}
