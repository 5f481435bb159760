import type { Http2ClientOptions } from '../http2-client.js';

/** Options of a notifier of type `apns`. File names are absolute. */
export interface ApnsEntry extends Partial<Http2ClientOptions> {
  readonly type: 'apns';
  /** The app's bundle id. */
  readonly topic: string;
  /** Apple's development environment. */
  readonly sandbox: boolean;
  /** PEM certificate (with `keyFile`); left out with token authentication. */
  readonly certFile?: string | null;
  /** PEM key of the certificate, or the .p8 token key. */
  readonly keyFile?: string | null;
  /** Both together: token authentication. */
  readonly keyId?: string | null;
  readonly teamId?: string | null;
  /** `https://HOST:PORT` instead of Apple's. */
  readonly endpoint?: string | null;
  readonly caFile?: string | null;
  /** What the user sees when the extension cannot decrypt. */
  readonly alertTitle?: string;
  readonly alertBody?: string;
  /** Null: no such member in the body. */
  readonly badge?: number | null;
  readonly sound?: string | null;
  readonly category?: string | null;
  /** Send `apns-collapse-id`, so that a push repeated after a lost answer shows once; default false as in the original. */
  readonly collapseRepeats?: boolean;
  /** The JWT is renewed after so long; Apple takes 20 to 60 minutes. */
  readonly tokenLifetimeMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}
