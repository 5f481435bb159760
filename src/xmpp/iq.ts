import { element, type Markup } from './markup.js';
import { errorMarkup, type StanzaError } from './stanza-error.js';
import type { Jid } from './jid.js';
import type { XmlElement } from './xml-element.js';

/** A question that wants exactly one answer. */
export interface IqRequest {
  readonly type: 'get' | 'set';
  readonly from: Jid;
  /** The component's domain, whatever address of it was asked. */
  readonly domain: string;
  /** The one child of the IQ. */
  readonly payload: XmlElement;
  /** Unix milliseconds; after this an error is answered in place of the handler. */
  readonly deadlineMs: number;
}

export type IqAnswer =
  /** `payload` may be empty. */
  | { readonly kind: 'result'; readonly payload: Markup }
  | { readonly kind: 'error'; readonly error: StanzaError };

/** May throw or never settle: the requester is answered all the same. */
export type IqHandler = (request: IqRequest) => IqAnswer | Promise<IqAnswer>;

export const resultAnswer = (payload: Markup): IqAnswer => ({ kind: 'result', payload });
export const errorAnswer = (error: StanzaError): IqAnswer => ({ kind: 'error', error });

/** Where an answer goes; everything as the request had it, byte for byte: servers route answers by id. */
export interface AnswerAddress {
  readonly id: string;
  readonly to: string;
  readonly from: string;
}

export function answerMarkup({ id, to, from }: AnswerAddress, answer: IqAnswer): Markup {
  const isResult = answer.kind === 'result';
  return element(
    'iq',
    { type: isResult ? 'result' : 'error', from, to, id },
    isResult ? answer.payload : errorMarkup(answer.error),
  );
}
