import type { OnionSalt } from '../crypto/onion.js';
import type { LegacyDeviceType } from './device.js';

/** What clients call the push services; a brand says which notifier of ours each name means. */
export type ClientService = 'apns' | 'firebase' | 'huawei';

/** By the type of a device; null: never pushed to. */
export const clientServiceOf = {
  ios: 'apns',
  android: 'firebase',
  huawei: 'huawei',
  unknown: null,
} as const satisfies Readonly<Record<LegacyDeviceType, ClientService | null>>;

/** Those that are pushed to. */
export const pushedTypes = ['ios', 'android', 'huawei'] as const;

/**
 * One app and its network: everything in which the older servers of different apps differ. Settings, so that no code
 * asks for a name. Source: spec bchat-push, sections 2, 3.1 and 6.
 */
export interface Brand {
  /** `session`, `bchat`, or the operator's own word. */
  readonly name: string;
  /** Routes of onion requests, such as `/loki/v2/lsrpc`; null = not served. */
  readonly v2Path: string | null;
  readonly v4Path: string | null;
  readonly salt: OnionSalt;
  /** The first byte of an account that is a user's key: 0x05, 0xbd. */
  readonly accountPrefix: number;
  /** In `<appName> id was not registered before.` */
  readonly appName: string;
  readonly alertTitle: string;
  readonly alertBody: string;
  /** Whether an account that registered for groups only gets no pushes of its own (Session: yes, Bchat: no). */
  readonly groupsOnlySilencesAccount: boolean;
  /** The key of the number of accounts in `/get_statistics_data`. */
  readonly statisticsTotalKey: string;
  /** For `/get_statistics_data`; null = nobody gets in. */
  readonly statisticsPassword: string | null;
  /** Our service name for each of the clients' names. */
  readonly services: Readonly<Record<ClientService, string>>;
}
