import { hostPaths, path, paths, secretAddress, wholeNumber, type OptionsOf } from './options.js';
import type { Config } from './types.js';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * 3600;
const MEBIBYTE = 1024 * 1024;

export const databaseSection: OptionsOf<Config['database']> = {
  url: secretAddress({
    doc: 'postgresql://USER:PASSWORD@HOST:PORT/NAME, version 13 or newer; null uses the embedded PostgreSQL under dataDir, good for one machine and moderate load. file:PATH reads it from a file.',
    default: null,
    values: ['postgresql', 'postgres'],
  }),
  dataDir: path({ doc: 'Directory of the embedded database.', default: './data' }),
  poolSize: wholeNumber({
    doc: 'Connections to PostgreSQL.',
    unit: 'connections',
    default: 4,
    min: 1,
    max: 100,
  }),
  statementTimeoutMs: wholeNumber({
    doc: 'A statement that takes longer is given up.',
    unit: 'ms',
    default: 30_000,
    min: 100,
    max: 3_600_000,
  }),
  connectTimeoutMs: wholeNumber({
    doc: 'An attempt to connect that takes longer is given up.',
    unit: 'ms',
    default: 5000,
    min: 100,
    max: 600_000,
  }),
  writeBatchMaxRows: wholeNumber({
    doc: 'Subscriptions written in one statement at most.',
    unit: 'rows',
    default: 500,
    min: 1,
    max: 10_000,
  }),
  writeQueueMaxRows: wholeNumber({
    doc: 'Subscriptions waiting to be written at most; further requests get error 5 and may try again.',
    unit: 'rows',
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
  writeConcurrency: wholeNumber({
    doc: 'Write statements under way at once.',
    unit: 'statements',
    default: 2,
    min: 1,
    max: 50,
  }),
  writeGatherMs: wholeNumber({
    doc: 'How long the first of a batch waits for others before it is written.',
    unit: 'ms',
    default: 1,
    min: 0,
    max: 1000,
  }),
  statisticsFlushSeconds: wholeNumber({
    doc: 'How often counters of all time are written.',
    unit: 's',
    default: 10,
    min: 1,
    max: HOUR_SECONDS,
  }),
  loadPageRows: wholeNumber({
    doc: 'Subscriptions read at a time at start.',
    unit: 'rows',
    default: 1_000,
    min: 100,
    max: 100_000,
  }),
  expirySweepSeconds: wholeNumber({
    doc: 'How often expired subscriptions (signature older than 14 days) are removed.',
    unit: 's',
    default: 30,
    min: 1,
    max: DAY_SECONDS,
  }),
};

export const keysSection: OptionsOf<Config['keys']> = {
  server: path({
    doc: 'Our identity towards storage nodes and oxend.',
    default: './data/keys/server.x25519',
  }),
  onion: paths({
    doc: 'Keys for onion requests; they are tried in turn, so a new one can be put first while clients still use the old one.',
    default: ['./data/keys/onion.x25519'],
  }),
  onionByHost: hostPaths({
    doc: 'HOST=PATH: the key that is tried first when a request names that host, for deployments that were separate before and whose clients know one key each: push.example.org=./data/keys/legacy.x25519. It is tried for all other hosts too, after those of onion.',
    default: [],
  }),
  registrations: path({
    doc: 'For the secrets of XMPP and UWPX devices, which the database holds encrypted with this key: all processes on one database need the same one. When it is lost, pushes go on, and devices get a new secret when they register again. Used only with xmpp or uwpx.',
    default: './data/keys/registrations.key',
  }),
};

export const outboxSection: OptionsOf<Config['outbox']> = {
  maxRows: wholeNumber({
    doc: 'Pushes that wait in the outbox at most; beyond that those that have waited longest are lost, counted, and reported as an error in the log.',
    unit: 'rows',
    default: 1_000_000,
    min: 1000,
    max: 1_000_000_000,
  }),
  pollIntervalMs: wholeNumber({
    doc: 'How often the outbox is looked at for pushes that are due.',
    unit: 'ms',
    default: 1000,
    min: 10,
    max: 600_000,
  }),
  batchRows: wholeNumber({
    doc: 'Pushes read or written with one statement at most.',
    unit: 'rows',
    default: 500,
    min: 1,
    max: 10_000,
  }),
  gatherMs: wholeNumber({
    doc: 'How long the first push of a batch waits for others before it is written. With delivery.durability journal every push waits for its write; with spill nobody does, and it is 25 ms at least.',
    unit: 'ms',
    default: 5,
    min: 0,
    max: 1000,
  }),
  bufferMaxEntries: wholeNumber({
    doc: 'Pushes that wait in memory to be written at most; beyond that, or beyond bufferMaxBytes, they are lost and counted.',
    unit: 'pushes',
    default: 50_000,
    min: 1,
    max: 10_000_000,
  }),
  bufferMaxBytes: wholeNumber({
    doc: 'See bufferMaxEntries.',
    unit: 'bytes',
    default: 256 * MEBIBYTE,
    min: MEBIBYTE,
    max: 64 * 1024 * MEBIBYTE,
  }),
  claimLeaseSeconds: wholeNumber({
    doc: 'What a process has taken from the outbox is offered again when that process has not renewed its claim for this long (it has died).',
    unit: 's',
    default: 120,
    min: 5,
    max: DAY_SECONDS,
  }),
  expirySweepSeconds: wholeNumber({
    doc: 'How often pushes that have expired are removed.',
    unit: 's',
    default: 60,
    min: 1,
    max: DAY_SECONDS,
  }),
};
