import type { Device } from '../domain/device.js';
import { parseAnyServiceId, type ServiceName } from '../domain/ids.js';
import type { DeviceType } from './device-type.js';

/** What the notifier of a service makes of a `service_info`; null: it refuses it, or there is none. Never rejects. */
export type AskNotifier = (
  service: ServiceName,
  serviceInfo: Readonly<Record<string, unknown>>,
) => Promise<Device | null>;

/** The device that a client's token names; null when it is none. */
export type CheckToken = (type: DeviceType, token: string) => Promise<Device | null>;

/** Of notifiers whose devices are more than a token: where the address goes that a client gives in its place. */
const addressFields: Readonly<Partial<Record<string, string>>> = {
  webpush: 'endpoint',
  unifiedpush: 'endpoint',
  wns: 'channel_uri',
};

/**
 * Tokens of Apple, Google and Huawei are taken as they come: what is wrong with one shows at the first push. Where a device
 * is an address, the token is that, or the JSON object that clients of subscriptions send as `service_info`.
 */
export const createTokenCheck =
  (ask: AskNotifier): CheckToken =>
  async (type, token) => {
    const field = addressFields[type.notifierType ?? ''];
    if (field === undefined) {
      const serviceId = parseAnyServiceId(token);
      return serviceId === null ? null : { serviceId, serviceData: null };
    }
    const info = token.startsWith('{') ? objectIn(token) : { [field]: token };
    return info === null ? null : ask(type.service, info);
  };

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}
