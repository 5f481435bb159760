import type { ServiceName } from '../domain/ids.js';

/** What a client's word for the way to its device means; the operator's settings. Source: spec xmpp-push, 10.1 and 11.1. */
export interface DeviceType {
  /** `apns`, `fcm`, … */
  readonly name: string;
  /** Whose notifier sends. */
  readonly service: ServiceName;
  /** Of the notifier's entry: `apns`, `firebase`, …; null: there is none of that name, nothing can be registered. */
  readonly notifierType: string | null;
  /** `auto`: `high` when there is a message to show, else `silent`. */
  readonly priority: 'auto' | 'high' | 'silent' | 'voip';
  readonly lifetimeMs: number;
  readonly alertTitle: string;
  readonly alertBody: string | null;
  readonly mutableContent: boolean;
  /** An undelivered push is replaced by the next of its urgency. */
  readonly collapse: boolean;
}
