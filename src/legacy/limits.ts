/** What anybody could fill is bounded: nothing proves whose account, group or token a request is about. */
export interface LegacyLimits {
  /** Tokens of one account; a further new one takes the place of one that is idle, or is refused. */
  readonly maxTokensPerAccount: number;
  /** A device that was not registered again for so long is idle: apps do it every twelve hours. */
  readonly idleDeviceMs: number;
  readonly maxMembersPerGroup: number;
  /** In the list of one request. Of one account there is no limit: anybody could use it up for anybody. */
  readonly maxGroupsPerRequest: number;
  /** Devices of one brand, all together. */
  readonly maxDevices: number;
  /** Members of all groups of one brand. */
  readonly maxMemberships: number;
  /** Memory of one brand's directory, about; beyond it nothing new is taken, like beyond the other two. Bytes. */
  readonly maxDirectoryBytes: number;
  /** Accounts without a device, and groups without a member, that are still known; the oldest are forgotten. */
  readonly maxRemembered: number;
  /** Changes that wait to be written; what comes beyond is refused as busy. */
  readonly writeQueueMaxChanges: number;
  /** Changes in one commit, unless one caller alone brings more. */
  readonly writeBatchMaxChanges: number;
  /** How long a caller waits for a database that does not answer before it is told so. */
  readonly writePatienceMs: number;
  /** Wait after a failed commit, doubling from the first to the second. */
  readonly writeRetryMinMs: number;
  readonly writeRetryMaxMs: number;
  /** A registration that changes nothing is not written again within this time. */
  readonly quietRepeatMs: number;
  /** From a request to its answer; what is not done by then is answered with 503. */
  readonly answerTimeoutMs: number;
}

export const defaultLegacyLimits: LegacyLimits = {
  maxTokensPerAccount: 200,
  idleDeviceMs: 7 * 86_400_000,
  maxMembersPerGroup: 10_000,
  maxGroupsPerRequest: 2000,
  maxDevices: 2_000_000,
  maxMemberships: 5_000_000,
  maxDirectoryBytes: 512 * 1024 * 1024,
  maxRemembered: 10_000,
  writeQueueMaxChanges: 20_000,
  writeBatchMaxChanges: 500,
  writePatienceMs: 3000,
  writeRetryMinMs: 50,
  writeRetryMaxMs: 2000,
  quietRepeatMs: 60_000,
  answerTimeoutMs: 15_000,
};
