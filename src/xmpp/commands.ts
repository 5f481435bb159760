import type { Command, CommandTools } from './command.js';
import { p2CommandOf, p2Commands, p2Register, p2Unregister } from './commands-p2.js';
import { v1Commands, v1Register, v1Unregister } from './commands-v1.js';
import { readFields } from './data-form.js';
import type { CommandInfo } from './discovery.js';
import { errorAnswer, resultAnswer, type IqAnswer, type IqHandler } from './iq.js';
import { element } from './markup.js';
import { ns } from './namespaces.js';
import { itemNotFound, stanzaError } from './stanza-error.js';

type RunCommand = (command: Command, tools: CommandTools) => IqAnswer | Promise<IqAnswer>;

export const commandInfos: readonly CommandInfo[] = [...v1Commands, ...p2Commands];

const badAction = errorAnswer(
  stanzaError('modify', 'bad-request', null, element('bad-action', { xmlns: ns.commands })),
);

/** All commands have one stage: what they need comes with the first request. Source: XEP-0050; spec xmpp-push, 5 and 6. */
export function commandHandler(tools: CommandTools): IqHandler {
  return (request) => {
    const node = request.payload.attribute('node') ?? '';
    const run = commandOf(node);
    if (run === null) return errorAnswer(itemNotFound);
    const action = request.payload.attribute('action') ?? 'execute';
    if (action === 'cancel') return canceled(node, request.payload.attribute('sessionid'));
    if (action !== 'execute') return badAction;
    const form = request.payload.child('x', ns.dataForm);
    return run({ node, fields: form === null ? null : readFields(form), request }, tools);
  };
}

function commandOf(node: string): RunCommand | null {
  if (node === 'v1-register-push') return v1Register;
  if (node === 'v1-unregister-push') return v1Unregister;
  const p2 = p2CommandOf(node);
  if (p2 === null) return null;
  const run = p2.verb === 'register' ? p2Register : p2Unregister;
  return (command, tools) => run(p2.service, command, tools);
}

const canceled = (node: string, sessionid: string | null): IqAnswer =>
  resultAnswer(element('command', { xmlns: ns.commands, node, status: 'canceled', sessionid }));
