import type { TokenHttpEntry } from '../token-source.js';

/** Options of a notifier of type `wns`. File names are absolute. */
export interface WnsEntry extends TokenHttpEntry {
  readonly type: 'wns';
  /** The app's package SID (`ms-app://s-1-15-2-…`), or with `tenantId` its application id: the OAuth client id. */
  readonly packageSid?: string | null;
  readonly clientSecret?: string | null;
  /** Entra ID: the directory id. Null: a Microsoft account. */
  readonly tenantId?: string | null;
  readonly tokenScope?: string | null;
  /** `raw`: the sealed payload for the app; `toast`: a text for the user without it. Default raw. */
  readonly notificationType?: 'raw' | 'toast';
  readonly toastTitle?: string;
  readonly toastBody?: string;
  /** Raw: ask WNS to keep the last one for a device that is offline. Default true. */
  readonly cache?: boolean;
}
