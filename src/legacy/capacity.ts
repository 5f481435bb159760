import type { LegacyDirectory } from './directory.js';
import type { LegacyLimits } from './limits.js';
import type { PendingChanges } from './pending.js';

/** `later`: there is room unless what is on its way takes it. */
export type Room = 'free' | 'account-full' | 'group-full' | 'server-full' | 'later';

export type CapacityLimits = Pick<
  LegacyLimits,
  'maxTokensPerAccount' | 'maxMembersPerGroup' | 'maxDevices' | 'maxMemberships' | 'maxDirectoryBytes'
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
    const isFull = known === undefined && total >= limits.maxDevices;
    return isFull || this.#isMemoryFull ? 'server-full' : 'free';
  }

  /** `joining`: groups that the same request adds the account to besides. */
  forMember(group: string, account: string, joining = 0): Room {
    const { directory, pending, limits } = this;
    if (directory.isMember(group, account)) return 'free';
    const members = directory.memberCount(group);
    if (members >= limits.maxMembersPerGroup) return 'group-full';
    if (members + pending.ofGroup(group) >= limits.maxMembersPerGroup) return 'later';
    const total = directory.membershipCount + pending.size + joining;
    return total >= limits.maxMemberships || this.#isMemoryFull ? 'server-full' : 'free';
  }

  /** What is on its way is not counted: it is little (`writeQueueMaxChanges`). */
  get #isMemoryFull(): boolean {
    return this.directory.bytes >= this.limits.maxDirectoryBytes;
  }
}
