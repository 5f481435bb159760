import type { PublishOutcome, RegisterOutcome, UnregisterOutcome } from '../xmpp/port.js';
import type { EndpointReply } from './client-endpoints.js';
import type { Fields } from './app-server-fields.js';

/** Why a request is not even looked at. */
export type AppServerRefusal = 'bad-request' | 'too-large' | 'busy' | 'too-many';

/** How one generation of clients asks, and wants to be answered. */
export interface AppServerDialect {
  /** Inclusive. Bytes. */
  readonly bodyMaxBytes: number;
  /** Null: the body is not what it should be. */
  read(body: Buffer): Fields | null;
  registered(outcome: RegisterOutcome): EndpointReply;
  unregistered(node: string, outcome: UnregisterOutcome): EndpointReply;
  pushed(node: string, outcome: PublishOutcome): EndpointReply;
  /** `retryAfterSeconds`: what to tell whoever may come back. */
  refused(refusal: AppServerRefusal, retryAfterSeconds: number): EndpointReply;
}
