import { assertNever } from '../domain/assert-never.js';
import type { Command, CommandTools } from './command.js';
import { formMarkup, type FormField } from './data-form.js';
import { detached } from './detached.js';
import { newV1SessionId } from './identifiers.js';
import { errorAnswer, resultAnswer, type IqAnswer } from './iq.js';
import { element } from './markup.js';
import { ns } from './namespaces.js';
import type { V1Target } from './port.js';
import { internalServerError, overloaded, serviceUnavailable, stanzaError } from './stanza-error.js';

export const v1Commands = [
  { node: 'v1-register-push', name: 'Register for push' },
  { node: 'v1-unregister-push', name: 'Unregister from push' },
];

/** The most that a client may name, in UTF-16 units; HTTP cannot carry more either (bodies of 4096 bytes). */
export const TYPE_MAX_CHARS = 64;
export const NODE_MAX_CHARS = 1_024;
export const TOKEN_MAX_CHARS = 4_096;

const notAcceptable = errorAnswer(stanzaError('modify', 'not-acceptable', 'Unknown command data'));
const notFound = errorAnswer(stanzaError('cancel', 'item-not-found', 'Node not found!'));

/** `v1-register-push`: form of type, node, token. Source: spec xmpp-push, 5.1. */
export async function v1Register(command: Command, tools: CommandTools): Promise<IqAnswer> {
  if (command.fields === null) return errorAnswer(serviceUnavailable);
  const target = targetOf(command);
  const token = fieldOf(command, 'token', TOKEN_MAX_CHARS);
  if (target === null || token === null) return notAcceptable;
  const outcome = await tools.registrations.register(target, token);
  switch (outcome.kind) {
    case 'registered':
      return completed(command, tools, [
        { type: 'jid-single', name: 'jid', value: command.request.domain },
        { type: 'text-single', name: 'node', value: outcome.node },
        { type: 'text-single', name: 'secret', value: outcome.secret },
      ]);
    case 'unknown-type':
    case 'bad-token':
      return notAcceptable;
    case 'rate-limited':
      return errorAnswer(overloaded);
    case 'unavailable':
      return errorAnswer(internalServerError);
    default:
      return assertNever(outcome);
  }
}

/** `v1-unregister-push`: form of type and node. Source: spec xmpp-push, 5.2. */
export async function v1Unregister(command: Command, tools: CommandTools): Promise<IqAnswer> {
  if (command.fields === null) return errorAnswer(serviceUnavailable);
  const target = targetOf(command);
  if (target === null) return notAcceptable;
  const outcome = await tools.registrations.unregister(target);
  switch (outcome.kind) {
    case 'unregistered':
      return completed(command, tools, [
        { type: 'jid-single', name: 'jid', value: command.request.domain },
        { type: 'text-single', name: 'node', value: target.node },
      ]);
    case 'not-found':
      return notFound;
    case 'rate-limited':
      return errorAnswer(overloaded);
    case 'unavailable':
      return errorAnswer(internalServerError);
    default:
      return assertNever(outcome);
  }
}

function targetOf(command: Command): V1Target | null {
  const type = fieldOf(command, 'type', TYPE_MAX_CHARS);
  const node = fieldOf(command, 'node', NODE_MAX_CHARS);
  if (type === null || node === null) return null;
  return { kind: 'v1', type, node, accountDomain: detached(command.request.from.domain) };
}

/** Null when it is missing, empty or too long. */
function fieldOf({ fields }: Command, name: string, maxChars: number): string | null {
  const value = fields?.get(name) ?? '';
  return value === '' || value.length > maxChars ? null : detached(value);
}

function completed(command: Command, tools: CommandTools, fields: readonly FormField[]): IqAnswer {
  const attributes = {
    xmlns: ns.commands,
    node: command.node,
    status: tools.options.statusWord,
    sessionid: newV1SessionId(tools.randomBytes),
  };
  return resultAnswer(element('command', attributes, formMarkup(fields)));
}
