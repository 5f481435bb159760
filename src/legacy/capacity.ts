import type { LegacyDirectory } from './directory.js';
import type { LegacyLimits } from './limits.js';
import type { PendingChanges } from './pending.js';

/** `later`: there is room unless what is on its way takes it. */
export type Room = 'free' | 'account-full' | 'group-full' | 'server-full' | 'later';

export type CapacityLimits = Pick<
  LegacyLimits,
  'maxTokensPerAccount' | 'maxMembersPerGroup' | 'maxGroupsPerAccount' | 'maxDevices' | 'maxMemberships'
>;

/** Whether there is room for one more: by what is in the directory, and what is on its way there. */
export class Capacity {
  constructor(
    private readonly directory: LegacyDirectory,
    private readonly pending: PendingChanges,
    private readonly limits: CapacityLimits,
  ) {}

  /** For a token that moves to this account, or is new. What the account has already needs no room. */
  forDevice(token: string, account: string): Room {
    const { directory, pending, limits } = this;
    const known = directory.device(token);
    if (known?.account === account) return 'free';
    const tokens = directory.tokenCount(account);
    if (tokens >= limits.maxTokensPerAccount) return 'account-full';
    if (tokens + pending.devicesOf(account) >= limits.maxTokensPerAccount) return 'later';
    const total = directory.deviceCount + pending.size;
    return known === undefined && total >= limits.maxDevices ? 'server-full' : 'free';
  }

  /** `joining`: groups that the same request has added the account to. */
  forMember(group: string, account: string, joining = 0): Room {
    const { directory, pending, limits } = this;
    if (directory.isMember(group, account)) return 'free';
    const groups = directory.groupCountOf(account) + joining;
    if (groups >= limits.maxGroupsPerAccount) return 'account-full';
    const members = directory.memberCount(group);
    if (members >= limits.maxMembersPerGroup) return 'group-full';
    const isTaken =
      groups + pending.membershipsOf(account) >= limits.maxGroupsPerAccount ||
      members + pending.ofGroup(group) >= limits.maxMembersPerGroup;
    if (isTaken) return 'later';
    const total = directory.membershipCount + pending.size + joining;
    return total >= limits.maxMemberships ? 'server-full' : 'free';
  }
}
