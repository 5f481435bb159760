import type { Clock } from '../domain/clock.js';
import type { AppServer } from '../xmpp/app-server-port.js';
import type { PublishOutcome, RegisterOutcome, UnregisterOutcome } from '../xmpp/port.js';
import type { PushRequest, RegisterRequest, UnregisterRequest } from './app-server-fields.js';

export interface AppServerCallOptions {
  /** Milliseconds. */
  readonly answerTimeoutMs: number;
  /** Calls that may be under way at once, those included that nobody waits for any more. */
  readonly unsettledMax: number;
}

/** `late`, `fault`: the outcome is one of ours, for want of an answer in time or of any. */
export interface Called<T> {
  readonly outcome: T;
  readonly end: 'answered' | 'late' | 'fault';
}

const unavailable = { kind: 'unavailable' } as const;
const failed = { kind: 'failed', text: null } as const;

/**
 * The app server with an answer for every call and in time. A provider may keep a push for seconds: so that pushes never
 * take all the room that there is for requests, the calls under way are counted here, to their real end.
 */
export class AppServerCalls {
  #unsettled = 0;

  constructor(
    private readonly appServer: AppServer,
    private readonly clock: Clock,
    private readonly options: AppServerCallOptions,
    private readonly onFault: (reason: string) => void,
  ) {}

  /** No further call should be made now. */
  get isFull(): boolean {
    return this.#unsettled >= this.options.unsettledMax;
  }

  register({ type, node, token }: RegisterRequest): Promise<Called<RegisterOutcome>> {
    return this.#call<RegisterOutcome>(() => this.appServer.register(type, node, token), unavailable);
  }

  unregister({ type, node }: UnregisterRequest): Promise<Called<UnregisterOutcome>> {
    return this.#call<UnregisterOutcome>(() => this.appServer.unregister(type, node), unavailable);
  }

  push({ node, secret }: PushRequest): Promise<Called<PublishOutcome>> {
    const deadlineMs = this.clock.nowMs() + this.options.answerTimeoutMs;
    return this.#call<PublishOutcome>(() => this.appServer.push(node, secret, deadlineMs), failed);
  }

  async #call<T>(call: () => Promise<T>, otherwise: T): Promise<Called<T>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Called<T>>((resolve) => {
      timer = setTimeout(() => resolve({ outcome: otherwise, end: 'late' }), this.options.answerTimeoutMs);
    });
    try {
      return await Promise.race([this.#settle(call, otherwise), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #settle<T>(call: () => Promise<T>, otherwise: T): Promise<Called<T>> {
    this.#unsettled += 1;
    try {
      return { outcome: await call(), end: 'answered' };
    } catch (error) {
      this.onFault(error instanceof Error ? error.name : 'unknown');
      return { outcome: otherwise, end: 'fault' };
    } finally {
      this.#unsettled -= 1;
    }
  }
}
