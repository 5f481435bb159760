import type { Notifier } from '../port.js';
import type { WebpushNotifier } from './webpush-notifier.js';

/** What clients of a notifier must know before they can subscribe anywhere; null for those of other types. */
export function vapidPublicKeysOf(notifier: Notifier | undefined): readonly string[] | null {
  return notifier !== undefined && isWebpushNotifier(notifier) ? notifier.vapidPublicKeys : null;
}

const isWebpushNotifier = (notifier: Notifier): notifier is WebpushNotifier => notifier.type === 'webpush';
