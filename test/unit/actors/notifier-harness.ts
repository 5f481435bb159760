import { createNotifierActor, type NotifierActorOptions } from '../../../src/actors/notifier.js';
import { createActorSystem } from '../../../src/actors/spawn.js';
import type { ServiceName } from '../../../src/domain/ids.js';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push } from '../../../src/domain/push.js';
import { ok } from '../../../src/domain/result.js';
import type { Notifier } from '../../../src/notifiers/port.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { MemoryOutbox } from '../../simulators/memory-outbox.js';
import { accountOf, bytesOf, tokenOf } from '../../simulators/subscriptions.js';

export const SERVICE = 'apns' as ServiceName;
export const delivered: Outcome = { kind: 'delivered' };

export const makePush = (label: string, changes: Partial<Push> = {}): Push => ({
  service: SERVICE,
  account: accountOf(label),
  device: { serviceId: tokenOf(label), serviceData: null },
  content: { kind: 'sealed', payload: bytesOf(label, 296) },
  priority: 'high',
  expiresAtMs: Date.now() + 60_000,
  dedupeKey: bytesOf(label, 16),
  receivedAtMs: Date.now(),
  attempts: 0,
  outboxId: null,
  ...changes,
});

/** A notifier actor in front of a provider that answers as the test says. */
export function setUp(
  answer: (push: Push, signal: AbortSignal) => Promise<Outcome>,
  { maxInFlight = 4, ...options }: Partial<NotifierActorOptions> & { maxInFlight?: number } = {},
) {
  const clock = { offsetMs: 0, nowMs: () => Date.now() + clock.offsetMs };
  const metrics = new Metrics();
  const system = createActorSystem({ log: silentLog(), metrics, clock });
  const outbox = new MemoryOutbox(clock);
  const givenUp: Push[] = [];
  const sent: Push[] = [];
  const dead: { push: Push; sinceMs: number | null; settle: (isGone: boolean) => void }[] = [];
  let closed = false;
  const notifier: Notifier = {
    service: SERVICE,
    type: 'test',
    capabilities: {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: 2856,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight,
    },
    validate: () => ok({ serviceId: tokenOf('x'), serviceData: null }),
    send: (push, signal) => {
      sent.push(push);
      return answer(push, signal);
    },
    health: () => ({ state: 'connected', detail: null }),
    close: async () => {
      closed = true;
    },
  };
  const actor = createNotifierActor(
    system,
    notifier,
    {
      credits: 10,
      outboxBatch: 5,
      outboxPollMs: 20,
      breakerFailures: 3,
      breakerProbeMs: 100,
      maxPauseMs: 60_000,
      ...options,
    },
    {
      outbox,
      nextAttempt: (push, afterMs) =>
        push.attempts > 3
          ? { kind: 'give-up', reason: 'attempts' }
          : { kind: 'again', dueAtMs: Date.now() + (afterMs ?? 10) },
      onDeadToken: (push, sinceMs) => new Promise((settle) => dead.push({ push, sinceMs, settle })),
      onDelivered: () => undefined,
      onGivenUp: (push) => givenUp.push(push),
      clock,
      log: silentLog(),
      metrics,
    },
  );
  const stop = async (drainMs = 1000): Promise<void> => {
    await actor.drain(AbortSignal.timeout(drainMs));
    await system.stop();
  };
  return { actor, outbox, sent, dead, givenUp, metrics, clock, stop, isClosed: () => closed };
}

/** Answers that the test gives when it likes. */
export function gate() {
  const waiting: ((outcome: Outcome) => void)[] = [];
  return {
    waiting,
    answer: () => new Promise<Outcome>((resolve) => waiting.push(resolve)),
    open: (outcome: Outcome = delivered) => {
      for (const resolve of waiting.splice(0)) resolve(outcome);
    },
  };
}
