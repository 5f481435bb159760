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
  readonly status: 200 | 400 | 401 | 503;
  /** Lower-case names, without content-length. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface StatisticsQuestion {
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
  /** The header `Content-Type`. */
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

const JSON_TYPE = /^ *application\/([a-z0-9.-]+\+)?json *(;|$)/i;

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
 * beside a `start_date`, as in the original. 503 while the database is away; rejects only for a bug.
 *
 * Source: spec session-push-v1, section 6.1.
 */
export async function answerStatistics(
  { authorization, contentType, body }: StatisticsQuestion,
  brands: Iterable<StatisticsBrand>,
  store: Pick<LegacyPeriodStore, 'read'>,
): Promise<StatisticsAnswer> {
  const password = basicPassword(authorization);
  const asked =
    password === null ? null : ownerOfSecret(password, brands, ({ brand }) => brand.statisticsPassword);
  if (asked === null) return UNAUTHORIZED;
  const request = JSON_TYPE.test(contentType ?? '') ? readObject(body) : null;
  if (request === null) return badRequest('a JSON object is wanted, with Content-Type: application/json');
  const startMs = readDate(request['start_date']);
  const endMs = readDate(request['end_date']);
  if (startMs === 'malformed' || endMs === 'malformed')
    return badRequest('dates are YYYY-MM-DD HH:MM:SS or YYYY-MM-DD (UTC)');

  try {
    const range = { fromMs: startMs, toMs: startMs === null ? null : endMs };
    return await answerOf(asked, range, new Set(flags.filter((flag) => isOff(request[flag]))), store);
  } catch (error) {
    // By its name: the store implements the ports of this room, which knows nothing of it.
    if (error instanceof Error && error.name === 'StoreUnavailable') return COME_BACK;
    throw error;
  }
}

async function answerOf(
  { brand, directory, statistics }: StatisticsBrand,
  range: Parameters<LegacyPeriodStore['read']>[1],
  left: ReadonlySet<string>,
  store: Pick<LegacyPeriodStore, 'read'>,
): Promise<StatisticsAnswer> {
  await statistics.collect();
  const periods = await store.read(brand.name, range, STATISTICS_ROWS_MAX);
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

const json = (
  status: StatisticsAnswer['status'],
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): StatisticsAnswer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: Buffer.from(JSON.stringify(value)),
});

/** Here 0 means that all is well; the original's 400 is a page in HTML. */
const badRequest = (message: string): StatisticsAnswer => json(400, { code: 1, message });

const UNAUTHORIZED: StatisticsAnswer = {
  status: 401,
  headers: {
    'content-type': 'text/html; charset=utf-8',
    'www-authenticate': 'Basic realm="Authentication Required"',
  },
  body: Buffer.from('Unauthorized Access'),
};

const COME_BACK = json(503, { code: 1, message: 'the database does not answer' }, { 'retry-after': '10' });

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

const LAST_DATE_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** `2023-11-14 22:13:20`: whole seconds, as the original cuts them; a nonsensical time is the nearest possible one. */
const dateText = (unixMs: number): string =>
  new Date(Math.min(Math.max(unixMs, 0), LAST_DATE_MS)).toISOString().slice(0, 19).replace('T', ' ');
