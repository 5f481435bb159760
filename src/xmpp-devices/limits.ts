/** What anybody could fill is bounded: nothing proves whose device a registration is about. */
export interface XmppDeviceLimits {
  /** All together; renewals are taken beyond. */
  readonly maxDevices: number;
  /** Of the accounts of one domain; about, since what is on its way is not counted. */
  readonly maxDevicesPerDomain: number;
  /** Memory of the directory, about; beyond it nothing is taken that makes it grow. Bytes. */
  readonly maxDirectoryBytes: number;
  /** Of registering and unregistering, for all users of a server together; at once, and in the long run per minute. */
  readonly requestsPerMinutePerDomain: number;
  /** Domains whose requests are counted. */
  readonly maxCountedDomains: number;
  /** Requests that wait for their turn, their token's check or the database; what comes beyond is refused. */
  readonly maxWaiting: number;
  /** Of those, about one and the same device. */
  readonly maxWaitingPerDevice: number;
  /** How long a client waits before it hears that it cannot be done now. It may be done all the same. */
  readonly writePatienceMs: number;
  /** Rows of one page of the poll. */
  readonly pollRows: number;
  /** Notes written by one statement. */
  readonly noteRows: number;
  /** Nodes of one look-up. */
  readonly lookUpNodes: number;
  /** Nodes that wait to be looked up; what comes beyond is refused. */
  readonly maxWaitingLookUps: number;
}

export const defaultXmppDeviceLimits: XmppDeviceLimits = {
  maxDevices: 1_000_000,
  maxDevicesPerDomain: 500_000,
  maxDirectoryBytes: 1024 * 1024 * 1024,
  requestsPerMinutePerDomain: 30_000,
  maxCountedDomains: 10_000,
  maxWaiting: 5_000,
  maxWaitingPerDevice: 8,
  writePatienceMs: 10_000,
  pollRows: 1_000,
  noteRows: 500,
  lookUpNodes: 500,
  maxWaitingLookUps: 10_000,
};
