import { basicPassword, ownerOfSecret } from './basic-auth.js';
import type { Brand } from './brand.js';
import type { LegacyPeriod, LegacyPeriodStore } from './port.js';

/** One brand, as far as its statistics go. */
export interface StatisticsBrand {
  readonly brand: Pick<Brand, 'name' | 'statisticsPassword' | 'statisticsTotalKey'>;
  readonly directory: {
    readonly deviceCounts: {
      readonly ios: number;
      /** Huawei's included. */
      readonly android: number;
      /** Accounts with a token of any type. */
      readonly accounts: number;
    };
  };
  /** Brings what was counted until now to the store: the running period is part of the answer. */
  readonly statistics: { collect(): Promise<void> };
}

export interface StatisticsAnswer {
  readonly status: 200 | 400 | 401;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface StatisticsQuestion {
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
  readonly body: Buffer;
}

/** The newest ones; far more than anybody keeps periods of a day. */
export const STATISTICS_ROWS_MAX = 10_000;

/** The columns that a client may leave out, and all columns in the order of the original's table. */
const flags = [
  'ios_pn_number',
  'android_pn_number',
  'total_message_number',
  'closed_group_message_number',
] as const;

const columns: Readonly<Record<string, (period: LegacyPeriod) => number | string>> = {
  start_date: ({ startMs }) => dateText(startMs),
  end_date: ({ endMs }) => dateText(endMs),
  ios_pn_number: ({ iosPushes }) => iosPushes,
  android_pn_number: ({ androidPushes }) => androidPushes,
  total_message_number: ({ messages }) => messages,
  closed_group_message_number: ({ groupMessages }) => groupMessages,
  untracked_message_number: ({ untrackedMessages }) => untrackedMessages,
  deduplicated_1_1_message_number: ({ accountMessages }) => accountMessages,
};

/**
 * The answer to POST /get_statistics_data: HTTP Basic, where the password picks the brand and the user name may be
 * anything; then JSON with `start_date`, `end_date` and flags, all optional. Dates are UTC. `end_date` counts only
 * beside a `start_date`, as in the original. Rejects as the store does while the database is away.
 *
 * Source: spec session-push-v1, section 6.1.
 */
export async function answerStatistics(
  { authorization, body }: StatisticsQuestion,
  brands: Iterable<StatisticsBrand>,
  store: Pick<LegacyPeriodStore, 'read'>,
): Promise<StatisticsAnswer> {
  const password = basicPassword(authorization);
  const asked =
    password === null ? null : ownerOfSecret(password, brands, ({ brand }) => brand.statisticsPassword);
  if (asked === null) return UNAUTHORIZED;
  const request = readObject(body);
  if (request === null) return badRequest('the body must be a JSON object');
  const startMs = readDate(request['start_date']);
  const endMs = readDate(request['end_date']);
  if (startMs === 'malformed' || endMs === 'malformed')
    return badRequest('dates are YYYY-MM-DD HH:MM:SS or YYYY-MM-DD (UTC)');

  const { brand, directory, statistics } = asked;
  await statistics.collect();
  const range = { fromMs: startMs, toMs: startMs === null ? null : endMs };
  const periods = await store.read(brand.name, range, STATISTICS_ROWS_MAX);
  const left = new Set<string>(flags.filter((flag) => isOff(request[flag])));
  const shown = Object.entries(columns).filter(([name]) => !left.has(name));
  const { ios, android, accounts } = directory.deviceCounts;
  return json(200, {
    code: 0,
    data: {
      data: periods.map((period) => Object.fromEntries(shown.map(([name, read]) => [name, read(period)]))),
      ios_device_number: ios,
      android_device_number: android,
      [brand.statisticsTotalKey]: accounts,
    },
  });
}

const json = (status: 200 | 400, value: unknown): StatisticsAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

/** Here 0 means that all is well; the original's 400 is a page in HTML. */
const badRequest = (message: string): StatisticsAnswer => json(400, { code: 1, message });

const UNAUTHORIZED: StatisticsAnswer = {
  status: 401,
  headers: {
    'content-type': 'text/html; charset=utf-8',
    'www-authenticate': 'Basic realm="Authentication Required"',
  },
  body: 'Unauthorized Access',
};

function readObject(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const isOff = (flag: unknown): boolean => flag === 0 || flag === false || flag === '0';

const DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})(?: (\d{1,2}):(\d{1,2}):(\d{1,2}))?$/;

/** Unix milliseconds; null when none is given, which an empty text also means. */
function readDate(value: unknown): number | null | 'malformed' {
  if (value === undefined || value === null || value === '') return null;
  const match = typeof value === 'string' ? DATE.exec(value) : null;
  if (match === null) return 'malformed';
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((digits: string | undefined) => Number(digits ?? 0));
  const at = new Date(0);
  // Unlike `Date.UTC`, this takes the year 50 for the year 50.
  at.setUTCFullYear(year, month - 1, day);
  at.setUTCHours(hour, minute, second);
  const isReal =
    at.getUTCFullYear() === year &&
    at.getUTCMonth() === month - 1 &&
    at.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  return isReal ? at.getTime() : 'malformed';
}

/** `2023-11-14 22:13:20`: whole seconds, as the original cuts them. */
const dateText = (unixMs: number): string => new Date(unixMs).toISOString().slice(0, 19).replace('T', ' ');
