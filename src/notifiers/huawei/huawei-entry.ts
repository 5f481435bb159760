/** Options of a notifier of type `huawei`. File names are absolute. */
export interface HuaweiEntry {
  readonly type: 'huawei';
  /** The app's identifier, which is also the OAuth client id; digits. */
  readonly appId?: string | null;
  readonly appSecret?: string | null;
  /** v1 names the app in the address, v2 the project. Default v1. */
  readonly apiVersion?: 'v1' | 'v2';
  /** For v2. */
  readonly projectId?: string | null;
  /** `https://HOST:PORT` instead of https://push-api.cloud.huawei.com. */
  readonly endpoint?: string | null;
  /** Instead of https://oauth-login.cloud.huawei.com/oauth2/v2/token. */
  readonly tokenEndpoint?: string | null;
  /** Trusted for `endpoint` and `tokenEndpoint`. */
  readonly caFile?: string | null;
  /** Each carries one request at a time. Default 32. */
  readonly connections?: number;
  /** Requests at once; never more than `connections`. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** For one request of an access token. Default 10,000. */
  readonly tokenTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}
