import { element, noMarkup, text, type Markup } from './markup.js';
import { ns } from './namespaces.js';

export type StanzaErrorType = 'cancel' | 'modify' | 'wait' | 'auth';
export type StanzaCondition =
  | 'bad-request'
  | 'forbidden'
  | 'internal-server-error'
  | 'item-not-found'
  | 'not-acceptable'
  | 'resource-constraint'
  | 'service-unavailable';

/**
 * An error that answers an IQ. The type is what counts for a user's registration: at the first answer to a publish
 * that is an error and not of type `wait`, ejabberd deletes it; Prosody at the 16th in a row. So whatever may be
 * better later is a `wait`. Source: spec xmpp-push, 4.5.
 */
export interface StanzaError {
  readonly type: StanzaErrorType;
  readonly condition: StanzaCondition;
  readonly text: string | null;
  /** A condition of the protocol in question, beside the general one. */
  readonly detail: Markup;
}

export const stanzaError = (
  type: StanzaErrorType,
  condition: StanzaCondition,
  message: string | null = null,
  detail: Markup = noMarkup,
): StanzaError => ({ type, condition, text: message, detail });

/** Without the request that it answers, which would only cost bytes. Source: spec xmpp-push, 3.2. */
export function errorMarkup(error: StanzaError): Markup {
  const content = [element(error.condition, { xmlns: ns.stanzaErrors })];
  if (error.text !== null) content.push(element('text', { xmlns: ns.stanzaErrors }, text(error.text)));
  return element('error', { type: error.type }, ...content, error.detail);
}

export const badRequest = stanzaError('modify', 'bad-request');
export const serviceUnavailable = stanzaError('cancel', 'service-unavailable');
export const itemNotFound = stanzaError('cancel', 'item-not-found');
/** For all that may be better later: a fault of ours, a time-out, an absent database. */
export const internalServerError = stanzaError('wait', 'internal-server-error');
export const overloaded = stanzaError('wait', 'resource-constraint');
