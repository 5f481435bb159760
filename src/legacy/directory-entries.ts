import type { LegacyDevice } from './device.js';
import { Members } from './members.js';

export const NO_DEVICES: readonly LegacyDevice[] = [];

/** An account as the directory holds it. */
export class Account {
  /** Never changed in place: `match` hands it out. */
  devices: readonly LegacyDevice[] = NO_DEVICES;
  groupCount = 0;

  constructor(readonly id: string) {}
}

export class Group {
  readonly members = new Members<Account>();

  constructor(readonly id: string) {}
}

export const isPushable = ({ type }: LegacyDevice): boolean => type !== 'unknown';

/** Those of all members that can be pushed to. */
export function devicesOf({ members }: Group): readonly LegacyDevice[] {
  const all: LegacyDevice[] = [];
  for (const { devices } of members.values()) {
    for (const device of devices) if (isPushable(device)) all.push(device);
  }
  return all;
}

/** The device whose place a new one may take: one that is never pushed to, or else the one that came longest ago. */
export function leastUseful(devices: readonly LegacyDevice[]): LegacyDevice | undefined {
  let least = devices[0];
  for (const device of devices) {
    if (!isPushable(device)) return device;
    if (least === undefined || device.registeredAtMs < least.registeredAtMs) least = device;
  }
  return least;
}

/*
 * What things cost in memory, about, with their places in maps and arrays (measured, Node 20). Bytes.
 */
const DEVICE_BYTES = 190;
const ACCOUNT_BYTES = 106;
const GROUP_BYTES = 300;
export const MEMBERSHIP_BYTES = 24;

export const bytesOfDevice = ({ token }: LegacyDevice): number => DEVICE_BYTES + textBytes(token);
export const bytesOfAccount = ({ id }: Account): number => ACCOUNT_BYTES + textBytes(id);
export const bytesOfGroup = ({ id }: Group): number => GROUP_BYTES + textBytes(id);

/** As the engine holds it: two for each character as soon as one of them is not of Latin-1. */
const textBytes = (text: string): number => (/[^\0-\xff]/.test(text) ? 2 : 1) * text.length;
