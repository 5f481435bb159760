import type { CommandOptions, CommandTools } from './command.js';
import { commandHandler, commandInfos } from './commands.js';
import { infoHandler, itemsHandler, pingHandler, versionHandler } from './discovery.js';
import type { Route } from './iq-router.js';
import { ns } from './namespaces.js';
import type { Publishes } from './port.js';
import { publishHandler } from './publish.js';

export interface RouteTools extends Omit<CommandTools, 'options'> {
  readonly commands: CommandOptions;
  /** As discovery and version tell it. */
  readonly software: { readonly name: string; readonly version: string };
  readonly publishes: Publishes;
}

/** All that is answered; the rest is `service-unavailable`. */
export function routesOf({
  commands,
  software,
  publishes,
  registrations,
  randomBytes,
  clock,
}: RouteTools): Route[] {
  const discovery = { name: software.name, commands: commandInfos };
  const command = commandHandler({ options: commands, registrations, randomBytes, clock });
  return [
    { kind: 'publish', type: 'set', namespace: ns.pubsub, name: 'pubsub', handle: publishHandler(publishes) },
    { kind: 'command', type: 'set', namespace: ns.commands, name: 'command', handle: command },
    // Not what XEP-0050 says, but the original takes it.
    { kind: 'command', type: 'get', namespace: ns.commands, name: 'command', handle: command },
    { kind: 'disco', type: 'get', namespace: ns.discoInfo, name: 'query', handle: infoHandler(discovery) },
    { kind: 'disco', type: 'get', namespace: ns.discoItems, name: 'query', handle: itemsHandler(discovery) },
    { kind: 'ping', type: 'get', namespace: ns.ping, name: 'ping', handle: pingHandler },
    {
      kind: 'version',
      type: 'get',
      namespace: ns.version,
      name: 'query',
      handle: versionHandler(software.name, software.version),
    },
  ];
}
