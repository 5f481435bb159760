import { randomBytes } from 'node:crypto';
import type { PublishOutcome } from '../../src/domain/publish.js';
import type { AppServer, AppServerRecord } from '../../src/xmpp/app-server-port.js';
import type { RegisterOutcome, UnregisterOutcome } from '../../src/xmpp/port.js';

interface Row extends AppServerRecord {
  readonly secret: string;
}

/** Devices in memory, by the rules of registration (spec xmpp-push, 5.3); a push comes out as its type says. */
export class MemoryAppServer implements AppServer {
  readonly rows = new Map<string, Row>();
  /** What a push of a type comes to; `accepted` where nothing is said. */
  readonly fates = new Map<string, PublishOutcome>();
  readonly pushes: { node: string; deadlineMs: number }[] = [];
  nowMs = Date.UTC(2024, 0, 2, 3, 4, 5, 678);
  calls = 0;
  /** What every call waits for before it does anything; a throw is a bug of the app server. */
  before: () => Promise<void> = () => Promise.resolve();
  /** In place of the answer to the next registrations. */
  instead: 'rate-limited' | 'unavailable' | null = null;
  /** Of new registrations. */
  newSecret: () => string = () => randomBytes(32).toString('hex');

  constructor(
    private readonly types: ReadonlySet<string> = new Set(['null', 'fail', 'foo', 'apns', 'fcm']),
  ) {}

  async register(type: string, node: string, token: string): Promise<RegisterOutcome> {
    await this.#begin();
    if (this.instead !== null) return { kind: this.instead };
    if (!this.types.has(type)) return { kind: 'unknown-type' };
    if (Buffer.byteLength(token) > 999) return { kind: 'bad-token' };
    const known = this.rows.get(node);
    const nowMs = this.nowMs;
    const row: Row =
      known?.type === type
        ? { ...known, token, renewedAtMs: nowMs }
        : {
            type,
            node,
            token,
            secret: this.newSecret(),
            registeredAtMs: nowMs,
            renewedAtMs: null,
            lastPushAtMs: null,
            lastErrorAtMs: null,
          };
    this.rows.set(node, row);
    return { kind: 'registered', node, secret: row.secret };
  }

  async unregister(type: string, node: string): Promise<UnregisterOutcome> {
    await this.#begin();
    if (this.instead !== null) return { kind: this.instead };
    const row = this.rows.get(node);
    if (row?.type !== type) return { kind: 'not-found' };
    this.rows.delete(node);
    return { kind: 'unregistered', secret: row.secret };
  }

  async push(node: string, secret: string, deadlineMs: number): Promise<PublishOutcome> {
    await this.#begin();
    const row = this.rows.get(node);
    if (row?.secret !== secret) return { kind: 'unknown' };
    this.pushes.push({ node, deadlineMs });
    const outcome = this.fates.get(row.type) ?? { kind: 'accepted' };
    if (outcome.kind === 'dead-token') this.rows.delete(node);
    return outcome;
  }

  nodes(after: string | null, limit: number): readonly string[] {
    const all = [...this.rows.keys()];
    const start = after === null ? 0 : all.indexOf(after) + 1;
    return all.slice(start, start + limit);
  }

  records(node: string): readonly AppServerRecord[] {
    const row = this.rows.get(node);
    return row === undefined ? [] : [row];
  }

  async #begin(): Promise<void> {
    this.calls += 1;
    await this.before();
  }
}
