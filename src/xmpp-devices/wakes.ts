import { encodeWakeMessage, type WakeMessage } from '../codec/wake-content.js';
import { assertNever } from '../domain/assert-never.js';
import type { PublishSummary, Wake, WakeUrgency } from '../domain/publish.js';
import type { DeviceType } from './device-type.js';
import type { DeviceKey } from './device.js';

/** How loudly a device of this type is woken for a publish. Source: spec xmpp-push, 10.2. */
export function urgencyOf(type: DeviceType, summary: PublishSummary): WakeUrgency {
  if (type.priority !== 'auto') return type.priority;
  return summary.hasBody ? 'high' : 'silent';
}

/** What one type of devices is sent: for clients of v1 the same to all of them, from buffers that they share. */
export class Wakes {
  readonly #shared: Readonly<Record<WakeUrgency, Wake>>;

  constructor(private readonly type: DeviceType) {
    const shared = (urgency: WakeUrgency): Wake => wakeOf(type, v1Message(type, urgency));
    this.#shared = { high: shared('high'), silent: shared('silent'), voip: shared('voip') };
  }

  compose(key: DeviceKey, summary: PublishSummary): Wake {
    const urgency = urgencyOf(this.type, summary);
    return key.kind === 'v1' ? this.#shared[urgency] : wakeOf(this.type, p2Message(this.type, key, urgency));
  }
}

/** For a type whose pushes no provider shall keep: until one has been tried here, and its server answered. */
const MIN_LIFETIME_MS = 30_000;

function wakeOf(type: DeviceType, message: WakeMessage): Wake {
  const { urgency } = message;
  return {
    urgency,
    content: { kind: 'wake', payload: encodeWakeMessage(message) },
    priority: urgency === 'silent' ? 'normal' : 'high',
    lifetimeMs: Math.max(type.lifetimeMs, MIN_LIFETIME_MS),
  };
}

/** Source: spec xmpp-push, 10.3 and 11.2. */
const v1Message = (type: DeviceType, urgency: WakeUrgency): WakeMessage => ({
  urgency,
  alertTitle: type.alertTitle,
  alertBody: type.alertBody,
  mutableContent: type.mutableContent,
  collapseKey: v1CollapseKey(type, urgency),
  account: null,
  channel: null,
  raw: null,
});

const P2_TITLE = 'New message';
const P2_COLLAPSE_CHARS = 6;

/** Source: spec xmpp-push, 11.4. */
const p2Message = (
  type: DeviceType,
  { device, channel }: DeviceKey & { kind: 'p2' },
  urgency: WakeUrgency,
): WakeMessage => ({
  urgency,
  alertTitle: P2_TITLE,
  alertBody: null,
  mutableContent: false,
  collapseKey: type.collapse ? (channel === '' ? device : channel).slice(0, P2_COLLAPSE_CHARS) : null,
  account: device,
  channel: channel === '' ? null : channel,
  raw: null,
});

/** mod_push_appserver's own: one at Google, one for each urgency at Apple. */
function v1CollapseKey({ notifierType, collapse }: DeviceType, urgency: WakeUrgency): string | null {
  if (!collapse) return null;
  if (notifierType === 'firebase') return 'mod_push_appserver_fcm.collapse';
  switch (urgency) {
    case 'high':
      return 'xmpp-body-push';
    case 'silent':
      return 'xmpp-nobody-push';
    case 'voip':
      return 'xmpp-voip-push';
    default:
      return assertNever(urgency);
  }
}
