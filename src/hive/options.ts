import type { OxenmqListenerOptions } from '../oxenmq/options.js';

/** Settings of the doors for external notifiers and local tools; some as in the configuration, under its names. */
export interface HiveOptions {
  /** `session.listen`: plain, every peer has the level admin. */
  readonly listen: string | null;
  /** `session.listenCurve`, `session.listenCurveAdmin`: see `planDoors`. */
  readonly listenCurve: string | null;
  readonly listenCurveAdmin: string | null;
  /** X25519 public keys, 64 hex digits each. */
  readonly listenCurveAdmins: readonly string[];
  /** `session.notifiersExpected`: known from the start, so that their pushes wait even if they never registered. */
  readonly notifiersExpected: readonly string[];
  /** From `notifier.validate` to its reply. Milliseconds. */
  readonly notifierTimeoutMs: number;
  /** A notifier that has not registered for this long is away; they do so every 5 s. Milliseconds. */
  readonly notifierAwayMs: number;
  /** The largest body of `push.subscribe` and `push.unsubscribe`. Bytes. */
  readonly bodyMaxBytes: number;
  /** Names of external notifiers, those of earlier runs included. */
  readonly maxServices: number;
  /** Pushes that one external notifier is handed at once at most. */
  readonly maxInFlight: number;
  /** How long a push waits for a notifier that does not read as fast as we send, before it goes to the outbox. */
  readonly roomTimeoutMs: number;
  /** When to look again for a notifier that is away. Milliseconds. */
  readonly awayRetryMs: number;
  readonly listener: Partial<OxenmqListenerOptions>;
}

export const defaultHiveOptions: HiveOptions = {
  listen: null,
  listenCurve: null,
  listenCurveAdmin: null,
  listenCurveAdmins: [],
  notifiersExpected: [],
  notifierTimeoutMs: 15_000,
  notifierAwayMs: 15_000,
  bodyMaxBytes: 100_000,
  maxServices: 64,
  maxInFlight: 500,
  roomTimeoutMs: 5_000,
  awayRetryMs: 1_000,
  listener: {},
};
