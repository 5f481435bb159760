import type { PublishSummary } from '../domain/publish.js';
import type { UwpxDeviceId } from './port.js';

/** Nodes that devices got or lost. */
export interface NodeChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Where publishes go in place of our component: nodes that somebody must make and remove, at an account of an ordinary
 * XMPP server (spec uwpx-push, 6.1).
 */
export interface AccountNodes {
  /** The change is committed. Returns at once, and never throws: what cannot be done now is done later. */
  changed(change: NodeChange): void;
}

/** What the account at an XMPP server needs of the tables. Everything rejects while the database is away. */
export interface UwpxNodeStore {
  /** Of all accounts of one device; empty for an unknown one. */
  nodesOf(deviceId: UwpxDeviceId): Promise<readonly string[]>;
  /** Of all devices, in ascending order of their bytes, from behind `after` on ('' = from the first). */
  nodesAfter(after: string, limit: number): Promise<readonly string[]>;
}

/** What several processes on one database need besides. */
export interface UwpxNewNodes {
  /**
   * Of all accounts that were added at `sinceMs` or later (unix milliseconds), in ascending order of their bytes, from
   * behind `after` on. Imported ones are not among them. Rejects while the database is away.
   */
  nodesSince(sinceMs: number, after: string, limit: number): Promise<readonly string[]>;
}

/**
 * A server has published to a node, which nobody vouches for but that nodes cannot be guessed. Called for every
 * event, and must be cheap; must not throw.
 */
export type OnEvent = (node: string, summary: PublishSummary) => void;

/** Resolves when a connection may be made. Rejects when the signal is aborted. */
export type WhenAccountReady = (signal: AbortSignal) => Promise<void>;
