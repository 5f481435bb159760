import type { RandomBytes } from '../crypto/sodium.js';
import type { Clock } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import type { Log } from '../telemetry/log.js';
import type { CommandOptions } from './command.js';
import { commandHandler, commandInfos } from './commands.js';
import { ComponentLink, type LinkStatus } from './component-link.js';
import { infoHandler, itemsHandler, pingHandler, versionHandler } from './discovery.js';
import { IqRouter, type Route } from './iq-router.js';
import { ns } from './namespaces.js';
import type { ComponentEntry, XmppOptions } from './options.js';
import type { Publishes, Registrations, WhenReady, XmppReport } from './port.js';
import { publishHandler } from './publish.js';

export interface XmppTools {
  readonly components: readonly ComponentEntry[];
  readonly options: XmppOptions;
  readonly commands: CommandOptions;
  /** As discovery and version tell it. */
  readonly software: { readonly name: string; readonly version: string };
  readonly publishes: Publishes;
  readonly registrations: Registrations;
  readonly whenReady: WhenReady;
  readonly report: XmppReport;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
}

/** The app server as XMPP servers see it: all domains, all their connections, and who answers what. */
export class XmppComponent {
  readonly #links: readonly ComponentLink[];

  constructor(tools: XmppTools) {
    const { options, clock, random, log, report, whenReady } = tools;
    const router = new IqRouter(options, routesOf(tools), clock, report, log);
    const linkTools = { options, router, whenReady, clock, random, log, report };
    this.#links = tools.components.flatMap((entry) =>
      Array.from({ length: entry.connections }, () => new ComponentLink(entry, linkTools)),
    );
  }

  start(): void {
    for (const link of this.#links) link.start();
  }

  /** Answers what is under way, at most `drainMs`, and closes all streams. Never rejects. */
  async stop(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.stop()));
  }

  /** One per connection. */
  status(): LinkStatus[] {
    return this.#links.map((link) => link.status());
  }
}

function routesOf({ commands, software, publishes, registrations, randomBytes, clock }: XmppTools): Route[] {
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
