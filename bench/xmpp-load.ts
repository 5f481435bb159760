import type { LoadFlow, LoadFlowResult } from './load-flow.js';
import type { XmppPhoneKind } from './xmpp-people.js';

/** What is asked for. */
export type XmppSubject =
  /** Publishes to one device after the other, from the first again after the last. */
  | { readonly kind: 'publish'; readonly phones: XmppPhoneKind; readonly devices: number }
  /** Registrations of phones that are not in the table, by number; the same again are renewals. */
  | {
      readonly kind: 'register-http' | 'register-v1' | 'register-p2';
      readonly first: number;
    };

export interface XmppLoadCalls {
  /** An XMPP server; the port of its components. */
  readonly open: [null, number];
  /** Resolves when the component is there. */
  readonly online: [null, null];
  /** Where HTTP is served. */
  readonly http: [string, null];
  readonly run: [LoadFlow & { readonly subject: XmppSubject }, LoadFlowResult];
}
