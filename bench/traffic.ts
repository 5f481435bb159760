import { fork, type ChildProcess } from 'node:child_process';
import { SessionAccount, SessionDevice } from '../test/simulators/session-client.js';
import { nowInSeconds } from '../test/simulators/world.js';
import { subscribeAll } from './delivery.js';
import { until } from './process.js';
import type { BenchServer } from './server.js';
import type { WorldFacts } from './world.js';

export type TrafficService = 'apns' | 'firebase';

export interface TrafficDevice {
  readonly service: TrafficService;
  /** Hex, as the encryption key. */
  readonly account: string;
  readonly token: string;
  readonly encryptionKey: string;
}

export interface Flow {
  readonly service: TrafficService;
  readonly perSecond: number;
  readonly bytes: number;
  /** At most; `stop` ends it sooner. */
  readonly seconds: number;
}

/** Times are those of the traffic process. */
export interface Span {
  readonly service: TrafficService;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Latencies {
  readonly sent: number;
  readonly arrived: number;
  /** Pushes beyond the first of a message. */
  readonly again: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly lastArrivalMs: number;
}

export interface Recovery {
  /** Until half a second began in which as many arrived as are sent in that time. */
  readonly fullSpeedAfterMs: number;
  /** Until the last one arrived of those that had to wait. */
  readonly caughtUpAfterMs: number;
}

/** Good; not there at all; open, but it never answers (APNs only). */
export type ProviderState = 'good' | 'gone' | 'silent';

export interface Throttling {
  /** Seconds that its `Retry-After` says. */
  readonly retryAfter: number;
  /** Whether the answer says that the quota is the project's. */
  readonly namesProject: boolean;
}

export interface Refusals {
  readonly refused: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** The first request after the last that was refused. */
  readonly nextAtMs: number;
}

/** Pushes for devices that nobody knows: rows that were put into the outbox beforehand. */
export interface Strangers {
  readonly arrived: number;
  readonly different: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** What can be asked of the traffic process: the argument and the answer. */
export interface TrafficCalls {
  readonly now: [null, number];
  readonly devices: [readonly TrafficDevice[], null];
  readonly registered: [null, number];
  /** Answers when the last message was sent. */
  readonly flow: [Flow, null];
  readonly stop: [null, null];
  readonly latencies: [Span, Latencies];
  readonly recovery: [{ service: TrafficService; fromMs: number; perSecond: number }, Recovery];
  readonly apns: [ProviderState, null];
  /** FCM refuses everything from now on; null: no more. */
  readonly throttle: [Throttling | null, null];
  readonly refusals: [null, Refusals];
  readonly strangers: [null, Strangers];
  /** Of strangers, so that the next batch has its own. */
  readonly 'forget-times': [null, null];
}

export type TrafficName = keyof TrafficCalls;

export interface TrafficCall {
  readonly id: number;
  readonly name: TrafficName;
  readonly given: unknown;
}

export type TrafficReply =
  | { readonly kind: 'ready'; readonly facts: WorldFacts }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: string };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The network, Apple and Google in a process of their own, where every message is followed to its end. */
export class BenchTraffic {
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();

  private constructor(
    private readonly child: ChildProcess,
    readonly facts: WorldFacts,
  ) {
    child.on('message', (message) => {
      const reply = message as TrafficReply;
      if (reply.kind === 'ready') return;
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.kind === 'reply') waiting?.resolve(reply.value);
      else waiting?.reject(new Error(reply.error));
    });
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the traffic process ended'));
    });
  }

  static async start(): Promise<BenchTraffic> {
    const child = fork(new URL('./traffic-process.ts', import.meta.url), [], {
      execArgv: ['--import', 'tsx'],
      // Times that are not there are NaN, which JSON has no word for.
      serialization: 'advanced',
    });
    const facts = await new Promise<WorldFacts>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the traffic process ended')));
      child.once('message', (message) => {
        const reply = message as TrafficReply;
        if (reply.kind === 'ready') resolve(reply.facts);
      });
    });
    return new BenchTraffic(child, facts);
  }

  ask<Name extends TrafficName>(name: Name, given: TrafficCalls[Name][0]): Promise<TrafficCalls[Name][1]> {
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.child.send({ id, name, given } satisfies TrafficCall);
    return answer as Promise<TrafficCalls[Name][1]>;
  }

  stop(): void {
    this.child.kill();
  }
}

export interface TrafficSubscriber {
  readonly device: TrafficDevice;
  readonly request: Record<string, unknown>;
}

/** Devices with an account each. */
export function makeTrafficSubscribers(service: TrafficService, count: number): TrafficSubscriber[] {
  return Array.from({ length: count }, () => {
    const account = SessionAccount.user();
    const phone = new SessionDevice(service === 'apns' ? 'ios' : 'android');
    return {
      request: phone.subscription(account, nowInSeconds(), { namespaces: [0] }),
      device: {
        service,
        account: account.hex,
        token: phone.token,
        encryptionKey: phone.encryptionKey.toString('hex'),
      },
    };
  });
}

/** Says who they are to the traffic process and to the server, and waits until the nodes watch their accounts. */
export async function subscribeTraffic(
  traffic: BenchTraffic,
  server: BenchServer,
  subscribers: readonly TrafficSubscriber[],
): Promise<void> {
  await traffic.ask(
    'devices',
    subscribers.map(({ device }) => device),
  );
  await subscribeAll(
    server,
    subscribers.map(({ request }) => request),
  );
  const isRegistered = async (): Promise<boolean> =>
    (await traffic.ask('registered', null)) >= subscribers.length * 5;
  await until(isRegistered, 60_000);
}
