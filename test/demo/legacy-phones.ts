import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { bchatPreset, sessionPreset } from '../simulators/brand-presets.js';
import { eventually } from '../simulators/eventually.js';
import { LegacyClient, type LegacyClientOptions } from '../simulators/legacy-client.js';
import { newAndroidToken, newHuaweiToken, newIosToken } from '../simulators/legacy-world.js';
import { shorten } from './output.js';
import type { OperatorWorld } from './operator-world.js';

export type PhoneApp = 'session' | 'bchat';
export type PhoneMaker = 'apple' | 'google' | 'huawei';

/** What the original servers sent, with `<token>` and `<data>` where these stand. */
interface Originals {
  readonly apns: { readonly body: unknown };
  readonly fcm: { readonly body: unknown };
  readonly huawei: { readonly body: unknown };
}
const { apps } = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v1.json', import.meta.url), 'utf8'),
) as { apps: Readonly<Record<PhoneApp, { readonly provider_requests: Originals }>> };

const kindOf = { apple: 'apns', google: 'fcm', huawei: 'huawei' } as const;

/** An id as the app writes it: two digits for the network, then the key. */
export const newId = (app: PhoneApp): string =>
  (app === 'session' ? '05' : 'bd') + randomBytes(32).toString('hex');

export function newToken(maker: PhoneMaker): string {
  switch (maker) {
    case 'apple':
      return newIosToken();
    case 'google':
      return newAndroidToken();
    case 'huawei':
      return newHuaweiToken();
  }
}

/** The app with the host and the key that were built into it. */
export function connect(
  world: OperatorWorld,
  httpAddress: string,
  app: PhoneApp,
  options: LegacyClientOptions = {},
): LegacyClient {
  return app === 'session'
    ? new LegacyClient(httpAddress, world.sessionKey, sessionPreset, options)
    : new LegacyClient(httpAddress, world.bchatKey, bchatPreset, options);
}

/** Stands for what a sender's app encrypts for the recipient: the server cannot read it, and does not look. */
export const seal = (text: string): string => Buffer.from(text).toString('base64');

/** One phone, and what should have reached it by now. */
export class Phone {
  /** Texts, in the order in which they were sent. */
  readonly due: string[] = [];
  isRegistered = true;

  constructor(
    private readonly world: OperatorWorld,
    readonly name: string,
    readonly app: PhoneApp,
    readonly maker: PhoneMaker,
    readonly account = newId(app),
    readonly token = newToken(maker),
  ) {}

  /** The bodies that its provider has accepted for it, in the order of arrival. */
  arrived(): readonly unknown[] {
    const { apns, fcm, bchatFcm, hms } = this.world;
    const google = this.app === 'session' ? fcm : bchatFcm;
    const pushes = { apple: apns.pushes, google: google.pushes, huawei: hms.pushes }[this.maker];
    return pushes
      .filter(({ token }) => token === this.token)
      .map(({ bodyText }) => JSON.parse(bodyText) as unknown);
  }

  /** Until it has everything that it should have. */
  async served(timeoutMs = 10_000): Promise<void> {
    const count = this.due.length;
    await eventually(() => this.arrived().length >= count, {
      everyMs: 2,
      timeoutMs,
      what: `push ${count} at ${this.name}`,
    });
  }

  /** What the newest push looks like on its screen. */
  screen(): string {
    const { shown, data } = this.#read(this.arrived().at(-1));
    const text = Buffer.from(data, 'base64').toString();
    return `${shown}: "${shorten(text, 28)}"`;
  }

  /** What came twice, not at all, or otherwise than the original would have sent it; null when all is well. */
  fault(): string | null {
    const arrived = this.arrived();
    if (arrived.length !== this.due.length)
      return `${this.name}: ${arrived.length} pushes instead of ${this.due.length}`;
    const missing = this.due.filter((text) => {
      const original = this.#original(seal(text));
      return !arrived.some((body) => isDeepStrictEqual(body, original));
    });
    return missing.length === 0 ? null : `${this.name}: ${missing.length} pushes unlike the original's`;
  }

  #original(data: string): unknown {
    const template = apps[this.app].provider_requests[kindOf[this.maker]].body;
    return JSON.parse(JSON.stringify(template), (_key, value: unknown) =>
      value === '<token>' ? this.token : value === '<data>' ? data : value,
    );
  }

  #read(body: unknown): { shown: string; data: string } {
    switch (this.maker) {
      case 'apple': {
        const { aps, ENCRYPTED_DATA: data } = body as {
          aps: { alert: { title: string } };
          ENCRYPTED_DATA: string;
        };
        return { shown: `alert "${aps.alert.title}", its extension decrypts`, data };
      }
      case 'google': {
        const { message } = body as { message: { data: { ENCRYPTED_DATA: string } } };
        return { shown: 'wakes and decrypts ENCRYPTED_DATA', data: message.data.ENCRYPTED_DATA };
      }
      case 'huawei': {
        const { message } = body as { message: { data: string } };
        return { shown: 'wakes and decrypts data', data: message.data };
      }
    }
  }
}
