import type { Clock } from '../domain/clock.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { LegacyDeviceType } from './device.js';
import type { LegacyCounters, LegacyPeriod, LegacyPeriodStore } from './port.js';

/** What became of a message. `too-long`: dropped before anybody looked whose it is. */
export type LegacyMessageKind = 'account' | 'group' | 'untracked' | 'too-long';
export type LegacyPushType = Exclude<LegacyDeviceType, 'unknown'>;

/** What the pipeline tells of its notices. */
export interface LegacyCounting {
  /** Every message once; all kinds count in the total. */
  message(kind: LegacyMessageKind): void;
  /** A push that was handed over, whatever its provider will say. */
  push(type: LegacyPushType): void;
}

export interface LegacyStatisticsDeps {
  readonly brand: string;
  readonly store: LegacyPeriodStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface LegacyStatisticsOptions {
  /** Periods begin at its multiples since 1970 (UTC): of 24 h at midnight. Milliseconds. */
  readonly periodMs: number;
  /** Periods that ended longer ago are dropped. Milliseconds. */
  readonly historyMs: number;
}

type Counts = { -readonly [Name in keyof LegacyCounters]: number };

/** A period that is not finished in the database. */
interface OpenPeriod {
  readonly startMs: number;
  readonly counts: Counts;
  /** Whether `counts` holds what an earlier run wrote of this period; without it nothing may be written. */
  isLoaded: boolean;
  /** Whether there is something that the database does not have. */
  isDirty: boolean;
}

/** Rows of one period's time: its own, and some of periods of another length (imported, or the option was changed). */
const ROWS_OF_ONE_PERIOD_MAX = 1_000;

/**
 * The counters of one brand by period, for `/get_statistics_data`, and the same numbers as metrics. Counting touches
 * memory only; `collect` brings it to the database: what could not be written is written the next time, also of periods
 * that are over. A crash costs what was counted since the last call. Source: spec session-push-v1, sections 4 and 6.
 */
export class LegacyStatistics implements LegacyCounting {
  /** By start: the present one, and older ones until their last numbers are written. */
  readonly #open = new Map<number, OpenPeriod>();
  #present: OpenPeriod;
  #endMs: number;
  #historyDroppedAtStartMs: number | null = null;
  #collecting: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  readonly #messages: Readonly<Record<LegacyMessageKind, { add(): void }>>;
  readonly #pushes: Readonly<Record<LegacyPushType, { add(): void }>>;

  constructor(
    private readonly deps: LegacyStatisticsDeps,
    private readonly options: LegacyStatisticsOptions,
  ) {
    const { brand, metrics, clock } = deps;
    this.#messages = {
      account: metrics.legacyMessages.of(brand, 'account'),
      group: metrics.legacyMessages.of(brand, 'group'),
      untracked: metrics.legacyMessages.of(brand, 'untracked'),
      'too-long': metrics.legacyMessages.of(brand, 'too-long'),
    };
    this.#pushes = {
      ios: metrics.legacyPushes.of(brand, 'ios'),
      android: metrics.legacyPushes.of(brand, 'android'),
      huawei: metrics.legacyPushes.of(brand, 'huawei'),
    };
    this.#present = this.#periodAt(clock.nowMs());
    this.#endMs = this.#present.startMs + options.periodMs;
  }

  message(kind: LegacyMessageKind): void {
    this.#messages[kind].add();
    const { counts } = this.#touch();
    counts.messages += 1;
    if (kind === 'account') counts.accountMessages += 1;
    else if (kind === 'group') counts.groupMessages += 1;
    else if (kind === 'untracked') counts.untrackedMessages += 1;
  }

  push(type: LegacyPushType): void {
    this.#pushes[type].add();
    const { counts } = this.#touch();
    if (type === 'ios') counts.iosPushes += 1;
    else counts.androidPushes += 1;
  }

  /** Takes up the present period where an earlier run left it. Rejects as the store does; `collect` makes up for it. */
  load(): Promise<void> {
    return this.#load(this.#turn());
  }

  /**
   * Writes what the database does not have, and drops what is too old. Rejects as the store does; nothing is lost then.
   * One at a time: whoever asks during another gets the next one, which holds all that was counted until he asked. To
   * be called every few seconds, and at the stop.
   */
  collect(): Promise<void> {
    if (this.#next !== null) return this.#next;
    if (this.#collecting === null) return this.#start();
    this.#next = this.#collecting
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<void> {
    this.#collecting = this.#collect().finally(() => {
      this.#collecting = null;
    });
    return this.#collecting;
  }

  async #collect(): Promise<void> {
    const { brand, store } = this.deps;
    this.#turn();
    for (const period of [...this.#open.values()].sort((left, right) => left.startMs - right.startMs)) {
      await this.#load(period);
      if (period.isDirty) await this.#write(period);
      if (period !== this.#present && !period.isDirty) this.#open.delete(period.startMs);
    }
    const { startMs } = this.#present;
    if (this.#historyDroppedAtStartMs === startMs) return;
    await store.dropBefore(brand, this.deps.clock.nowMs() - this.options.historyMs);
    this.#historyDroppedAtStartMs = startMs;
  }

  async #write(period: OpenPeriod): Promise<void> {
    const { brand, store, clock } = this.deps;
    const { startMs, counts } = period;
    const isPresent = period === this.#present;
    const row: LegacyPeriod = {
      ...counts,
      startMs,
      endMs: isPresent ? Math.max(clock.nowMs(), startMs) : startMs + this.options.periodMs,
    };
    // Whatever is counted from here on is for the next time.
    period.isDirty = false;
    try {
      await store.write(brand, row);
    } catch (error) {
      period.isDirty = true;
      throw error;
    }
    // It ended meanwhile: its row still has to learn its end.
    if (isPresent && period !== this.#present) period.isDirty = true;
  }

  async #load(period: OpenPeriod): Promise<void> {
    if (period.isLoaded) return;
    const { brand, store } = this.deps;
    const { startMs } = period;
    const range = { fromMs: startMs, toMs: startMs + this.options.periodMs };
    const rows = await store.read(brand, range, ROWS_OF_ONE_PERIOD_MAX);
    // Somebody else may have loaded it while we waited.
    if (period.isLoaded) return;
    period.isLoaded = true;
    const before = rows.find((row) => row.startMs === startMs);
    if (before === undefined) return;
    const { counts } = period;
    counts.iosPushes += before.iosPushes;
    counts.androidPushes += before.androidPushes;
    counts.messages += before.messages;
    counts.groupMessages += before.groupMessages;
    counts.untrackedMessages += before.untrackedMessages;
    counts.accountMessages += before.accountMessages;
  }

  #touch(): OpenPeriod {
    const period = this.#turn();
    period.isDirty = true;
    return period;
  }

  /** The period of now: mostly the one of before. A clock that was put back leads into an earlier one. */
  #turn(): OpenPeriod {
    const now = this.deps.clock.nowMs();
    if (now < this.#endMs && now >= this.#present.startMs) return this.#present;
    // Its row says "until now"; it is to say its end.
    this.#present.isDirty = true;
    this.#present = this.#periodAt(now);
    this.#endMs = this.#present.startMs + this.options.periodMs;
    return this.#present;
  }

  #periodAt(nowMs: number): OpenPeriod {
    const { periodMs } = this.options;
    const startMs = Math.floor(nowMs / periodMs) * periodMs;
    let period = this.#open.get(startMs);
    if (period === undefined) {
      // A new one is written even without any message: a row of zeros says that the server ran.
      period = { startMs, counts: noCounts(), isLoaded: false, isDirty: true };
      this.#open.set(startMs, period);
    }
    return period;
  }
}

const noCounts = (): Counts => ({
  iosPushes: 0,
  androidPushes: 0,
  messages: 0,
  groupMessages: 0,
  untrackedMessages: 0,
  accountMessages: 0,
});
