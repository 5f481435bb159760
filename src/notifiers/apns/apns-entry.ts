import type { Http2ClientOptions } from '../http2-client.js';

export type ApnsPushType = 'alert' | 'background' | 'voip';
export type ApnsPriority = 10 | 5 | 1;

/** Options of a notifier of type `apns`. File names are absolute. */
export interface ApnsEntry extends Partial<Http2ClientOptions> {
  readonly type: 'apns';
  /** The app's bundle id. */
  readonly topic: string;
  /** Apple's development environment. */
  readonly sandbox: boolean;
  /** PKCS #12 (.p12): certificate and key in one; instead of all the files and ids below. */
  readonly pfxFile?: string | null;
  /** Null: the file has none. */
  readonly pfxPassphrase?: string | null;
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
  /** Default `alert`. The others have no alert in the body: the app itself decides what the user sees. */
  readonly pushType?: ApnsPushType;
  /** Null (default): as the push says, 10 for `high` and 5 for `normal`; where Apple allows only one, that one. */
  readonly priority?: ApnsPriority | null;
  /** What the user sees when the extension cannot decrypt. */
  readonly alertTitle?: string;
  readonly alertBody?: string;
  /** Null: no such member in the body. */
  readonly badge?: number | null;
  readonly sound?: string | null;
  readonly category?: string | null;
  /** Let iOS run the extension that decrypts; default true. Of alerts only. */
  readonly mutableContent?: boolean;
  /** Keys beside `enc_payload` that tell the app what it is; default (null) `spns`. */
  readonly markers?: readonly string[] | null;
  /** Send `apns-collapse-id`, so that a push repeated after a lost answer shows once; default false as in the original. */
  readonly collapseRepeats?: boolean;
  /** The JWT is renewed after so long; Apple takes 20 to 60 minutes. */
  readonly tokenLifetimeMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}
