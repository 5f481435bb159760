/** `unknown` is stored and never pushed to. Source: spec session-push-v1, 3.1. */
export type LegacyDeviceType = 'ios' | 'android' | 'huawei' | 'unknown';

/** A token as an older client registered it: it belongs to one account of one brand. */
export interface LegacyDevice {
  readonly token: string;
  readonly account: string;
  readonly type: LegacyDeviceType;
  /** Registered by `register_legacy_groups_only`. */
  readonly groupsOnly: boolean;
  /** Unix milliseconds of the last registration. */
  readonly registeredAtMs: number;
}

/** Whom a notice reaches. `untracked`: nobody registered for that id. */
export type LegacyMatch =
  | { readonly kind: 'account' | 'group'; readonly devices: readonly LegacyDevice[] }
  | { readonly kind: 'untracked' };
