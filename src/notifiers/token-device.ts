import type { Device } from '../domain/device.js';
import { parseAnyServiceId } from '../domain/ids.js';
import type { Notifier } from './port.js';
import type { ServiceInfo } from './service-info.js';

/** Nothing of what a device says about itself is longer: an endpoint, a channel, keys. In UTF-16 units. */
const MAX_TOKEN_LENGTH = 4_096;
/** Types whose token is all that they need; the provider says at the first push whether it is one. */
const plainTypes: ReadonlySet<string> = new Set(['apns', 'firebase', 'huawei', 'dummy']);
/** No NUL, which PostgreSQL cannot store, and no half of a surrogate pair, which UTF-8 has no form for. */
const unstorable = /[\0\p{Surrogate}]/u;

/**
 * The device that a token names which a client of an XMPP server registers: one text, as such clients have no more to give
 * (spec xmpp-push, 5.1). For apns, firebase and huawei it is taken as it comes, 1 to 999 bytes of UTF-8, as the original
 * does; a malformed one shows when it is sent. The others want to know whom they talk to before they do: the text is an
 * endpoint or a channel URI, or the JSON object that a subscribe has as its `service_info`
 * (`{"endpoint": …, "keys": {…}}`), and is judged like one. Null: refused, or the notifier is an external one, which
 * knows no such pushes. Never rejects, and takes no longer than the notifier's own time limit.
 */
export async function deviceOfToken(notifier: Notifier, token: string): Promise<Device | null> {
  if (token.length > MAX_TOKEN_LENGTH || unstorable.test(token)) return null;
  if (notifier.capabilities.content === 'unsealed') return null;
  if (plainTypes.has(notifier.type)) {
    const serviceId = parseAnyServiceId(token);
    return serviceId === null ? null : { serviceId, serviceData: null };
  }
  const serviceInfo = serviceInfoOf(notifier.type, token);
  if (serviceInfo === null) return null;
  const device = await notifier.validate(serviceInfo, 'subscribe');
  return device.ok ? device.value : null;
}

function serviceInfoOf(type: string, token: string): ServiceInfo | null {
  if (!token.startsWith('{')) return { [type === 'wns' ? 'channel_uri' : 'endpoint']: token };
  try {
    // It begins with a brace, so it is an object if it is JSON.
    return JSON.parse(token) as ServiceInfo;
  } catch {
    return null;
  }
}
