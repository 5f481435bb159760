import { errorAnswer, resultAnswer, type IqAnswer, type IqHandler } from './iq.js';
import { element, noMarkup, text } from './markup.js';
import { ns } from './namespaces.js';
import { stanzaError } from './stanza-error.js';

export interface CommandInfo {
  readonly node: string;
  readonly name: string;
}

export interface DiscoveryOptions {
  /** For people. */
  readonly name: string;
  readonly commands: readonly CommandInfo[];
}

const noSuchNode = errorAnswer(stanzaError('cancel', 'item-not-found', 'Node does not exist'));

const features = [ns.discoInfo, ns.discoItems, ns.push, ns.commands, ns.dataForm, ns.ping, ns.version];

const feature = (name: string) => element('feature', { var: name });

/** What we are, and what our commands are. Source: XEP-0030; XEP-0050, section 2; spec xmpp-push, section 2. */
export function infoHandler({ name, commands }: DiscoveryOptions): IqHandler {
  const identity = element('identity', { category: 'pubsub', type: 'push', name });
  const own = resultAnswer(element('query', { xmlns: ns.discoInfo }, identity, ...features.map(feature)));
  const list = commandListInfo();
  const answers = new Map(commands.map((command) => [command.node, commandInfo(command)]));
  return ({ payload }) => {
    const node = payload.attribute('node');
    if (node === null) return own;
    return node === ns.commands ? list : (answers.get(node) ?? noSuchNode);
  };
}

function commandListInfo(): IqAnswer {
  const identity = element('identity', { category: 'automation', type: 'command-list' });
  return resultAnswer(
    element('query', { xmlns: ns.discoInfo, node: ns.commands }, identity, feature(ns.commands)),
  );
}

function commandInfo({ node, name }: CommandInfo): IqAnswer {
  return resultAnswer(
    element(
      'query',
      { xmlns: ns.discoInfo, node },
      element('identity', { category: 'automation', type: 'command-node', name }),
      feature(ns.commands),
      feature(ns.dataForm),
    ),
  );
}

export function itemsHandler({ commands }: DiscoveryOptions): IqHandler {
  return ({ payload, domain }) => {
    const node = payload.attribute('node');
    if (node === null) return resultAnswer(element('query', { xmlns: ns.discoItems }));
    if (node !== ns.commands) return noSuchNode;
    const items = commands.map((command) =>
      element('item', { jid: domain, node: command.node, name: command.name }),
    );
    return resultAnswer(element('query', { xmlns: ns.discoItems, node }, ...items));
  };
}

/** Source: XEP-0199. */
export const pingHandler: IqHandler = () => resultAnswer(noMarkup);

/** Without the operating system, which is nobody's business. Source: XEP-0092. */
export function versionHandler(name: string, version: string): IqHandler {
  const answer = resultAnswer(
    element(
      'query',
      { xmlns: ns.version },
      element('name', {}, text(name)),
      element('version', {}, text(version)),
    ),
  );
  return () => answer;
}
