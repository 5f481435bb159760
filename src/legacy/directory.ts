import { assertNever } from '../domain/assert-never.js';
import type { Brand } from './brand.js';
import type { LegacyDevice, LegacyDeviceType, LegacyMatch } from './device.js';
import {
  Account,
  bytesOfAccount,
  bytesOfDevice,
  bytesOfGroup,
  devicesOf,
  Group,
  isPushable,
  leastUseful,
  MEMBERSHIP_BYTES,
  NO_DEVICES,
} from './directory-entries.js';
import type { LegacyLimits } from './limits.js';
import type { DirectoryChange } from './port.js';
import { Remembered } from './remembered.js';

/** As `/get_statistics_data` counts them. Source: spec session-push-v1, 6.1. */
export interface LegacyDeviceCounts {
  readonly ios: number;
  /** Huawei's included. */
  readonly android: number;
  /** With at least one token of any type. */
  readonly accounts: number;
}

const UNTRACKED: LegacyMatch = { kind: 'untracked' };

/**
 * Who of one brand is registered where, in memory: what the table holds, for `match` to read without asking anybody.
 * Changed only by `apply`, after the same change was committed (`LegacyRegistry`). Knows no limits but one: accounts
 * without devices and groups without members, which the original knows until its next start, are forgotten when
 * there are too many of them. Ids of accounts and of groups are two worlds: one id may be both.
 *
 * Every id and every token is in memory once: devices and groups refer to what the account holds.
 */
export class LegacyDirectory {
  readonly #devices = new Map<string, LegacyDevice>();
  readonly #accounts = new Map<string, Account>();
  readonly #groups = new Map<string, Group>();
  /** Accounts that registered once and have no device now; some of them are members of groups. */
  readonly #emptyAccounts: Remembered<Account>;
  readonly #emptyGroups: Remembered<Group>;
  #membershipCount = 0;
  readonly #byType = { ios: 0, android: 0, huawei: 0, unknown: 0 };
  #accountsWithDevices = 0;
  #bytes = 0;

  constructor(
    private readonly brand: Pick<Brand, 'groupsOnlySilencesAccount'>,
    limits: Pick<LegacyLimits, 'maxRemembered'>,
  ) {
    this.#emptyAccounts = new Remembered(limits.maxRemembered, (account) => this.#dropUnused(account));
    this.#emptyGroups = new Remembered(limits.maxRemembered, (group) => this.#dropGroup(group));
  }

  get deviceCounts(): LegacyDeviceCounts {
    const { ios, android, huawei } = this.#byType;
    return { ios, android: android + huawei, accounts: this.#accountsWithDevices };
  }

  countOf(type: LegacyDeviceType): number {
    return this.#byType[type];
  }

  /** Of all types. */
  get deviceCount(): number {
    return this.#devices.size;
  }

  /** Memory of everything, about. Ids and tokens are as long as clients make them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Over all groups. */
  get membershipCount(): number {
    return this.#membershipCount;
  }

  /** Known ones: with devices, members of groups, or remembered. */
  get accountCount(): number {
    return this.#accounts.size;
  }

  /** Known ones, the empty ones too. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /**
   * Whether there was something to do: `set-device`: the account did not have this token; `remove-device`: the token
   * was known; `device-died`: it was removed; `add-member`: it was no member; `remove-member`: the **group** was
   * known (spec session-push-v1, 3.5).
   */
  apply(change: DirectoryChange): boolean {
    switch (change.kind) {
      case 'set-device':
        return this.#setDevice(change.device);
      case 'remove-device':
        return this.#removeDevice(this.#devices.get(change.token));
      case 'device-died': {
        const device = this.#devices.get(change.token);
        return device !== undefined && device.registeredAtMs < change.sinceMs && this.#removeDevice(device);
      }
      case 'add-member':
        return this.#addMember(change.group, change.account);
      case 'remove-member':
        return this.#removeMember(change.group, change.account);
      default:
        return assertNever(change);
    }
  }

  /**
   * Whom a notice for this id reaches; devices of type `unknown` are left out. An id that is an account and a group
   * is the account, unless that registered for groups only and the brand heeds it. Source: spec session-push-v1, 4.
   */
  match(id: string): LegacyMatch {
    const account = this.#accounts.get(id);
    if (account !== undefined) {
      const devices = this.#ownPushesOf(account);
      if (devices !== null) return { kind: 'account', devices };
    }
    const group = this.#groups.get(id);
    return group === undefined ? UNTRACKED : { kind: 'group', devices: devicesOf(group) };
  }

  device(token: string): LegacyDevice | undefined {
    return this.#devices.get(token);
  }

  tokenCount(account: string): number {
    return this.#accounts.get(account)?.devices.length ?? 0;
  }

  /**
   * A device of the account that makes room for a new one: of a type that is never pushed to, or not heard of since
   * `beforeMs` (Unix ms); null when there is none.
   */
  idleDevice(account: string, beforeMs: number): LegacyDevice | null {
    const device = leastUseful(this.#accounts.get(account)?.devices ?? NO_DEVICES);
    if (device === undefined) return null;
    return !isPushable(device) || device.registeredAtMs < beforeMs ? device : null;
  }

  memberCount(group: string): number {
    return this.#groups.get(group)?.members.size ?? 0;
  }

  isMember(group: string, account: string): boolean {
    const known = this.#accounts.get(account);
    return known !== undefined && this.#groups.get(group)?.members.has(known) === true;
  }

  knowsGroup(group: string): boolean {
    return this.#groups.has(group);
  }

  /** A member that no push reaches, for whom a group that is full need not turn others away; null when there is none. */
  memberWithoutDevice(group: string): string | null {
    for (const account of this.#groups.get(group)?.members.values() ?? []) {
      if (account.devices.length === 0) return account.id;
    }
    return null;
  }

  devices(): IterableIterator<LegacyDevice> {
    return this.#devices.values();
  }

  *members(): Generator<{ readonly group: string; readonly account: string }> {
    for (const { id, members } of this.#groups.values()) {
      for (const account of members.values()) yield { group: id, account: account.id };
    }
  }

  /** Accounts without devices and groups without members that are still known. */
  *empties(): Generator<{ readonly kind: 'account' | 'group'; readonly id: string }> {
    for (const { id } of this.#emptyAccounts.values()) yield { kind: 'account', id };
    for (const { id } of this.#emptyGroups.values()) yield { kind: 'group', id };
  }

  clear(): void {
    this.#devices.clear();
    this.#accounts.clear();
    this.#groups.clear();
    this.#emptyAccounts.clear();
    this.#emptyGroups.clear();
    this.#membershipCount = 0;
    Object.assign(this.#byType, { ios: 0, android: 0, huawei: 0, unknown: 0 });
    this.#accountsWithDevices = 0;
    this.#bytes = 0;
  }

  /** Null: nobody registered the account, or for groups only. The usual answer is the account's own list. */
  #ownPushesOf(account: Account): readonly LegacyDevice[] | null {
    const { devices } = account;
    if (devices.length === 0) return this.#emptyAccounts.has(account) ? devices : null;
    if (this.#isSilenced(devices)) return null;
    return devices.every((device) => this.#getsOwnPushes(device))
      ? devices
      : devices.filter((device) => this.#getsOwnPushes(device));
  }

  #getsOwnPushes(device: LegacyDevice): boolean {
    return isPushable(device) && !(this.brand.groupsOnlySilencesAccount && device.groupsOnly);
  }

  #isSilenced(devices: readonly LegacyDevice[]): boolean {
    return this.brand.groupsOnlySilencesAccount && devices.every(({ groupsOnly }) => groupsOnly);
  }

  #setDevice(device: LegacyDevice): boolean {
    const before = this.#devices.get(device.token);
    const stays = before?.account === device.account;
    if (before !== undefined && !stays) this.#removeDevice(before);
    const account = this.#accountOf(device.account);
    // All of one shape, and with the strings that are held already.
    const kept: LegacyDevice = {
      token: before?.token ?? device.token,
      account: account.id,
      type: device.type,
      groupsOnly: device.groupsOnly,
      registeredAtMs: device.registeredAtMs,
    };
    if (before !== undefined && stays) {
      this.#count(before, -1);
      account.devices = account.devices.map((other) => (other === before ? kept : other));
    } else {
      if (account.devices.length === 0) this.#accountsWithDevices += 1;
      // Not by spreading, which leaves room for sixteen more.
      account.devices = account.devices.concat(kept);
      this.#emptyAccounts.delete(account);
      this.#bytes += bytesOfDevice(kept);
    }
    this.#devices.set(kept.token, kept);
    this.#count(kept, 1);
    return !stays;
  }

  #removeDevice(device: LegacyDevice | undefined): boolean {
    if (device === undefined) return false;
    this.#devices.delete(device.token);
    this.#bytes -= bytesOfDevice(device);
    this.#count(device, -1);
    const account = this.#accountOf(device.account);
    if (account.devices.length > 1) {
      account.devices = account.devices.toSpliced(account.devices.indexOf(device), 1);
      return true;
    }
    this.#accountsWithDevices -= 1;
    // What was silent is no account to the statistics either.
    const wasSilent = this.#isSilenced(account.devices);
    account.devices = NO_DEVICES;
    if (wasSilent) this.#dropUnused(account);
    else this.#emptyAccounts.add(account);
    return true;
  }

  #addMember(groupId: string, accountId: string): boolean {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      group = new Group(groupId);
      this.#groups.set(groupId, group);
      this.#bytes += bytesOfGroup(group);
    }
    const account = this.#accountOf(accountId);
    if (!group.members.add(account)) return false;
    this.#emptyGroups.delete(group);
    account.groupCount += 1;
    this.#membershipCount += 1;
    this.#bytes += MEMBERSHIP_BYTES;
    return true;
  }

  #removeMember(groupId: string, accountId: string): boolean {
    const group = this.#groups.get(groupId);
    if (group === undefined) return false;
    const account = this.#accounts.get(accountId);
    if (account === undefined || !group.members.delete(account)) return true;
    this.#membershipCount -= 1;
    this.#bytes -= MEMBERSHIP_BYTES;
    if (group.members.size === 0) this.#emptyGroups.add(group);
    account.groupCount -= 1;
    this.#dropUnused(account);
    return true;
  }

  #accountOf(id: string): Account {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      account = new Account(id);
      this.#accounts.set(id, account);
      this.#bytes += bytesOfAccount(account);
    }
    return account;
  }

  #dropUnused(account: Account): void {
    const isUsed = account.devices.length > 0 || account.groupCount > 0 || this.#emptyAccounts.has(account);
    if (!isUsed && this.#accounts.delete(account.id)) this.#bytes -= bytesOfAccount(account);
  }

  #dropGroup(group: Group): void {
    this.#groups.delete(group.id);
    this.#bytes -= bytesOfGroup(group);
  }

  #count({ type }: LegacyDevice, by: 1 | -1): void {
    this.#byType[type] += by;
  }
}
