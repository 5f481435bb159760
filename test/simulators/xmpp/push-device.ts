import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { assertNever } from '../../../src/domain/assert-never.js';
import type { XmppWorld } from '../xmpp-world.js';

export type DeviceWord = 'apns' | 'fcm' | 'huawei' | 'wns' | 'webpush' | 'unifiedpush';

/** A push as its provider saw it. */
export interface ArrivedWake {
  readonly headers: IncomingHttpHeaders;
  /** What came in; where it is encrypted, what the device made of it. */
  readonly text: string;
}

/** A device of an app for XMPP: what it says when it registers, and what has reached it. */
export class PushDevice {
  /** Chosen by the client, and nobody else's. */
  readonly node = `${randomBytes(6).toString('hex')}-${randomBytes(6).toString('hex')}`;

  private constructor(
    readonly type: DeviceWord,
    readonly token: string,
    /** In the order of their coming. */
    readonly arrived: () => readonly ArrivedWake[],
  ) {}

  static create(world: XmppWorld, type: DeviceWord): PushDevice {
    switch (type) {
      case 'apns': {
        const token = randomBytes(32).toString('hex');
        return new PushDevice(type, token, () => ofToken(world.apns.pushes, token));
      }
      case 'fcm': {
        const token = `${randomBytes(16).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`;
        return new PushDevice(type, token, () => ofToken(world.fcm.pushes, token));
      }
      case 'huawei': {
        const token = `IQ${randomBytes(48).toString('base64url')}`;
        return new PushDevice(type, token, () => ofToken(world.hms.pushes, token));
      }
      case 'wns': {
        const channel = `/?token=${encodeURIComponent(randomBytes(60).toString('base64'))}`;
        return new PushDevice(type, `https://db5p.notify.windows.com${channel}`, () =>
          world.wns.pushes
            .filter((push) => push.channel === channel)
            .map(({ headers, bodyText }) => ({ headers, text: bodyText })),
        );
      }
      case 'webpush': {
        const browser = world.pushService.subscribe(world.vapidPublicKey);
        return new PushDevice(type, JSON.stringify(browser), () =>
          decrypted(world.pushService.http.recorded, browser),
        );
      }
      case 'unifiedpush': {
        const app = world.unifiedpush.register({ withKeys: true });
        return new PushDevice(type, JSON.stringify(app.serviceInfo()), () =>
          decrypted(world.unifiedpush.http.recorded, app),
        );
      }
      default:
        return assertNever(type);
    }
  }
}

interface TokenPush {
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyText: string;
}

const ofToken = (pushes: readonly TokenPush[], token: string): readonly ArrivedWake[] =>
  pushes.filter((push) => push.token === token).map(({ headers, bodyText }) => ({ headers, text: bodyText }));

/** What arrived, in order, with the headers that it came with. */
function decrypted(
  recorded: readonly {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
  }[],
  { path, received }: { readonly path: string; readonly received: readonly Buffer[] },
): readonly ArrivedWake[] {
  const posts = recorded.filter((request) => request.method === 'POST' && request.path === path);
  return received.map((message, index) => ({
    headers: posts[index]?.headers ?? {},
    text: message.toString('utf8'),
  }));
}
