import type { Log } from '../telemetry/log.js';
import { describeFailure } from './describe-failure.js';

export interface Stoppable {
  /** Drains and closes; called once. */
  stop(): Promise<void>;
}

/** The part of `process` that is listened to. */
export interface ProcessEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
}

export interface RunOptions<Running extends Stoppable> {
  readonly events: ProcessEvents;
  readonly log: Log;
  readonly start: () => Promise<Running>;
  readonly onStarted: (running: Running) => void;
  /** Ends the process at once. */
  readonly exitNow: (code: number) => void;
  /** From the first signal or fault to the end, whatever hangs. Milliseconds. */
  readonly stopLimitMs: number;
}

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof signalNumbers;
const signals = Object.keys(signalNumbers) as readonly Signal[];
const faults = ['uncaughtException', 'unhandledRejection'] as const;

/** A process that goes on failing while it stops says so only this often. */
const FAULTS_LOGGED_MAX = 10;

/*
 *  starting ──start()──► running ──first signal──► stopping ──stop()──► 0
 *      │                    │                         │ second signal ──► 128 + its number, at once
 *      │                    └──────── fault ──────► stopping ──stop()──► 1
 *      │                                              │ stopLimitMs ────► 1
 *      ├── first signal: as above once start() is through
 *      └── start() fails: the caller gets the error
 */

/**
 * Runs the program until somebody or something ends it; the exit code. A fault is an exception or a rejection that
 * nobody caught: the state of the process is unknown from there on, so it tries to stop in order and ends with 1.
 * Rejects with what `start` rejected with.
 */
export async function runUntilStopped<Running extends Stoppable>(
  options: RunOptions<Running>,
): Promise<number> {
  const { events, log } = options;
  const ending = new Ending(options);
  const listeners: (readonly [string, (...args: unknown[]) => void])[] = [
    ...signals.map((signal) => [signal, () => ending.onSignal(signal)] as const),
    ...faults.map((fault) => [fault, (reason: unknown) => ending.onFault(fault, reason)] as const),
  ];
  for (const [event, listener] of listeners) events.on(event, listener);
  try {
    return await Promise.race([runOnce(options, ending), ending.limit]);
  } finally {
    for (const [event, listener] of listeners) events.removeListener(event, listener);
    ending.clear();
    log.flush?.();
  }
}

async function runOnce<Running extends Stoppable>(
  { start, onStarted, log }: RunOptions<Running>,
  ending: Ending,
): Promise<number> {
  let running: Running;
  try {
    running = await start();
  } catch (error) {
    if (!ending.isAsked) throw error;
    log.error({ failure: describeFailure(error) }, 'start failed');
    return ending.exitCode;
  }
  if (!ending.isAsked) onStarted(running);
  await ending.asked;
  try {
    await running.stop();
  } catch (error) {
    log.error({ failure: describeFailure(error) }, 'stopping failed');
    return 1;
  }
  return ending.exitCode;
}

/** Who asked for the end, and how it is to end. */
class Ending {
  exitCode = 0;
  isAsked = false;
  /** Settles when the end was asked for. */
  readonly asked: Promise<void>;
  /** Settles with 1 when stopping takes too long. */
  readonly limit: Promise<number>;
  #ask: () => void = () => {};
  #giveUp: (code: number) => void = () => {};
  #timer: NodeJS.Timeout | null = null;
  #isSignalled = false;
  #faults = 0;

  constructor(private readonly options: Pick<RunOptions<Stoppable>, 'log' | 'exitNow' | 'stopLimitMs'>) {
    this.asked = new Promise((resolve) => (this.#ask = resolve));
    this.limit = new Promise((resolve) => (this.#giveUp = resolve));
  }

  onSignal(signal: Signal): void {
    const { log, exitNow } = this.options;
    if (this.#isSignalled) {
      log.warn({ signal }, 'second signal: ending at once');
      exitNow(128 + signalNumbers[signal]);
      return;
    }
    this.#isSignalled = true;
    log.info({ signal }, 'stopping; a second signal ends at once');
    this.#end();
  }

  onFault(kind: string, reason: unknown): void {
    this.exitCode = 1;
    this.#faults += 1;
    if (this.#faults <= FAULTS_LOGGED_MAX) {
      this.options.log.fatal(
        { kind, failure: describeFailure(reason) },
        'a fault that nobody caught; stopping',
      );
    }
    this.#end();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #end(): void {
    if (this.isAsked) return;
    this.isAsked = true;
    this.#timer = setTimeout(() => {
      this.options.log.error({ limitMs: this.options.stopLimitMs }, 'stopping takes too long; ending anyway');
      this.#giveUp(1);
    }, this.options.stopLimitMs);
    this.#ask();
  }
}
