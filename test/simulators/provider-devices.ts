import { randomBytes } from 'node:crypto';
import { assertNever } from '../../src/domain/assert-never.js';
import { SessionDevice, type Platform, type SessionAccount } from './session-client.js';
import type { ProviderWorld } from './provider-world.js';

/** A push as it came out at the device's end of a provider. */
export interface ArrivedPush {
  /** Base64: for `decodePush`. */
  readonly encPayload: string;
  /** What the provider saw, in bytes; null where it is not kept. */
  readonly bodyBytes: number | null;
}

/** A device of any service: how it names itself in a subscribe, and what has reached it. */
export class ProviderDevice extends SessionDevice {
  constructor(
    service: string,
    platform: Platform,
    /** `service_info` as its platform sends it. */
    readonly serviceInfo: Readonly<Record<string, unknown>>,
    /** What has arrived so far, in order. */
    readonly arrived: () => readonly ArrivedPush[],
  ) {
    super(platform, String(serviceInfo['token']), Buffer.from(randomBytes(32)), service);
  }

  // The signature covers neither service nor token.
  override subscription(
    ...given: Parameters<SessionDevice['subscription']>
  ): ReturnType<SessionDevice['subscription']> {
    return { ...super.subscription(...given), service_info: this.serviceInfo };
  }

  override unsubscription(
    ...given: Parameters<SessionDevice['unsubscription']>
  ): ReturnType<SessionDevice['unsubscription']> {
    return { ...super.unsubscription(...given), service_info: this.serviceInfo };
  }

  /** A plain subscribe of one account: the body as Android writes it, an array of one. */
  subscribeBody(account: SessionAccount, signedAtSeconds: number): Buffer {
    return Buffer.from(JSON.stringify([this.subscription(account, signedAtSeconds)]));
  }
}

export type DeviceService =
  'apns' | 'apns-sandbox' | 'firebase' | 'huawei' | 'wns' | 'webpush' | 'unifiedpush';

/** A new device of one service, with a token or an endpoint of its own. */
export function createProviderDevice(world: ProviderWorld, service: DeviceService): ProviderDevice {
  switch (service) {
    case 'apns':
    case 'apns-sandbox': {
      const provider = service === 'apns' ? world.apns : world.apnsSandbox;
      const token = randomBytes(32).toString('hex');
      return new ProviderDevice(service, 'ios', { token }, () =>
        provider.pushes
          .filter((push) => push.token === token)
          .map(({ body, bodyText }) => arrived(body['enc_payload'], bodyText)),
      );
    }
    case 'firebase': {
      const token = `${randomBytes(16).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`;
      return new ProviderDevice(service, 'android', { token }, () =>
        world.fcm.pushes
          .filter((push) => push.token === token)
          .map(({ message, bodyText }) => arrived(message.data['enc_payload'], bodyText)),
      );
    }
    case 'huawei': {
      const token = `IQ${randomBytes(48).toString('base64url')}`;
      return new ProviderDevice(service, 'android', { token }, () =>
        world.hms.pushes
          .filter((push) => push.token === token)
          .map(({ data, bodyText }) => arrived(data['enc_payload'], bodyText)),
      );
    }
    case 'wns': {
      const channel = `/?token=${encodeURIComponent(randomBytes(60).toString('base64'))}`;
      const serviceInfo = { channel_uri: `https://db5p.notify.windows.com${channel}` };
      return new ProviderDevice(service, 'android', serviceInfo, () =>
        world.wns.pushes
          .filter((push) => push.channel === channel)
          .map(({ bodyText }) => arrived(encPayloadIn(bodyText), bodyText)),
      );
    }
    case 'webpush': {
      const browser = world.pushService.subscribe(world.vapidPublicKey);
      return new ProviderDevice(service, 'android', browser.toJSON(), () =>
        browser.received.map((message) => arrived(encPayloadIn(message.toString('utf8')), null)),
      );
    }
    case 'unifiedpush': {
      const app = world.unifiedpush.register({ withKeys: true });
      return new ProviderDevice(service, 'android', app.serviceInfo(), () =>
        app.received.map((message) => arrived(encPayloadIn(message.toString('utf8')), null)),
      );
    }
    default:
      return assertNever(service);
  }
}

const arrived = (encPayload: unknown, bodyText: string | null): ArrivedPush => ({
  encPayload: String(encPayload),
  bodyBytes: bodyText === null ? null : Buffer.byteLength(bodyText),
});

const encPayloadIn = (text: string): unknown =>
  (JSON.parse(text) as { readonly enc_payload?: unknown }).enc_payload;
