import { fail, ok, type Result } from '../../domain/result.js';
import type { PushPriority } from '../../domain/push.js';
import type { ApnsEntry } from './apns-entry.js';

/** The headers that an entry's push type decides. */
export interface ApnsPushHeaders {
  readonly pushType: string;
  /** `apns-priority` for each priority of a push. */
  readonly priorities: Readonly<Record<PushPriority, string>>;
  /** `apns-priority` of older clients' pushes, which are alerts; null where the topic takes no alerts. */
  readonly legacyPriority: string | null;
}

/**
 * Which push types, priorities and topics go together ("Sending notification requests to APNs"): what Apple would
 * refuse for every push is refused here, once.
 */
export function apnsPushHeaders(entry: ApnsEntry): Result<ApnsPushHeaders, string> {
  const { pushType = 'alert', priority = null, topic } = entry;
  if (pushType === 'background' && priority !== null && priority !== 5) {
    return fail(`priority: a push of pushType background has 5, not ${priority}`);
  }
  if (pushType === 'voip' && !topic.endsWith('.voip')) {
    return fail("topic: for pushType voip it is the app's bundle identifier with .voip at its end");
  }
  const fixed = pushType === 'background' ? 5 : priority;
  return ok({
    pushType,
    priorities: fixed === null ? { high: '10', normal: '5' } : { high: `${fixed}`, normal: `${fixed}` },
    legacyPriority: pushType === 'voip' ? null : pushType === 'alert' ? `${fixed ?? 10}` : '10',
  });
}
