import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LegacyDirectory } from '../../../src/legacy/directory.js';
import { answerStatistics, type StatisticsBrand } from '../../../src/legacy/statistics-answer.js';
import { LegacyStatistics } from '../../../src/legacy/statistics.js';
import type { LegacyDeviceType } from '../../../src/legacy/device.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';
import { MemoryPeriods } from '../../simulators/memory-periods.js';

interface Vector {
  readonly name: string;
  readonly request: Record<string, unknown>;
  readonly original: {
    readonly http_status: number;
    readonly body?: { data: { data: Record<string, unknown>[] } };
    readonly body_text?: string;
    readonly www_authenticate?: string;
  };
  readonly original_bug?: boolean;
  readonly required?: string;
}

interface Row {
  readonly start_date: number;
  readonly end_date: number;
  readonly ios_pn_number: number;
  readonly android_pn_number: number;
  readonly total_message_number: number;
  readonly closed_group_message_number: number;
  readonly untracked_message_number: number;
  readonly deduplicated_1_1_message_number: number;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/session-push-v1.json', import.meta.url), 'utf8'),
) as {
  readonly statistics: {
    readonly password: string;
    readonly registered: readonly (string | { token: string; pubKey: string; device?: LegacyDeviceType })[];
    readonly rows: readonly Row[];
    readonly requests: readonly Vector[];
  };
};
const { password, registered, rows, requests } = vectors.statistics;

const basic = (user: string, secret: string): string =>
  `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
const jsonQuestion = { authorization: basic('user', password), contentType: 'application/json' };
const limits = { maxRemembered: 100 };

async function setUp() {
  const store = new MemoryPeriods();
  for (const row of rows) {
    await store.write('session', {
      startMs: row.start_date * 1000,
      endMs: row.end_date * 1000,
      iosPushes: row.ios_pn_number,
      androidPushes: row.android_pn_number,
      messages: row.total_message_number,
      groupMessages: row.closed_group_message_number,
      untrackedMessages: row.untracked_message_number,
      accountMessages: row.deduplicated_1_1_message_number,
    });
  }
  const directory = new LegacyDirectory(sessionBrand, limits);
  const register = (token: string, account: string, type: LegacyDeviceType): unknown =>
    directory.apply({
      kind: 'set-device',
      device: { token, account, type, groupsOnly: false, registeredAtMs: 1 },
    });
  for (const one of registered) {
    if (typeof one === 'string') {
      register('gone', 'account without a token', 'ios');
      directory.apply({ kind: 'remove-device', token: 'gone' });
    } else {
      register(one.token, one.pubKey, one.device ?? (one.token.length === 64 ? 'ios' : 'android'));
    }
  }
  let collectCount = 0;
  const statistics = {
    collect: () => {
      collectCount += 1;
      return Promise.resolve();
    },
  };
  const brands: StatisticsBrand[] = [
    {
      brand: { ...bchatBrand, statisticsPassword: 'another password' },
      directory: new LegacyDirectory(bchatBrand, limits),
      statistics,
    },
    { brand: { ...sessionBrand, statisticsPassword: password }, directory, statistics },
    {
      brand: { ...sessionBrand, name: 'closed', statisticsPassword: null },
      directory: new LegacyDirectory(sessionBrand, limits),
      statistics,
    },
  ];
  /** Null: without the header. */
  const ask = (request: unknown, authorization: string | null = basic('', password)) =>
    answerStatistics(
      {
        authorization: authorization ?? undefined,
        contentType: 'application/json',
        body: Buffer.from(typeof request === 'string' ? request : JSON.stringify(request)),
      },
      brands,
      store,
    );
  const rowsOf = async (request: unknown) =>
    (JSON.parse((await ask(request)).body.toString()) as { data: { data: Record<string, unknown>[] } }).data
      .data;
  return { store, brands, ask, rowsOf, collectCount: () => collectCount };
}

describe('the answer to get_statistics_data', () => {
  it.each(requests)('is as in the vector of $name', async ({ name, request, original, required }) => {
    const { ask } = await setUp();
    const authorization =
      name === 'wrong password'
        ? basic('user', 'wrong')
        : name === 'no credentials'
          ? null
          : basic('user', password);
    const answer = await ask(request, authorization);
    if (original.http_status === 401) {
      expect(answer.status).toBe(401);
      expect(answer.body.toString()).toBe(original.body_text);
      expect(answer.headers['www-authenticate']).toBe(original.www_authenticate);
    } else if (required === 'HTTP 400') {
      expect(answer.status).toBe(400);
    } else {
      const expected = structuredClone(
        original.body ?? requests.find((one) => one.name === 'all')?.original.body,
      );
      if (required !== undefined) {
        for (const row of expected?.data.data ?? []) {
          for (const flag of Object.keys(request)) Reflect.deleteProperty(row, flag);
        }
      }
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/json');
      expect(JSON.parse(answer.body.toString())).toEqual(expected);
    }
  });

  it('asks the vectors all that they hold', () => {
    expect(requests.length).toBeGreaterThanOrEqual(11);
  });

  it('lets any user name in, and an empty one; the password picks the brand', async () => {
    const { ask } = await setUp();
    expect((await ask({}, basic('', password))).status).toBe(200);
    expect((await ask({}, basic('anybody', password))).status).toBe(200);
    const bchat = await ask({}, basic('x', 'another password'));
    expect(JSON.parse(bchat.body.toString())).toEqual({
      code: 0,
      data: { data: [], ios_device_number: 0, android_device_number: 0, total_bchat_id_number: 0 },
    });
  });

  it('lets nobody in by no password, by an empty one, or by what is no Basic header', async () => {
    const { ask, collectCount } = await setUp();
    for (const authorization of [
      null,
      '',
      'Basic',
      'Basic ',
      'Basic !!!!',
      basic('', ''),
      basic('user', ''),
      basic('user', `${password} `),
      `Bearer ${Buffer.from(`:${password}`).toString('base64')}`,
      `Basic ${Buffer.from(password).toString('base64')}`,
    ]) {
      expect((await ask({}, authorization)).status, `${authorization}`).toBe(401);
    }
    expect(collectCount()).toBe(0);
  });

  it('takes the name of the scheme in any case, and a password with colons and letters of all kinds', async () => {
    const { store, brands } = await setUp();
    const odd = 'pässword:with:colons';
    const one = brands.map((entry) => ({ ...entry, brand: { ...entry.brand, statisticsPassword: odd } }));
    const authorization = basic('user', odd).replace('Basic', 'bAsIc');
    const answer = await answerStatistics(
      { authorization, contentType: 'application/json', body: Buffer.from('{}') },
      one,
      store,
    );
    expect(answer.status).toBe(200);
  });

  it('refuses a body that is no JSON object', async () => {
    const { ask } = await setUp();
    for (const body of ['', '[]', 'null', '1', '"text"', '{', '\u0000'])
      expect((await ask(body)).status, body).toBe(400);
  });

  it('refuses dates that are none, wherever they stand', async () => {
    const { ask } = await setUp();
    for (const date of [
      '2023/11/15',
      '2023-13-01',
      '2023-02-29',
      '2023-00-10',
      '2023-11-15T00:00:00',
      '2023-11-15 24:00:00',
      '2023-11-15 10:00',
      ' 2023-11-15',
      'now',
      1_700_000_000,
      true,
      {},
      ['2023-11-15'],
    ]) {
      expect((await ask({ start_date: date })).status, JSON.stringify(date)).toBe(400);
      expect((await ask({ start_date: '2023-11-15', end_date: date })).status).toBe(400);
    }
  });

  it('takes both forms of a date, and an empty one for none', async () => {
    const { rowsOf } = await setUp();
    expect(await rowsOf({ start_date: '2023-11-15 22:13:21' })).toHaveLength(2);
    expect(await rowsOf({ start_date: '2023-11-15 22:13:22' })).toHaveLength(1);
    expect(await rowsOf({ start_date: '2024-02-29' })).toHaveLength(0);
    expect(await rowsOf({ start_date: '', end_date: null })).toHaveLength(3);
  });

  it('leaves out what a flag of 0, false or "0" says, and shows it for every other value', async () => {
    const { rowsOf } = await setUp();
    for (const off of [0, false, '0']) {
      const [row] = await rowsOf({ android_pn_number: off, total_message_number: off });
      expect(Object.keys(row ?? {}).sort()).toEqual([
        'closed_group_message_number',
        'deduplicated_1_1_message_number',
        'end_date',
        'ios_pn_number',
        'start_date',
        'untracked_message_number',
      ]);
    }
    for (const on of [1, true, '1', null, 'yes', 2]) {
      expect((await rowsOf({ ios_pn_number: on }))[0]).toHaveProperty('ios_pn_number');
    }
    // These have no flag in the original.
    expect((await rowsOf({ start_date: '2023-11-15', untracked_message_number: 0 }))[0]).toHaveProperty(
      'untracked_message_number',
    );
  });

  it('holds the running period up to now', async () => {
    const { store, brands } = await setUp();
    const now = Date.UTC(2026, 0, 10, 5);
    const running = new LegacyStatistics(
      { brand: 'session', store, clock: { nowMs: () => now }, metrics: new Metrics() },
      { periodMs: 86_400_000, historyMs: 3650 * 86_400_000 },
    );
    running.message('account');
    running.push('huawei');
    const asked = brands.map((entry) => ({ ...entry, statistics: running }));
    const question = { ...jsonQuestion, body: Buffer.from('{"start_date":"2026-01-10"}') };
    const answer = await answerStatistics(question, asked, store);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      data: {
        data: [
          {
            start_date: '2026-01-10 00:00:00',
            end_date: '2026-01-10 05:00:00',
            ios_pn_number: 0,
            android_pn_number: 1,
            total_message_number: 1,
            deduplicated_1_1_message_number: 1,
          },
        ],
      },
    });
  });

  it('asks to come back while the database is away, and rejects for what is a bug', async () => {
    const { store, brands, ask } = await setUp();
    store.isAway = true;
    const answer = await ask({});
    expect(answer.status).toBe(503);
    expect(answer.headers).toHaveProperty('retry-after');
    expect((await ask('nonsense')).status).toBe(400);
    const faulty = { read: () => Promise.reject(new TypeError('bug')) };
    const question = { ...jsonQuestion, body: Buffer.from('{}') };
    await expect(answerStatistics(question, brands, faulty)).rejects.toThrow('bug');
  });

  it('wants to hear that the body is JSON, as the original does, after it knows who asks', async () => {
    const { store, brands } = await setUp();
    const statusWith = async (contentType: string | undefined, authorization = jsonQuestion.authorization) =>
      (await answerStatistics({ authorization, contentType, body: Buffer.from('{}') }, brands, store)).status;
    for (const right of ['application/json', 'Application/JSON; charset=utf-8', 'application/vnd.api+json'])
      expect(await statusWith(right)).toBe(200);
    for (const wrong of [
      undefined,
      '',
      'text/plain',
      'application/jsonp',
      'application/x-www-form-urlencoded',
    ])
      expect(await statusWith(wrong)).toBe(400);
    expect(await statusWith('text/plain', basic('u', 'wrong'))).toBe(401);
  });
});
