import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeLegacyContent, type LegacyMessage } from '../../src/codec/legacy-content.js';
import { encodeWakeMessage, type WakeMessage } from '../../src/codec/wake-content.js';
import { systemClock, type Clock } from '../../src/domain/clock.js';
import {
  parseAccountId,
  parseAnyServiceId,
  parseServiceName,
  type ServiceName,
} from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { createNotifiers, type NotifierEntry } from '../../src/notifiers/registry.js';
import { silentLog } from '../../src/telemetry/log.js';

/** A directory for credential files that goes with the test. */
export class CredentialFiles {
  readonly #directory = mkdtempSync(join(tmpdir(), 'waggle-credentials-'));

  write(name: string, content: string | Buffer): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    return path;
  }

  pathOf(name: string): string {
    return join(this.#directory, name);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export class MovableClock implements Clock {
  offsetMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.offsetMs;
  }
}

export function serviceName(name: string): ServiceName {
  const parsed = parseServiceName(name);
  if (parsed === null) throw new Error('bad service name in a test');
  return parsed;
}

/** Builds one notifier the way the program does; throws with the reason when the entry is skipped. */
export function buildNotifier(entry: NotifierEntry, clock: Clock = systemClock): Notifier {
  const { notifiers, skipped } = createNotifiers({ tested: entry }, { clock, log: silentLog() });
  const notifier = notifiers.get(serviceName('tested'));
  if (notifier === undefined) throw new Error(skipped[0]?.reason);
  return notifier;
}

/** Why an entry is not started; null when it is. */
export function skipReason(entry: NotifierEntry): string | null {
  const { notifiers, skipped } = createNotifiers({ tested: entry }, { clock: systemClock, log: silentLog() });
  for (const notifier of notifiers.values()) void notifier.close();
  return skipped[0]?.reason ?? null;
}

export const apnsToken = (): string => randomBytes(32).toString('hex');
export const fcmToken = (): string =>
  `c${randomBytes(16).toString('hex')}:APA91b${randomBytes(60).toString('base64url')}`;

export function pushFor(token: string, changes: Partial<Push> = {}): Push {
  const account = parseAccountId(Buffer.alloc(33, 5));
  const serviceId = parseAnyServiceId(token);
  if (account === null || serviceId === null) throw new Error('bad push in a test');
  return {
    service: serviceName('tested'),
    account,
    device: { serviceId, serviceData: null },
    content: { kind: 'sealed', payload: randomBytes(296) },
    priority: 'high',
    expiresAtMs: Date.now() + 3_600_000,
    dedupeKey: randomBytes(16),
    receivedAtMs: Date.now(),
    attempts: 0,
    outboxId: null,
    ...changes,
  };
}

/** A push of an older client's message. */
export function legacyPushFor(
  token: string,
  message: Partial<LegacyMessage> = {},
  changes: Partial<Push> = {},
): Push {
  const payload = encodeLegacyContent({
    alertTitle: 'Session',
    alertBody: "You've got a new message",
    data: 'aGVsbG8=',
    ...message,
  });
  return pushFor(token, {
    account: Buffer.from('an id of any form'),
    content: { kind: 'legacy', payload },
    ...changes,
  });
}

/** What a publish with a message to show says, unless it is changed. */
export const wakeMessage = (changes: Partial<WakeMessage> = {}): WakeMessage => ({
  urgency: 'high',
  alertTitle: 'New Message',
  alertBody: 'New Message',
  mutableContent: true,
  collapseKey: null,
  account: null,
  channel: null,
  raw: null,
  ...changes,
});

/** A push of an XMPP server's publish. */
export const wakePushFor = (
  token: string,
  message: Partial<WakeMessage> = {},
  changes: Partial<Push> = {},
): Push =>
  pushFor(token, {
    account: Buffer.alloc(0),
    content: { kind: 'wake', payload: encodeWakeMessage(wakeMessage(message)) },
    ...changes,
  });

/** A signal that nobody aborts. */
export const never = new AbortController().signal;
setMaxListeners(0, never); // shared by all notifiers of a test file, far more than a program has
