/** What anybody could fill or wear out is bounded: nothing in the protocol proves whose a device is. */
export interface UwpxLimits {
  /** Accounts of one device; further ones of a list are left out of the answer, which makes the client switch them off. */
  readonly accountsPerDevice: number;
  /** Device and account ids, in bytes of UTF-8. */
  readonly idMaxBytes: number;
  /** Devices that one address may bring at once … */
  readonly newDevicesBurst: number;
  /** … and in the long run. Devices that are known are not counted. */
  readonly newDevicesPerHour: number;
  readonly messagesBurst: number;
  /** Messages of one address, over all its connections. */
  readonly messagesPerMinute: number;
  readonly testPushesBurst: number;
  /** Test pushes of one device, whoever asks for them. */
  readonly testPushesPerHour: number;
  /** Addresses, and devices, whose use is remembered; one that is forgotten starts anew. */
  readonly rememberedSenders: number;
  /** Messages that wait for the store or for WNS at once, those included whose time is over. */
  readonly messagesInProgress: number;
  /** How long a client waits for the store or for WNS before it is told that it failed. */
  readonly answerTimeoutMs: number;
}

export const defaultUwpxLimits: UwpxLimits = {
  accountsPerDevice: 50,
  idMaxBytes: 256,
  newDevicesBurst: 30,
  newDevicesPerHour: 60,
  messagesBurst: 120,
  messagesPerMinute: 120,
  testPushesBurst: 5,
  testPushesPerHour: 30,
  rememberedSenders: 100_000,
  messagesInProgress: 1_000,
  answerTimeoutMs: 10_000,
};
