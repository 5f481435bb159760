import type { TokenHttpEntry } from '../token-source.js';

/**
 * Options of a notifier of type `huawei`. File names are absolute. Default of `endpoint`:
 * https://push-api.cloud.huawei.com, of `tokenEndpoint`: https://oauth-login.cloud.huawei.com/oauth2/v2/token;
 * `maxInFlight` is never more than `connections`.
 */
export interface HuaweiEntry extends TokenHttpEntry {
  readonly type: 'huawei';
  /** The app's identifier, which is also the OAuth client id; digits. */
  readonly appId?: string | null;
  readonly appSecret?: string | null;
  /** v1 names the app in the address, v2 the project. Default v1. */
  readonly apiVersion?: 'v1' | 'v2';
  /** Keys beside `enc_payload` that tell the app what it is; default (null) `spns`. */
  readonly markers?: readonly string[] | null;
  /** For v2. */
  readonly projectId?: string | null;
}
