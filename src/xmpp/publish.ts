import { assertNever } from '../domain/assert-never.js';
import { fail, ok, type Result } from '../domain/result.js';
import { readFields } from './data-form.js';
import { detached } from './detached.js';
import { errorAnswer, resultAnswer, type IqAnswer, type IqHandler, type IqRequest } from './iq.js';
import { noMarkup } from './markup.js';
import { ns } from './namespaces.js';
import type { PublishOutcome, Publishes, PublishRequest, PublishSummary } from './port.js';
import { internalServerError, serviceUnavailable, stanzaError, type StanzaError } from './stanza-error.js';
import type { XmlElement } from './xml-element.js';

/** Longer ones are nothing that we have given out; they need not be looked up. In UTF-16 units. */
export const PUBLISH_FIELD_MAX_CHARS = 4_096;

const notFound = (text: string): StanzaError => stanzaError('cancel', 'item-not-found', text);
const noOptions = notFound('Error extracting options node');
const noSecret = notFound('Error decoding options node');
const missing = notFound('Node and/or secret missing');
const unknown = notFound('Unknown node or secret');
const rateLimited = stanzaError('wait', 'resource-constraint', 'Ratelimit reached');
const failedText = 'Internal error in push handler';
const failed = stanzaError('wait', 'internal-server-error', failedText);

/**
 * Reads a publish, or says how to refuse it: checks, their order, conditions and texts are those of
 * mod_push_appserver's last version. The summary never makes it fail. Source: spec xmpp-push, 3.1 and 3.2.
 */
export function readPublish(request: IqRequest): Result<PublishRequest, StanzaError> {
  const publish = request.payload.child('publish');
  const notification = publish?.child('item')?.child('notification', ns.push) ?? null;
  if (publish === null || notification === null) return fail(serviceUnavailable);
  const form = request.payload.child('publish-options')?.child('x', ns.dataForm) ?? null;
  if (form === null) return fail(noOptions);
  const secret = readFields(form).get('secret');
  if (secret === undefined) return fail(noSecret);
  const node = publish.attribute('node');
  // An empty name is nobody's, an empty secret nobody's either.
  if (node === null || node === '' || secret === null || secret === '') return fail(missing);
  if (node.length > PUBLISH_FIELD_MAX_CHARS || secret.length > PUBLISH_FIELD_MAX_CHARS) return fail(unknown);
  const { local, resource, domain } = request.from;
  return ok({
    node: detached(node),
    secret: detached(secret),
    summary: readSummary(notification),
    senderDomain: detached(domain),
    isFromServer: local === '' && resource === '',
    deadlineMs: request.deadlineMs,
  });
}

function readSummary(notification: XmlElement): PublishSummary {
  const form = notification.child('x', ns.dataForm);
  if (form === null) return { messageCount: null, pendingSubscriptionCount: null, hasBody: false };
  const fields = readFields(form);
  return {
    messageCount: countOf(fields.get('message-count')),
    pendingSubscriptionCount: countOf(fields.get('pending-subscription-count')),
    hasBody: typeof fields.get('last-message-body') === 'string',
  };
}

const countOf = (value: string | null | undefined): number | null =>
  typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : null;

/**
 * The answer for an outcome. Only `unknown` and `dead-token` end a registration at the user's server; all that is
 * temporary is a `wait`. Source: spec xmpp-push, 3.4 and 4.5.
 */
export function publishAnswer(outcome: PublishOutcome): IqAnswer {
  switch (outcome.kind) {
    case 'accepted':
      return accepted;
    case 'unknown':
    case 'dead-token':
      return errorAnswer(unknown);
    case 'rate-limited':
      return errorAnswer(rateLimited);
    case 'failed':
      return errorAnswer(
        outcome.text === null ? failed : stanzaError('wait', internalServerError.condition, outcome.text),
      );
    default:
      return assertNever(outcome);
  }
}

const accepted = resultAnswer(noMarkup);

export function publishHandler(publishes: Publishes): IqHandler {
  return (request) => {
    const read = readPublish(request);
    if (!read.ok) return errorAnswer(read.error);
    const outcome = publishes.publish(read.value);
    return outcome instanceof Promise ? outcome.then(publishAnswer) : publishAnswer(outcome);
  };
}
