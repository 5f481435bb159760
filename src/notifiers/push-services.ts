import type { Device } from '../domain/device.js';

/** Who runs a push service; `other`: one that nobody vouches for, as anybody can set up. */
export type PushServiceName = 'apple' | 'google' | 'mozilla' | 'microsoft' | 'other';

/** `host`: a host name in lower case. */
export function pushServiceOf(host: string): PushServiceName {
  if (host === 'fcm.googleapis.com') return 'google';
  if (host.endsWith('.push.apple.com')) return 'apple';
  if (host.endsWith('.push.services.mozilla.com')) return 'mozilla';
  if (host.endsWith('.notify.windows.com')) return 'microsoft';
  return 'other';
}

/** Whether the origin is one of the big four's. */
export const isKnownOrigin = (origin: string): boolean =>
  origin.startsWith('https:') && pushServiceOf(new URL(origin).hostname) !== 'other';

/** The origin of the endpoint that is a device's service id, unless it is one of the big four's. */
export function strangerOf({ serviceId }: Device): string | null {
  const origin = URL.canParse(serviceId) ? new URL(serviceId).origin : null;
  return origin !== null && isKnownOrigin(origin) ? null : origin;
}
