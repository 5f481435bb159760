import { noSummary } from '../domain/publish.js';
import type { AppServer, AppServerRecord } from '../xmpp/app-server-port.js';
import type {
  Publishes,
  PublishOutcome,
  RegisterOutcome,
  Registrations,
  UnregisterOutcome,
} from '../xmpp/port.js';
import type { KnownDevice, XmppDirectory } from './directory.js';
import type { XmppTargets } from './targets.js';

export interface XmppAppServerDeps {
  readonly directory: XmppDirectory;
  readonly registrations: Registrations;
  readonly targets: Pick<XmppTargets, 'lookUp'>;
  readonly publishes: Publishes;
}

/**
 * What clients and services ask over HTTP. Nobody knows there whose account a device belongs to: where devices are
 * bound to their domain (`DomainBinding`), those that are cannot be woken from here, and devices of p2 never can.
 */
export class XmppAppServer implements AppServer {
  constructor(private readonly deps: XmppAppServerDeps) {}

  async register(type: string, node: string, token: string): Promise<RegisterOutcome> {
    try {
      return await this.deps.registrations.register({ kind: 'v1', type, node, accountDomain: null }, token);
    } catch {
      return { kind: 'unavailable' };
    }
  }

  async unregister(type: string, node: string): Promise<UnregisterOutcome> {
    try {
      return await this.deps.registrations.unregister({ kind: 'v1', type, node, accountDomain: null });
    } catch {
      return { kind: 'unavailable' };
    }
  }

  /** Never rejects. */
  async push(node: string, secret: string, deadlineMs: number): Promise<PublishOutcome> {
    try {
      if (!this.#isClientNode(node)) {
        // Another process may have registered it a moment ago.
        await this.deps.targets.lookUp(node);
        if (!this.#isClientNode(node)) return { kind: 'unknown' };
      }
      const from = { senderDomain: '', isFromServer: true };
      return await this.deps.publishes.publish({ node, secret, summary: noSummary, ...from, deadlineMs });
    } catch {
      return { kind: 'failed', text: null };
    }
  }

  nodes(after: string | null, limit: number): readonly string[] {
    return this.deps.directory.nodes(after, limit);
  }

  records(node: string): readonly AppServerRecord[] {
    return this.deps.directory.find(node).map(recordOf);
  }

  #isClientNode(node: string): boolean {
    return this.deps.directory.byKey({ kind: 'v1', node }) !== null;
  }
}

const recordOf = (device: KnownDevice): AppServerRecord => ({
  type: device.type,
  node: device.node,
  token: device.token,
  registeredAtMs: device.registeredAtMs,
  renewedAtMs: device.renewedAtMs,
  lastPushAtMs: device.lastPushAtMs,
  lastErrorAtMs: device.lastErrorAtMs,
});
