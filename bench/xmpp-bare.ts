import type { ProviderCredentials } from './legacy-bare.js';
import type { WorldFacts } from './world.js';
import type { XmppPhoneKind } from './xmpp-people.js';

export interface XmppBareSetup {
  readonly facts: WorldFacts;
  readonly credentials: ProviderCredentials;
  /** With the server's `mendAsyncResourceBind`. */
  readonly isMended: boolean;
}

export interface XmppBareFlow {
  readonly phones: XmppPhoneKind;
  readonly devices: number;
  readonly count: number;
  readonly perSecond: number;
  /** What is due in the meantime goes out together, as the server's does. */
  readonly everyMs: number;
}

export interface XmppBareCalls {
  readonly setup: [XmppBareSetup, null];
  /** What is made beforehand, so that it is nobody's cost. */
  readonly prepare: [Pick<XmppBareFlow, 'phones' | 'devices'>, null];
  /** Answers when all is answered: pushes that were taken. */
  readonly run: [XmppBareFlow, number];
}
