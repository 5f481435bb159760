/** Options of a notifier of type `wns`. File names are absolute. */
export interface WnsEntry {
  readonly type: 'wns';
  /** The app's package SID (`ms-app://s-1-15-2-…`), or with `tenantId` its application id: the OAuth client id. */
  readonly packageSid?: string | null;
  readonly clientSecret?: string | null;
  /** Entra ID: the directory id. Null: a Microsoft account. */
  readonly tenantId?: string | null;
  /** Instead of Microsoft's. */
  readonly tokenEndpoint?: string | null;
  readonly tokenScope?: string | null;
  /** `raw`: the sealed payload for the app; `toast`: a text for the user without it. Default raw. */
  readonly notificationType?: 'raw' | 'toast';
  readonly toastTitle?: string;
  readonly toastBody?: string;
  /** Raw: ask WNS to keep the last one for a device that is offline. Default true. */
  readonly cache?: boolean;
  /** `https://HOST:PORT` where requests go instead of the channel's host. */
  readonly endpoint?: string | null;
  /** Trusted for `endpoint` and `tokenEndpoint`. */
  readonly caFile?: string | null;
  /** Per host; each carries one request at a time. Default 32. */
  readonly connections?: number;
  /** Requests at once, over all hosts. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** For one request of an access token. Default 10,000. */
  readonly tokenTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}
