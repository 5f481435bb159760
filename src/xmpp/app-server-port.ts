import type { PublishOutcome } from '../domain/publish.js';
import type { RegisterOutcome, UnregisterOutcome } from './port.js';

/** One record, for the operator's pages and for nobody else. Unix milliseconds. */
export interface AppServerRecord {
  readonly type: string;
  readonly node: string;
  readonly token: string;
  readonly registeredAtMs: number;
  readonly renewedAtMs: number | null;
  readonly lastPushAtMs: number | null;
  readonly lastErrorAtMs: number | null;
}

/** The app server as clients use it over HTTP: the same devices as over XMPP. Source: spec xmpp-push, section 7. */
export interface AppServer {
  /** Answers when it is committed. Never rejects. */
  register(type: string, node: string, token: string): Promise<RegisterOutcome>;
  unregister(type: string, node: string): Promise<UnregisterOutcome>;
  /** Wakes the device as a publish without a summary does. `deadlineMs`: unix milliseconds. */
  push(node: string, secret: string, deadlineMs: number): Promise<PublishOutcome>;
  /** From memory, in the order of registration, those after `after` (null: from the start), at most `limit`. */
  nodes(after: string | null, limit: number): readonly string[];
  records(node: string): readonly AppServerRecord[];
}
