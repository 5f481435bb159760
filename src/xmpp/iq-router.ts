import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { IqHandler } from './iq.js';
import type { RequestKind, XmppReport } from './port.js';

export interface Route {
  readonly kind: RequestKind;
  readonly type: 'get' | 'set';
  readonly namespace: string;
  readonly name: string;
  readonly handle: IqHandler;
}

export interface IqRouterOptions {
  readonly answerTimeoutMs: number;
  readonly maxOpenRequests: number;
}

/** Who answers which IQ: the same for all connections. What is under way on one of them is in its `IqSession`. */
export class IqRouter {
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #sampledLog: SampledLog;

  constructor(
    readonly options: IqRouterOptions,
    routes: readonly Route[],
    readonly clock: Clock,
    readonly report: XmppReport,
    private readonly log: Log,
  ) {
    this.#routes = new Map(routes.map((route) => [keyOf(route.type, route.namespace, route.name), route]));
    this.#sampledLog = new SampledLog(clock);
  }

  route(type: 'get' | 'set', namespace: string, name: string): Route | null {
    return this.#routes.get(keyOf(type, namespace, name)) ?? null;
  }

  /** Only the name of the failure: its message may quote what a client has sent. */
  noteFault(kind: RequestKind, failure: unknown): void {
    this.#sampledLog.note(`fault-${kind}`, (occurrences) => {
      const failureName = failure instanceof Error ? failure.name : typeof failure;
      const frames = failure instanceof Error ? framesOf(failure) : [];
      this.log.error(
        { request: kind, failure: failureName, frames, occurrences },
        'XMPP: a request met a bug',
      );
    });
  }
}

const keyOf = (type: string, namespace: string, name: string): string => `${type} ${namespace} ${name}`;

const framesOf = (failure: Error): string[] =>
  (failure.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 10)
    .map((line) => line.trim());
