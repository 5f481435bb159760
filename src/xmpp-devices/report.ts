/** What the store was asked for when it failed. */
export type StoreUse = 'register' | 'unregister' | 'token-died' | 'restore' | 'sync' | 'look-up' | 'notes';

/** Where the room reports what happens in it; names of metrics are made from these. Must not throw. */
export interface XmppDevicesReport {
  /** A sealed secret could not be opened (the key is another one), and was replaced. */
  secretReplaced(): void;
  /** A provider called it dead, and it is gone. */
  died(): void;
  /** An operator brought it back. */
  restored(): void;
  storeFailed(use: StoreUse): void;
}
