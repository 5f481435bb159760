import type { Random } from '../domain/random.js';
import type { Log } from '../telemetry/log.js';
import { ComponentLink, type LinkStatus } from './component-link.js';
import { IqRouter } from './iq-router.js';
import type { ComponentEntry, XmppOptions } from './options.js';
import type { WhenReady, XmppReport } from './port.js';
import { routesOf, type RouteTools } from './routes.js';

export interface XmppTools extends RouteTools {
  readonly components: readonly ComponentEntry[];
  readonly options: XmppOptions;
  readonly whenReady: WhenReady;
  readonly report: XmppReport;
  readonly random: Random;
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
