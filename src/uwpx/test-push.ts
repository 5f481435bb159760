import type { RandomBytes } from '../crypto/sodium.js';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push } from '../domain/push.js';
import type { ChannelDevices } from './channel-device.js';
import type { TestPush } from './port.js';
import { rawWake } from './raw-wake.js';

export interface TestPushDeps {
  /** Of the notifier: one request, one outcome. */
  readonly send: (push: Push, signal: AbortSignal) => Promise<Outcome>;
  /** WNS calls the channel dead, since when where it says so (unix milliseconds). */
  readonly onDeadToken: (push: Push, sinceMs: number | null) => void;
  readonly channels: ChannelDevices;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

export interface TestPushOptions {
  readonly service: ServiceName;
  /** Shorter than what a client is kept waiting: it hears that it failed then, and not that we did. */
  readonly timeoutMs: number;
}

export const TEST_PUSH_TIMEOUT_MS = 8_000;
/** Somebody sits before the screen and waits. */
const LIFETIME_MS = 60_000;
const DEDUPE_KEY_BYTES = 16;

/** Test pushes go straight to WNS: who asks for one wants to know whether it works now. Source: spec uwpx-push, 2.4. */
export class NotifierTestPush implements TestPush {
  constructor(
    private readonly deps: TestPushDeps,
    private readonly options: TestPushOptions,
  ) {}

  /** Rejects as the notifier does, which is a bug of its own. */
  async send({ deviceId, channelUri, body }: Parameters<TestPush['send']>[0]): Promise<boolean> {
    const { clock, channels, randomBytes } = this.deps;
    const nowMs = clock.nowMs();
    const push: Push = {
      service: this.options.service,
      account: Buffer.from(deviceId),
      device: channels.deviceOf(channelUri),
      content: rawWake(body),
      priority: 'high',
      expiresAtMs: nowMs + LIFETIME_MS,
      dedupeKey: randomBytes(DEDUPE_KEY_BYTES),
      receivedAtMs: nowMs,
      attempts: 0,
      outboxId: null,
    };
    return this.#isTaken(push, await this.#sendInTime(push));
  }

  #isTaken(push: Push, outcome: Outcome | null): boolean {
    switch (outcome?.kind) {
      case 'delivered':
        return true;
      case 'dead-token':
        this.deps.onDeadToken(push, outcome.sinceMs);
        return false;
      case 'retry':
      case 'postponed':
      case 'dropped':
      case 'misconfigured':
      case undefined:
        return false;
      default:
        return assertNever(outcome);
    }
  }

  /** Null: no outcome in time. */
  async #sendInTime(push: Push): Promise<Outcome | null> {
    const control = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => {
        control.abort();
        resolve(null);
      }, this.options.timeoutMs);
    });
    try {
      return await Promise.race([this.deps.send(push, control.signal), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
