import { setMaxListeners } from 'node:events';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDelivery } from '../../src/actors/delivery.js';
import { createActorSystem } from '../../src/actors/spawn.js';
import type { ServiceName } from '../../src/domain/ids.js';
import type { Outcome } from '../../src/domain/outcome.js';
import type { Push, PushFate } from '../../src/domain/push.js';
import { ok } from '../../src/domain/result.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { AllTimeCounters, Statistics } from '../../src/telemetry/statistics.js';
import { MemoryOutbox } from '../simulators/memory-outbox.js';
import { accountOf, bytesOf, tokenOf } from '../simulators/subscriptions.js';

/*
 * Conservation: whatever providers, the database, the clock and the operator do, and in whatever order, every push
 * that was taken ends exactly once (delivered, dead token, dropped, expired, lost, superseded) or is in the outbox. At
 * every rest the credits that are held are those of the pushes that are there, and nothing is sent during a pause, after
 * its end or its time, or twice at once.
 */

const SERVICE = 'apns' as ServiceName;
const MAX_PAUSE_MS = 5_000;

type End = 'delivered' | 'dead-token' | 'dropped';

type Step =
  | { readonly kind: 'offer'; readonly count: number; readonly devices: number; readonly ttlMs: number }
  /** By a source that must answer for its pushes. */
  | { readonly kind: 'deliver'; readonly count: number; readonly devices: number; readonly ttlMs: number }
  /** The same, not to be sent before a time. */
  | {
      readonly kind: 'defer';
      readonly count: number;
      readonly devices: number;
      readonly ttlMs: number;
      readonly afterMs: number;
    }
  /** The provider answers so many of those that wait for it, from this place on. */
  | { readonly kind: 'answer'; readonly count: number; readonly from: number; readonly outcome: Outcome }
  /** From now on the provider answers at once; null: it thinks about it. */
  | { readonly kind: 'provider'; readonly outcome: Outcome | null }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'clock'; readonly jumpMs: number }
  | { readonly kind: 'database'; readonly state: 'well' | 'slow' | 'away' | 'full' }
  | { readonly kind: 'sweep' };

interface Script {
  readonly durability: 'spill' | 'journal';
  readonly paceSeconds: number;
  readonly credits: number;
  readonly maxInFlight: number;
  readonly maxHeldBytes: number;
  readonly steps: readonly Step[];
  /** How long the drain may take, and whether the database is there meanwhile. */
  readonly drainMs: number;
  readonly isDatabaseBack: boolean;
}

const wait = fc.option(fc.integer({ min: 0, max: 8_000 }), { nil: null });
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Outcome>({ kind: 'delivered' }) },
  fc.constant<Outcome>({ kind: 'dead-token', reason: 'gone', sinceMs: null }),
  fc.constant<Outcome>({ kind: 'dropped', reason: 'too large' }),
  fc.constant<Outcome>({ kind: 'misconfigured', reason: 'key' }),
  fc
    .integer({ min: 0, max: 3_000 })
    .map((afterMs): Outcome => ({ kind: 'postponed', reason: 'busy', afterMs })),
  {
    weight: 4,
    arbitrary: fc
      .record({
        cause: fc.constantFrom<'transport' | 'throttled' | 'server'>('transport', 'throttled', 'server'),
        scope: fc.constantFrom<'push' | 'notifier'>('push', 'notifier'),
        afterMs: wait,
      })
      .map((how): Outcome => ({ kind: 'retry', reason: 'trouble', ...how })),
  },
);
const burst = {
  count: fc.integer({ min: 1, max: 25 }),
  devices: fc.constantFrom(1, 3, 1_000),
  ttlMs: fc.constantFrom(500, 5_000, 600_000),
};
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('offer' as const), ...burst }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('deliver' as const), ...burst }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('defer' as const),
      ...burst,
      afterMs: fc.constantFrom(0, 70, 1_000, 6_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      count: fc.integer({ min: 1, max: 12 }),
      from: fc.nat(12),
      outcome,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('provider' as const),
      outcome: fc.option(outcome, { nil: null }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(1, 60, 400, 1_500, 7_000),
    }),
  },
  fc.record({ kind: fc.constant('clock' as const), jumpMs: fc.integer({ min: -20_000, max: 20_000 }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('database' as const),
      state: fc.constantFrom<'well' | 'slow' | 'away' | 'full'>('well', 'slow', 'away', 'full'),
    }),
  },
  fc.record({ kind: fc.constant('sweep' as const) }),
);
const script: fc.Arbitrary<Script> = fc.record({
  durability: fc.constantFrom<'spill' | 'journal'>('spill', 'journal'),
  paceSeconds: fc.constantFrom(0, 0, 0.5, 5),
  credits: fc.constantFrom(1, 6, 20),
  maxInFlight: fc.constantFrom(1, 4, 12),
  // Of pushes with 40 bytes each.
  maxHeldBytes: fc.constantFrom(1, 200, 1_000_000),
  steps: fc.array(step, { minLength: 5, maxLength: 60 }),
  drainMs: fc.constantFrom(0, 50, 3_000),
  isDatabaseBack: fc.boolean(),
});

/** One run of the program's delivery; real are the actor, its rules and nact, the time is simulated. */
class World {
  readonly clock = { offsetMs: 0, nowMs: (): number => Date.now() + this.clock.offsetMs };
  readonly metrics = new Metrics();
  readonly outbox = new MemoryOutbox(this.clock);
  readonly system = createActorSystem({ log: silentLog(), metrics: this.metrics, clock: this.clock });
  readonly #random: () => number;

  /** Of each push, by its dedupe key. */
  readonly taken = new Set<string>();
  readonly ends = new Map<string, End>();
  readonly answers = new Map<string, PushFate>();
  readonly #notBefore = new Map<string, number>();
  readonly sources = new Set<string>();
  readonly faults: string[] = [];

  readonly #atProvider: { push: Push; settle: (outcome: Outcome) => void }[] = [];
  readonly #keysAtProvider = new Set<string>();
  #provider: Outcome | null = null;
  /** By the timers' time, which no change of the clock touches. */
  #pausedUntilMs = 0;
  /** Then a pause may end early: nobody can tell that from time that has passed. */
  #isClockAhead = false;
  /** Then what was claimed may be sent at a time that the clock calls earlier. */
  #isClockBack = false;
  #next = 0;
  readonly delivery;

  constructor(private readonly options: Script) {
    let seed = 1;
    this.#random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const figures = { blockHash: '', blockHeight: 0, swarms: 0, nodes: 0 };
    this.delivery = createDelivery(
      {
        system: this.system,
        notifiers: new Map([[SERVICE, this.#notifier()]]),
        isKnown: () => false,
        outbox: this.outbox,
        reportDeadToken: (push) => {
          this.#end(push, 'dead-token');
          return Promise.resolve(this.#random() < 0.5);
        },
        statistics: new Statistics({
          counters: new AllTimeCounters([], () => undefined),
          metrics: this.metrics,
          services: [SERVICE],
          network: () => ({ ...figures, linksUp: 0, linksPending: 0, accountsMonitored: 0 }),
          subscriptions: () => new Map(),
          clock: this.clock,
        }),
        clock: this.clock,
        random: this.#random,
        log: silentLog(),
        metrics: this.metrics,
      },
      {
        actor: {
          credits: options.credits,
          maxHeldBytes: options.maxHeldBytes,
          durability: options.durability,
          paceSeconds: options.paceSeconds,
          paceMaxDevices: 50,
          outboxBatch: 5,
          outboxPollMs: 1_000,
          windowMin: 2,
          breakerFailures: 3,
          breakerProbeMs: 2_000,
          maxPauseMs: MAX_PAUSE_MS,
        },
        retries: { baseMs: 200, maxMs: 4_000, maxAttempts: 4 },
      },
    );
  }

  async run(): Promise<void> {
    for (const one of this.options.steps) {
      this.#take(one);
      await this.#rest();
      this.#checkCredits();
    }
    await this.#drain();
    this.#checkEnds();
  }

  #take(one: Step): void {
    switch (one.kind) {
      case 'offer':
        for (let i = 0; i < one.count; i += 1) this.#offer(this.#push(one.devices, one.ttlMs));
        return;
      case 'deliver':
        for (let i = 0; i < one.count; i += 1) this.#deliver(this.#push(one.devices, one.ttlMs), null);
        return;
      case 'defer':
        for (let i = 0; i < one.count; i += 1) {
          this.#deliver(this.#push(one.devices, one.ttlMs), this.clock.nowMs() + one.afterMs);
        }
        return;
      case 'answer':
        for (const { settle } of this.#atProvider.splice(one.from, one.count)) settle(one.outcome);
        return;
      case 'provider':
        this.#provider = one.outcome;
        return;
      case 'time':
        vi.advanceTimersByTime(one.ms);
        if (this.outbox.isAway) this.outbox.giveUpExpired();
        return;
      case 'clock':
        this.clock.offsetMs += one.jumpMs;
        if (one.jumpMs > 0) this.#isClockAhead = true;
        if (one.jumpMs < 0) this.#isClockBack = true;
        return;
      case 'database':
        this.#database(one.state);
        return;
      case 'sweep':
        void this.outbox.dropExpired();
    }
  }

  #database(state: 'well' | 'slow' | 'away' | 'full'): void {
    this.outbox.isAway = state === 'away';
    this.outbox.holdsCommits = state === 'slow';
    this.outbox.holdsAnswers = state === 'slow';
    this.outbox.isFull = state === 'full';
    if (state !== 'slow') this.outbox.answer();
    if (state === 'well') this.outbox.commit();
  }

  /** As the pipeline does. */
  #offer(push: Push): void {
    const lost = (): void => this.metrics.pushesLost.of(SERVICE).add();
    this.taken.add(nameOf(push));
    if (this.delivery.offer(push) || this.delivery.spill(push, lost)) return;
    lost();
  }

  #deliver(push: Push, dueAtMs: number | null): void {
    const name = nameOf(push);
    this.taken.add(name);
    this.sources.add(name);
    const onFate = (fate: PushFate): void => {
      if (this.answers.has(name)) this.faults.push('a source was answered twice');
      this.answers.set(name, fate);
    };
    if (dueAtMs === null) {
      this.delivery.deliver(push, onFate);
      return;
    }
    this.#notBefore.set(name, dueAtMs);
    this.delivery.defer(push, dueAtMs, onFate);
  }

  #push(devices: number, ttlMs: number): Push {
    const name = `${(this.#next += 1)}`;
    const nowMs = this.clock.nowMs();
    return {
      service: SERVICE,
      account: accountOf('a'),
      device: { serviceId: tokenOf(`${this.#next % devices}`), serviceData: null },
      content: { kind: 'sealed', payload: bytesOf('payload', 40) },
      priority: 'high',
      expiresAtMs: nowMs + ttlMs,
      dedupeKey: Buffer.from(name),
      receivedAtMs: nowMs,
      attempts: 0,
      outboxId: null,
    };
  }

  #end(push: Push, end: End): void {
    const name = nameOf(push);
    if (this.ends.has(name)) this.faults.push(`ended twice: ${this.ends.get(name)} and ${end}`);
    this.ends.set(name, end);
  }

  #notifier(): Notifier {
    return {
      service: SERVICE,
      type: 'test',
      capabilities: {
        content: 'sealed',
        batchSize: 1,
        maxPayloadBytes: 2856,
        supportsExpiry: true,
        supportsPriority: true,
        maxInFlight: this.options.maxInFlight,
      },
      validate: () => ok({ serviceId: tokenOf('x'), serviceData: null }),
      send: (push, signal) => this.#send(push, signal),
      health: () => ({ state: 'connected', detail: null }),
      close: () => Promise.resolve(),
    };
  }

  #send(push: Push, signal: AbortSignal): Promise<Outcome> {
    const name = nameOf(push);
    if (this.ends.has(name)) this.faults.push('sent after its end');
    if (this.#keysAtProvider.has(name)) this.faults.push('at the provider twice');
    if (push.expiresAtMs <= this.clock.nowMs()) this.faults.push('sent after its time');
    if (!this.#isClockBack && (this.#notBefore.get(name) ?? 0) > this.clock.nowMs()) {
      this.faults.push('sent before its time');
    }
    if (!this.#isClockAhead && Date.now() < this.#pausedUntilMs) this.faults.push('sent during a pause');
    this.#keysAtProvider.add(name);
    const answer = new Promise<Outcome>((resolve) => {
      let isSettled = false;
      const settle = (outcome: Outcome): void => {
        if (isSettled) return;
        isSettled = true;
        this.#keysAtProvider.delete(name);
        if (outcome.kind === 'delivered' || outcome.kind === 'dropped') this.#end(push, outcome.kind);
        resolve(outcome);
      };
      const waiting = { push, settle };
      const abort = (): void => {
        const at = this.#atProvider.indexOf(waiting);
        if (at >= 0) this.#atProvider.splice(at, 1);
        settle({ kind: 'retry', reason: 'aborted', cause: 'transport', afterMs: null, scope: 'push' });
      };
      if (signal.aborted) abort();
      else if (this.#provider !== null) settle(this.#provider);
      else {
        setMaxListeners(0, signal);
        signal.addEventListener('abort', abort);
        this.#atProvider.push(waiting);
      }
    });
    void answer.then((outcome) => this.#hear(outcome));
    return answer;
  }

  #hear(outcome: Outcome): void {
    if (outcome.kind !== 'retry' || outcome.scope !== 'notifier' || outcome.afterMs === null) return;
    const pausedUntilMs = Date.now() + Math.min(outcome.afterMs, MAX_PAUSE_MS);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, pausedUntilMs);
  }

  /** Until all messages are handled, or the time has to move. */
  async #rest(): Promise<void> {
    for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  #checkCredits(): void {
    const status = this.delivery.actors.get(SERVICE)?.status();
    if (status === undefined) throw new Error('the notifier is there');
    expect(status.held).toBe(status.waiting + status.inFlight + this.outbox.journaling);
    expect(status.held).toBeGreaterThanOrEqual(0);
    expect(status.paced).toBeGreaterThanOrEqual(0);
    expect(status.paced).toBeLessThanOrEqual(this.options.credits);
    expect(status.inFlight).toBeLessThanOrEqual(this.options.maxInFlight);
    expect(status.held).toBeLessThanOrEqual(this.options.credits * 2 + this.options.maxInFlight + 1);
  }

  async #drain(): Promise<void> {
    const deadline = new AbortController();
    let isDrained = false;
    const drained = this.delivery.drain(deadline.signal).then(() => (isDrained = true));
    if (this.options.isDatabaseBack) this.#database('well');
    await this.#rest();
    vi.advanceTimersByTime(this.options.drainMs);
    await this.#rest();
    deadline.abort();
    for (let turn = 0; turn < 20 && !isDrained; turn += 1) await this.#rest();
    expect(isDrained).toBe(true);
    await drained;
    expect(this.delivery.actors.get(SERVICE)?.status()).toMatchObject({ held: 0, inFlight: 0, paced: 0 });
    // What the outbox still had to write: it takes it, or it is told at the close that it could not.
    if (this.options.isDatabaseBack) this.#database('well');
    else this.outbox.lose();
    await this.#rest();
    if (this.options.isDatabaseBack) this.outbox.commit();
    await this.#rest();
    await this.system.stop();
  }

  #checkEnds(): void {
    expect(this.faults).toEqual([]);
    expect(this.metrics.actorFailures.total()).toBe(0);
    const { metrics } = this;
    const waiting = [...this.outbox.rows.values()].map(({ push }) => nameOf(push));
    expect(new Set(waiting).size).toBe(waiting.length);
    expect(waiting.filter((name) => this.ends.has(name))).toEqual([]);
    const count = (tally: { of(service: string): { value: number } }): number => tally.of(SERVICE).value;
    const gaveUp = count(metrics.dropped) - [...this.ends.values()].filter((end) => end === 'dropped').length;
    const counted = {
      ended: this.ends.size,
      waiting: waiting.length,
      gaveUp,
      expired: count(metrics.pushesExpired) + this.outbox.expired,
      lost: count(metrics.pushesLost),
      superseded: count(metrics.pushesSuperseded),
    };
    const total = Object.values(counted).reduce((sum, part) => sum + part, 0);
    expect({ ...counted, total }).toEqual({ ...counted, total: this.taken.size });
    expect(this.answers.size).toBe(this.sources.size);
    for (const [name, fate] of this.answers) {
      const isWaiting = waiting.includes(name);
      const end = this.ends.get(name);
      if (fate === 'stored') continue;
      expect({ name, fate, isWaiting, end: endAfter(fate, end) }).toEqual({
        name,
        fate,
        isWaiting: false,
        end,
      });
    }
  }
}

/** Of a push that was never in the outbox; undefined: it did not reach the provider's last word. */
const endAfter = (fate: PushFate, end?: End): End | undefined => {
  if (fate === 'delivered') return 'delivered';
  if (fate === 'dead-token' || fate === 'token-kept') return 'dead-token';
  return fate === 'given-up' ? end : undefined;
};

const nameOf = (push: Push): string => push.dedupeKey.toString();

describe('delivery', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('brings every push to exactly one end, or leaves it in the outbox', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (options) => {
        await new World(options).run();
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
