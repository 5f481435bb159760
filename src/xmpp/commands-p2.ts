import { assertNever } from '../domain/assert-never.js';
import type { Command, CommandTools } from './command.js';
import { TOKEN_MAX_CHARS } from './commands-v1.js';
import { formMarkup } from './data-form.js';
import { detached } from './detached.js';
import { p2Hash } from './identifiers.js';
import { errorAnswer, resultAnswer, type IqAnswer } from './iq.js';
import { bareJid, parseJid } from './jid.js';
import { element } from './markup.js';
import { ns } from './namespaces.js';
import type { P2Service, P2Target } from './port.js';
import { badRequest, internalServerError, itemNotFound, overloaded } from './stanza-error.js';

export interface P2Command {
  readonly verb: 'register' | 'unregister';
  readonly service: P2Service;
}

const services: Readonly<Record<string, P2Service>> = { fcm: 'fcm', gcm: 'fcm', apns: 'apns' };

export const p2Commands = ['register', 'unregister'].flatMap((verb) =>
  Object.keys(services).map((service) => ({
    node: `${verb}-push-${service}`,
    name: `${verb === 'register' ? 'Register for' : 'Unregister from'} push over ${service.toUpperCase()}`,
  })),
);

const DEVICE_ID_MAX_CHARS = 1_024;

/** The service is taken in any case of letters, as the original does. */
export function p2CommandOf(node: string): P2Command | null {
  const [, verb, name] = /^(register|unregister)-push-([A-Za-z]{1,16})$/.exec(node) ?? [];
  const key = name?.toLowerCase() ?? '';
  const service = Object.hasOwn(services, key) ? services[key] : undefined;
  if (service === undefined) return null;
  return { verb: verb === 'register' ? 'register' : 'unregister', service };
}

/** `register-push-fcm`, `-gcm`, `-apns`: token, device-id or android-id, muc. Source: spec xmpp-push, 6.1. */
export async function p2Register(
  service: P2Service,
  command: Command,
  tools: CommandTools,
): Promise<IqAnswer> {
  const target = targetOf(service, command);
  const token = fieldOf(command, 'token', TOKEN_MAX_CHARS);
  if (target === null || token === null) return errorAnswer(badRequest);
  const outcome = await tools.registrations.register(target, token);
  switch (outcome.kind) {
    case 'registered': {
      const form = formMarkup([
        { type: 'jid-single', name: 'jid', value: command.request.domain },
        { type: 'text-single', name: 'node', value: outcome.node },
        { type: 'text-single', name: 'secret', value: outcome.secret },
      ]);
      const attributes = {
        xmlns: ns.commands,
        node: command.node,
        status: tools.options.statusWord,
        sessionid: String(tools.clock.nowMs()),
      };
      return resultAnswer(element('command', attributes, form));
    }
    case 'unknown-type':
      return errorAnswer(itemNotFound);
    case 'bad-token':
      return errorAnswer(badRequest);
    case 'rate-limited':
      return errorAnswer(overloaded);
    case 'unavailable':
      return errorAnswer(internalServerError);
    default:
      return assertNever(outcome);
  }
}

/** `unregister-push-…`: device-id or android-id, muc or channel. Source: spec xmpp-push, 6.2. */
export async function p2Unregister(
  service: P2Service,
  command: Command,
  tools: CommandTools,
): Promise<IqAnswer> {
  const target = targetOf(service, command);
  if (target === null) return errorAnswer(badRequest);
  const outcome = await tools.registrations.unregister(target);
  switch (outcome.kind) {
    case 'unregistered':
      return resultAnswer(element('command', { xmlns: ns.commands, node: command.node, action: 'complete' }));
    case 'not-found':
      return errorAnswer(itemNotFound);
    case 'rate-limited':
      return errorAnswer(overloaded);
    case 'unavailable':
      return errorAnswer(internalServerError);
    default:
      return assertNever(outcome);
  }
}

/** The account is whoever asks, never what a form says. */
function targetOf(service: P2Service, command: Command): P2Target | null {
  const { from } = command.request;
  const deviceId =
    fieldOf(command, 'device-id', DEVICE_ID_MAX_CHARS) ?? fieldOf(command, 'android-id', DEVICE_ID_MAX_CHARS);
  if (deviceId === null) return null;
  const channel = channelOf(command, deviceId);
  if (channel === null) return null;
  return {
    kind: 'p2',
    service,
    device: p2Hash(bareJid(from), deviceId),
    channel,
    accountDomain: detached(from.domain),
  };
}

/**
 * '' for the account itself; null for a room that is none. Conversations names a room, when it leaves it, by the hash
 * that came with its pushes; p2 overlooks that and deletes the account's own registration.
 */
function channelOf(command: Command, deviceId: string): string | null {
  const hash = command.fields?.get('channel')?.trim() ?? '';
  if (hash !== '') return /^[0-9a-f]{40}$/.test(hash) ? detached(hash) : null;
  const text = command.fields?.get('muc')?.trim() ?? '';
  if (text === '') return '';
  const room = parseJid(text);
  return room === null || room.resource !== '' ? null : p2Hash(bareJid(room), deviceId);
}

/** Null when it is missing, blank or too long. Taken as it is, blanks around it included. */
function fieldOf({ fields }: Command, name: string, maxChars: number): string | null {
  const value = fields?.get(name) ?? '';
  return value.trim() === '' || value.length > maxChars ? null : detached(value);
}
