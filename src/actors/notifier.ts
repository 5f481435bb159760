import { Credits } from '../delivery-rules/credits.js';
import { SendingLimits } from '../delivery-rules/sending-limits.js';
import { assertNever } from '../domain/assert-never.js';
import type { Push } from '../domain/push.js';
import type { Notifier } from '../notifiers/port.js';
import { AtProvider, type Settled } from './at-provider.js';
import { Conclusions } from './conclusions.js';
import { DevicePacing } from './device-pacing.js';
import { Gathered } from './gathered.js';
import { createAnswer, HeldPush, type OnFate } from './held-push.js';
import { Journal } from './journal.js';
import type { NotifierActor, NotifierActorDeps, NotifierActorOptions } from './notifier-contract.js';
import { NotifierQueue } from './notifier-queue.js';
import { OutboxFeed } from './outbox-feed.js';
import { PutAside } from './put-aside.js';
import type { Actor, ActorSystem } from './spawn.js';
import { WakeTimer } from './wake-timer.js';

export type { NotifierActorOptions } from './notifier-contract.js';

const DEFAULT_WINDOW_MIN = 8;
const DEFAULT_SPILL_AFTER_MS = 1000;
const DEFAULT_PACE_MAX_DEVICES = 100_000;
const DEFAULT_MAX_HELD_BYTES = 64 * 1024 * 1024;
/** A request that is broken off ends at once, unless its notifier is broken. */
const ABORT_GRACE_MS = 2000;

/** While fresh pushes come, so much of the window is for those from the outbox: the others must not queue behind them. */
const CLAIMED_SHARE = 1 / 4;
const FRESH_LATELY_MS = 1000;

type NotifierMessage =
  | { readonly kind: 'arrived' }
  | { readonly kind: 'settled' }
  | { readonly kind: 'claimed'; readonly pushes: Push[] }
  | { readonly kind: 'claim-failed' }
  | { readonly kind: 'tick' }
  /** A pause has ended, or something held is due. */
  | { readonly kind: 'wake' }
  | { readonly kind: 'drain-deadline' }
  | { readonly kind: 'drain-overdue' };

/*
 * One notifier: credits (what may be in memory), window (what may be at the provider), pause, breaker, outbox feed.
 *
 *   offer ──credit──► [journal] ──► fresh ──┐                     ┌──► delivered | dead token | dropped    credit back
 *     │                                     ├─window─► provider ──┤
 *     └─none─► outbox ──claim──► claimed ───┘    │                └──► retry | postponed ──► outbox        credit back
 *                 ▲                              └─► pacing: held until the device's time, or superseded
 *                 └── held back for long: what waits in memory
 *
 * `offer` is a plain call that touches only the credit counter and a list; everything else happens in the actor, many
 * pushes to a message, because a message costs a turn of the event loop.
 */
export function createNotifierActor(
  system: ActorSystem,
  notifier: Notifier,
  options: NotifierActorOptions,
  deps: NotifierActorDeps,
): NotifierActor {
  const { outbox, clock, log, metrics } = deps;
  const service = notifier.service;
  const spillAfterMs = options.spillAfterMs ?? DEFAULT_SPILL_AFTER_MS;
  const limits = new SendingLimits({
    windowMax: notifier.capabilities.maxInFlight,
    windowMin: options.windowMin ?? DEFAULT_WINDOW_MIN,
    breakerFailures: options.breakerFailures,
    breakerProbeMs: options.breakerProbeMs,
    maxPauseMs: options.maxPauseMs,
  });
  const credits = new Credits(options.credits, options.maxHeldBytes ?? DEFAULT_MAX_HELD_BYTES);
  const queue = new NotifierQueue();
  const abort = new AbortController();
  const accepted = metrics.pushesAccepted.of(service);
  const spilled = metrics.pushesSpilled.of(service);

  let lastFreshAtMs = -Infinity;
  /** After the last look the window let nothing more through. */
  let isWindowFull = false;
  let wasHeldBack = false;
  let draining = false;
  let drained: (() => void) | null = null;
  let overdue: NodeJS.Timeout | undefined;
  // A message of its own for each push would cost a turn of the event loop.
  const arrived = new Gathered<HeldPush>(() => actor.tell({ kind: 'arrived' }));
  const atProvider = new AtProvider(notifier, limits, clock, abort.signal, () => {
    actor.tell({ kind: 'settled' });
  });

  const onLost = (): void => metrics.pushesLost.of(service).add();
  const answer = createAnswer(service, log, metrics);
  const settleRow = ({ push }: HeldPush): void => {
    if (push.outboxId !== null) outbox.settle(push.outboxId);
  };
  const free = (held: HeldPush): void => {
    credits.free(held);
    settleRow(held);
  };

  const aside = new PutAside({ outbox, credits, onLost, answer });
  const journal = new Journal({
    outbox,
    credits,
    clock,
    onLost: () => {
      onLost();
      wake();
    },
    answer,
    onStored: (held) => arrived.add(held),
  });
  const pacing =
    (options.paceSeconds ?? 0) > 0
      ? new DevicePacing({
          intervalMs: (options.paceSeconds ?? 0) * 1000,
          maxDevices: options.paceMaxDevices ?? DEFAULT_PACE_MAX_DEVICES,
          maxHeld: options.credits,
          credits,
          aside,
          journal,
          onSuperseded: (held) => {
            metrics.pushesSuperseded.of(service).add();
            settleRow(held);
            if (held.onFate !== null) answer(held, 'superseded');
          },
        })
      : null;
  const isBreakingOff = (): boolean => abort.signal.aborted;
  const conclusions = new Conclusions({ ...deps, service, limits, aside, free, answer, isBreakingOff });
  const feed = new OutboxFeed(
    {
      claim: (limit, maxBytes) => outbox.claim(service, limit, maxBytes),
      credits,
      onClaimed: (pushes) => actor.tell({ kind: 'claimed', pushes }),
      onFailed: () => actor.tell({ kind: 'claim-failed' }),
    },
    options.outboxBatch,
  );

  const mayTake = (now: number): boolean =>
    !draining &&
    credits.hasRoomForFresh(feed.isBacklog) &&
    limits.heldUntilMs(now) === null &&
    // A provider that may be away gets one push to show that it is back; the others are better off in the outbox.
    (credits.held === 0 || limits.breaker(now) !== 'probing');

  const offer = (push: Push, onFate?: OnFate): boolean => {
    if (!mayTake(clock.nowMs())) return false;
    const held = new HeldPush(push, 'fresh', onFate ?? null);
    credits.hold(held);
    if (options.durability !== 'journal') arrived.add(held);
    else if (!journal.put(held)) {
      credits.free(held);
      return false;
    }
    accepted.add();
    return true;
  };

  const conclude = ({ held, outcome }: Settled, now: number): void => {
    if (outcome.kind === 'postponed') pacing?.unsent(held);
    limits.learn(outcome, held.generation, isWindowFull, now);
    conclusions.draw(held, outcome, now);
  };

  // A clock that was put back says nothing about what comes.
  const isFreshComing = (now: number): boolean => Math.abs(now - lastFreshAtMs) < FRESH_LATELY_MS;

  const sendWaiting = (now: number): void => {
    const limit = limits.inFlightLimit(now);
    const claimedLimit = isFreshComing(now) ? Math.max(1, Math.floor(limit * CLAIMED_SHARE)) : limit;
    while (atProvider.count < limit) {
      const due = pacing?.sendDue(now) ?? null;
      const held = due ?? queue.next(atProvider.claimedCount < claimedLimit);
      if (held === null) break;
      if (conclusions.endIfExpired(held, now)) continue;
      if (due !== null || pacing === null || pacing.admits(held, now, draining)) {
        atProvider.send(held);
      }
    }
    isWindowFull = atProvider.count >= limit;
  };

  /** Everything that waits in memory goes where it survives us; what finds no room there stays. */
  const spillWaiting = (dueAtMs: number, now: number): void => {
    for (let held = queue.claimed.shift(); held !== null; held = queue.claimed.shift())
      aside.put(held, dueAtMs);
    for (let held = queue.fresh.peek(); held !== null; held = queue.fresh.peek()) {
      if (aside.tryPut(held, dueAtMs)) spilled.add();
      // Refused at the very end of a stop: lost, and `put` counts it.
      else if (abort.signal.aborted) aside.put(held, dueAtMs);
      else break;
      queue.fresh.shift();
    }
    pacing?.spillDue(now, dueAtMs);
  };

  /** Stopping, with no time left or a provider that wants to be left alone; or one that wants it for long. */
  const mustSpill = (now: number, heldUntilMs: number | null): boolean =>
    draining
      ? abort.signal.aborted || heldUntilMs !== null
      : heldUntilMs !== null && heldUntilMs - now > spillAfterMs;

  const pump = (now: number): void => {
    feed.noteTime(now);
    const heldUntilMs = limits.heldUntilMs(now);
    if (mustSpill(now, heldUntilMs)) spillWaiting(heldUntilMs ?? now, now);
    if (heldUntilMs === null) {
      // What went to the outbox meanwhile is due now.
      if (wasHeldBack) feed.expect();
      sendWaiting(now);
      if (!draining) {
        const isProbing = limits.breaker(now) === 'probing';
        if (!isProbing) feed.ask(now, queue.claimed.length, Infinity);
        else if (credits.held === 0) feed.ask(now, 0, 1);
      }
    }
    wasHeldBack = heldUntilMs !== null;
    timer.set(nextWakeMs(now, heldUntilMs), now);
    if (draining && credits.held === 0) drained?.();
  };

  const nextWakeMs = (now: number, heldUntilMs: number | null): number | null =>
    heldUntilMs ?? earliest(feed.nextWakeMs(now), isWindowFull ? null : (pacing?.nextWakeMs(now) ?? null));

  /** Those that the outbox refused and that are due meanwhile wait for the window again. */
  const retryRefused = (now: number): void => {
    for (const { held, push } of aside.retry(now)) queue.push(new HeldPush(push, held.lane, held.onFate));
  };

  /** A fault of ours with one of them must not cost the others their credits. */
  const concludeAll = (settled: readonly Settled[], now: number): void => {
    let fault: { readonly error: unknown } | null = null;
    for (const one of settled) {
      try {
        conclude(one, now);
      } catch (error) {
        fault ??= { error };
      }
    }
    if (fault !== null) throw fault.error;
  };

  const apply = (message: NotifierMessage, now: number): void => {
    switch (message.kind) {
      case 'arrived':
        lastFreshAtMs = now;
        for (const held of arrived.take()) queue.push(held);
        return;
      case 'settled':
        concludeAll(atProvider.takeSettled(), now);
        return;
      case 'claimed': {
        const claimed = message.pushes.map((push) => new HeldPush(push, 'claimed', null));
        feed.arrived(claimed, now);
        for (const held of claimed) queue.push(held);
        return;
      }
      case 'claim-failed':
        feed.failed();
        return;
      case 'tick':
        feed.tick();
        retryRefused(now);
        return;
      case 'wake':
        return;
      case 'drain-deadline':
        abort.abort();
        // A database that hangs must not hold up the stop. Rows that it still hands out go back when they arrive, or,
        // when that is after the end of this actor, at the next start. So do those that are being journaled.
        feed.abandon();
        journal.abandon();
        aside.lastChance();
        overdue = setTimeout(() => actor.tell({ kind: 'drain-overdue' }), ABORT_GRACE_MS);
        return;
      case 'drain-overdue':
        atProvider.giveUp();
        return;
      default:
        assertNever(message);
    }
  };

  const handle = (_state: null, message: NotifierMessage): null => {
    const now = clock.nowMs();
    try {
      apply(message, now);
    } finally {
      // Also after a fault, or the notifier would stand still until the next message.
      pump(now);
    }
    return null;
  };

  const actor: Actor<NotifierMessage> = system.spawn<NotifierMessage, null>({
    name: `notifier-${Buffer.from(service).toString('hex')}`,
    kind: 'notifier',
    initial: null,
    handle,
  });
  const wake = (): void => void actor.tell({ kind: 'wake' });
  const timer = new WakeTimer(wake);
  const ticker = setInterval(() => actor.tell({ kind: 'tick' }), options.outboxPollMs);

  return {
    notifier,
    offer,
    expectOutbox(dueAtMs) {
      const now = clock.nowMs();
      if (dueAtMs === undefined || dueAtMs <= now) feed.expect();
      else timer.set(feed.expectAt(dueAtMs), now);
    },
    heldUntilMs: () => limits.heldUntilMs(clock.nowMs()),
    status: () => ({
      held: credits.held - feed.claiming,
      waiting: queue.length + aside.refusedCount,
      inFlight: atProvider.count,
      paced: pacing?.heldCount ?? 0,
      window: limits.window,
      windowMax: limits.windowMax,
      pausedUntilMs: limits.pausedUntilMs(clock.nowMs()),
      breaker: limits.breaker(clock.nowMs()),
    }),
    async drain(deadline) {
      draining = true;
      const finished = new Promise<void>((resolve) => (drained = resolve));
      const onDeadline = (): void => void actor.tell({ kind: 'drain-deadline' });
      if (deadline.aborted) onDeadline();
      else deadline.addEventListener('abort', onDeadline, { once: true });
      pacing?.spillAll();
      actor.tell({ kind: 'tick' });
      await finished;
      clearInterval(ticker);
      clearTimeout(overdue);
      timer.stop();
      await actor.stop();
      await notifier.close();
    },
  };
}

const earliest = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);
