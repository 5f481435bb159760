import { choice, wholeNumber, type OptionsOf } from './options.js';
import type { Config, LogLevel } from './types.js';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * 3600;
const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

export const deliverySection: OptionsOf<Config['delivery']> = {
  durability: choice<Config['delivery']['durability']>({
    doc: 'spill: what cannot be sent now, and everything at a stop, is in the outbox; a crash loses what was in memory. journal: every push is in the outbox before it is sent; a crash loses none, each push costs a write to the database, and while the database is away nothing new is sent.',
    default: 'spill',
    values: ['spill', 'journal'],
  }),
  credits: wholeNumber({
    doc: 'Pushes that one notifier may hold in memory; further ones go to the outbox.',
    unit: 'pushes',
    default: 4096,
    min: 1,
    max: 1_000_000,
  }),
  maxInFlight: wholeNumber({
    doc: 'Requests that one notifier has open at its provider at once (apns and firebase: on each connection): the upper end of its window.',
    unit: 'requests',
    default: 500,
    min: 1,
    max: 10_000,
  }),
  windowMin: wholeNumber({
    doc: 'Lower end of the window: throttling and time-outs shrink it to this at most.',
    unit: 'requests',
    default: 8,
    min: 1,
    max: 10_000,
  }),
  spillAfterMs: wholeNumber({
    doc: 'When the provider holds a notifier back (a pause, or the breaker) for longer than this, what waits in memory goes to the outbox.',
    unit: 'ms',
    default: 1000,
    min: 10,
    max: 3_600_000,
  }),
  retryBaseMs: wholeNumber({
    doc: 'Wait before the first repetition; it doubles with every further one, with jitter.',
    unit: 'ms',
    default: 1000,
    min: 1,
    max: 3_600_000,
  }),
  retryMaxMs: wholeNumber({
    doc: 'Longest wait between two attempts.',
    unit: 'ms',
    default: 300_000,
    min: 1,
    max: 24 * 3_600_000,
  }),
  maxAttempts: wholeNumber({
    doc: 'Attempts for one push; then it is dropped and counted.',
    unit: 'attempts',
    default: 12,
    min: 1,
    max: 1000,
  }),
  maxPauseSeconds: wholeNumber({
    doc: 'A pause that a provider asks for (Retry-After) is cut to this.',
    unit: 's',
    default: HOUR_SECONDS,
    min: 1,
    max: DAY_SECONDS,
  }),
  refusedResends: wholeNumber({
    doc: 'A request that the provider surely never saw (a refused HTTP/2 stream) is sent again at once this often.',
    unit: 'attempts',
    default: 3,
    min: 0,
    max: 100,
  }),
  deadTokenGuardPercent: wholeNumber({
    doc: "At most this share of a notifier's devices is removed as dead within the window; beyond that removal stops and a line in the log says so, because a wrong topic or project makes every token look dead.",
    unit: '%',
    default: 5,
    min: 0,
    max: 100,
  }),
  deadTokenGuardMinimum: wholeNumber({
    doc: 'This many dead devices are always removed, however few there are.',
    unit: 'devices',
    default: 20,
    min: 1,
    max: 1_000_000,
  }),
  deadTokenGuardWindowSeconds: wholeNumber({
    doc: 'The window over which dead tokens are counted.',
    unit: 's',
    default: 600,
    min: 10,
    max: DAY_SECONDS,
  }),
  breakerFailures: wholeNumber({
    doc: 'Transport failures in a row after which a notifier stops sending and only probes.',
    unit: 'failures',
    default: 10,
    min: 1,
    max: 10_000,
  }),
  breakerProbeSeconds: wholeNumber({
    doc: 'How often a notifier that stopped sends one push to see whether the provider is back.',
    unit: 's',
    default: 5,
    min: 1,
    max: HOUR_SECONDS,
  }),
  tombstoneDays: wholeNumber({
    doc: 'What was removed for a dead token (subscriptions, devices of older clients and of XMPP users) can be brought back for this long (waggle devices undelete); 0 keeps none.',
    unit: 'days',
    default: 7,
    min: 0,
    max: 365,
  }),
  paceMaxDevices: wholeNumber({
    doc: 'Devices whose last push each notifier with paceSeconds remembers at most; beyond that the longest idle is forgotten, and its next push goes out at once.',
    unit: 'devices',
    default: 100_000,
    min: 100,
    max: 10_000_000,
  }),
};

export const shutdownSection: OptionsOf<Config['shutdown']> = {
  drainSeconds: wholeNumber({
    doc: 'At SIGTERM, pushes under way get this long; then the rest goes to the outbox.',
    unit: 's',
    default: 20,
    min: 0,
    max: HOUR_SECONDS,
  }),
};

export const logSection: OptionsOf<Config['log']> = {
  level: choice<LogLevel>({
    doc: 'The least grave kind of line to be written.',
    default: 'info',
    values: LOG_LEVELS,
  }),
};
