import type { Http2ClientOptions } from '../http2-client.js';

/** Options of a notifier of type `firebase`. File names are absolute. */
export interface FirebaseEntry extends Partial<Http2ClientOptions> {
  readonly type: 'firebase';
  /** Google's JSON key file; names the project, and its `token_uri` is honoured. */
  readonly serviceAccountFile?: string | null;
  /** `https://HOST:PORT` instead of https://fcm.googleapis.com. */
  readonly endpoint?: string | null;
  /** Trusted for `endpoint` and for the `token_uri`. */
  readonly caFile?: string | null;
  /** Keys beside `enc_payload` that tell the app what it is; default (null) `spns`. */
  readonly markers?: readonly string[] | null;
  /** For one request of an access token. */
  readonly tokenTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}
