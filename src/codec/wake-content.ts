import type { WakeUrgency } from '../domain/publish.js';

/** What a push of an XMPP server's publish says to its device. */
export interface WakeMessage {
  readonly urgency: WakeUrgency;
  /** What a phone shows until its app has fetched the message; with urgency `high` alone. */
  readonly alertTitle: string;
  /** Null: the title is all. */
  readonly alertBody: string | null;
  /** Whether the app may change what is shown (Apple's `mutable-content`). */
  readonly mutableContent: boolean;
  /** A provider that can puts it in the place of an undelivered one with the same key. At most 64 bytes. */
  readonly collapseKey: string | null;
  /** Which of its accounts the device is woken for, in words that it alone understands (p2). */
  readonly account: string | null;
  /** Which room of that account. */
  readonly channel: string | null;
  /** The whole body, where a protocol of its own fixes it (UWPX); everything else is for those that have none. */
  readonly raw: string | null;
}

/**
 * As stored in a push (`WakeContent.payload`): JSON with one-letter members, `null` and `false` left out. Equal messages
 * should share one buffer: notifiers keep what they made of the last one.
 */
export function encodeWakeMessage(message: WakeMessage): Buffer {
  const { urgency, alertTitle, alertBody, mutableContent, collapseKey, account, channel, raw } = message;
  return Buffer.from(
    JSON.stringify({
      u: urgency,
      t: alertTitle,
      b: alertBody ?? undefined,
      m: mutableContent ? 1 : undefined,
      k: collapseKey ?? undefined,
      a: account ?? undefined,
      c: channel ?? undefined,
      r: raw ?? undefined,
    }),
  );
}

/** The message of a buffer that `encodeWakeMessage` wrote; null for anything else. Never throws. */
export function readWakeMessage(payload: Buffer): WakeMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { u, t, b, m, k, a, c, r } = value as Partial<Record<string, unknown>>;
  if (!isUrgency(u) || typeof t !== 'string') return null;
  if (![b, k, a, c, r].every(isOptionalText)) return null;
  return {
    urgency: u,
    alertTitle: t,
    alertBody: textOf(b),
    mutableContent: m === 1,
    collapseKey: textOf(k),
    account: textOf(a),
    channel: textOf(c),
    raw: textOf(r),
  };
}

const isUrgency = (value: unknown): value is WakeUrgency =>
  value === 'high' || value === 'silent' || value === 'voip';
const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === 'string';
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
