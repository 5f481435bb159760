import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import {
  newData,
  newHuaweiToken,
  startLegacyWorld,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newAndroid, newIphone, register, success, sumOf } from './legacy-support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

interface Row {
  readonly start_date: string;
  readonly end_date: string;
  readonly ios_pn_number: number;
  readonly android_pn_number: number;
  readonly total_message_number: number;
  readonly closed_group_message_number: number;
  readonly untracked_message_number: number;
  readonly deduplicated_1_1_message_number: number;
}
type Numbers = Omit<Row, 'start_date' | 'end_date'>;

interface Answer {
  readonly code: 0;
  readonly data: { readonly data: readonly Row[] } & Readonly<Record<string, number>>;
}

const DATE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: LegacyWorld;
  let server: ServerProcess;

  beforeAll(async () => {
    const url = await databaseUrl();
    world = await startLegacyWorld(url === null ? {} : { databaseUrl: url });
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  const post = (password: string | null, body = '{}', type = 'application/json'): Promise<Response> =>
    fetch(`${server.httpAddress}/get_statistics_data`, {
      method: 'POST',
      headers: {
        'content-type': type,
        ...(password === null
          ? {}
          : { authorization: `Basic ${Buffer.from(`anybody:${password}`).toString('base64')}` }),
      },
      body,
    });

  async function ask({ brand }: LegacySide, question: object = {}): Promise<Answer['data']> {
    const answer = await post(brand.statisticsPassword, JSON.stringify(question));
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
    const { code, data } = (await answer.json()) as Answer;
    expect(code).toBe(0);
    return data;
  }

  /** Of all periods: midnight may pass. */
  function total({ data }: Answer['data']): Numbers {
    const sum = (name: keyof Numbers): number => data.reduce((all, row) => all + row[name], 0);
    return {
      ios_pn_number: sum('ios_pn_number'),
      android_pn_number: sum('android_pn_number'),
      total_message_number: sum('total_message_number'),
      closed_group_message_number: sum('closed_group_message_number'),
      untracked_message_number: sum('untracked_message_number'),
      deduplicated_1_1_message_number: sum('deduplicated_1_1_message_number'),
    };
  }

  /** Two iPhones, two Androids and a Huawei; one message to an account, two to a group, three to nobody, one too long. */
  async function traffic(side: LegacySide): Promise<void> {
    const client = await side.client(server);
    const phones = [newIphone(side), newIphone(side), newAndroid(side), newAndroid(side)];
    for (const phone of phones) expect(await register(client, phone)).toEqual(success);
    const [first, second] = phones;
    if (first === undefined || second === undefined) throw new Error('there are four');
    expect(await client.register(newHuaweiToken(), first.account, 'huawei')).toEqual(success);
    expect(await client.register(`unknown ${first.token}`, side.newId(), 'unknown')).toEqual(success);
    const group = side.newId();
    for (const { account } of phones) expect(await client.subscribeGroup(group, account)).toEqual(success);
    const ids = [second.account, group, group, side.newId(), side.newId(), side.newId()];
    for (const id of ids) expect(await client.notify(id, newData())).toEqual(success);
    expect(await client.notify(first.account, 'A'.repeat(10_241))).toEqual(success);
  }

  const afterOne: Numbers = {
    ios_pn_number: 1 + 2 * 2,
    android_pn_number: 2 * 3,
    total_message_number: 7,
    closed_group_message_number: 2,
    untracked_message_number: 3,
    deduplicated_1_1_message_number: 1,
  };
  const times = (count: number): Numbers =>
    Object.fromEntries(
      Object.entries(afterOne).map(([name, value]) => [name, value * count]),
    ) as unknown as Numbers;
  const none = times(0);

  it('let nobody in without the password of a brand', async () => {
    for (const password of [null, '', 'wrong', `${world.session.brand.statisticsPassword ?? ''}x`]) {
      const answer = await post(password);
      expect([answer.status, await answer.text()]).toEqual([401, 'Unauthorized Access']);
      expect(answer.headers.get('www-authenticate')).toBe('Basic realm="Authentication Required"');
    }
    const { statisticsPassword } = world.session.brand;
    for (const [body, type] of [
      ['{}', 'text/plain'],
      ['{', 'application/json'],
      ['[]', 'application/json'],
      ['{"start_date":"yesterday"}', 'application/json'],
    ])
      expect((await post(statisticsPassword, body, type)).status).toBe(400);
    const get = await fetch(`${server.httpAddress}/get_statistics_data`);
    expect([404, 405]).toContain(get.status);
  });

  it('are the numbers of each brand, also after a stop, and the same as the metrics', async () => {
    const { session, bchat } = world;
    await traffic(session);
    const { data, ...devices } = await ask(session);
    expect(total({ data, ...devices } as Answer['data'])).toEqual(afterOne);
    expect(devices).toEqual({ ios_device_number: 2, android_device_number: 3, total_session_id_number: 5 });
    for (const row of data) {
      expect([row.start_date, row.end_date]).toEqual([
        expect.stringMatching(DATE),
        expect.stringMatching(DATE),
      ]);
      expect(row.start_date.slice(11)).toBe('00:00:00');
    }
    expect(total(await ask(bchat))).toEqual(none);
    await traffic(bchat);
    const ofBchat = await ask(bchat);
    expect(total(ofBchat)).toEqual(afterOne);
    expect(ofBchat).toMatchObject({
      ios_device_number: 2,
      android_device_number: 3,
      total_bchat_id_number: 5,
    });

    for (const [metric, value] of [
      ['waggle_legacy_messages_total{brand="session",kind="account"', 1],
      ['waggle_legacy_messages_total{brand="session",kind="group"', 2],
      ['waggle_legacy_messages_total{brand="session",kind="untracked"', 3],
      ['waggle_legacy_messages_total{brand="session",kind="too-long"', 1],
      ['waggle_legacy_pushes_total{brand="session",type="ios"', 5],
      ['waggle_legacy_pushes_total{brand="session",type="android"', 4],
      ['waggle_legacy_pushes_total{brand="session",type="huawei"', 2],
      ['waggle_legacy_requests_total{brand="session",method="notify",result="done"', 7],
      ['waggle_legacy_devices{brand="session"', 6],
      ['waggle_legacy_groups{brand="session"', 1],
      ['waggle_legacy_memberships{brand="session"', 4],
    ] as const)
      expect([metric, await sumOf(server, metric)]).toEqual([metric, value]);

    // What was counted and not yet asked for or written is written at the stop.
    await traffic(session);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await server.restart();
    expect(total(await ask(session))).toEqual(times(2));
    await traffic(session);
    expect(total(await ask(session))).toEqual(times(3));
    // Asking writes: a crash after it costs nothing of what was said.
    await server.kill('SIGKILL');
    await server.restart();
    expect(total(await ask(session))).toEqual(times(3));
    expect(total(await ask(bchat))).toEqual(afterOne);
  });

  it('can be asked for by time, and without columns', async () => {
    const { session } = world;
    const { data } = await ask(session);
    const [first] = data;
    if (first === undefined) throw new Error('there is the present period');
    expect(total(await ask(session, { start_date: first.start_date }))).toEqual(total(await ask(session)));
    expect((await ask(session, { start_date: '2999-01-01' })).data).toEqual([]);
    expect((await ask(session, { start_date: '2000-01-01', end_date: '2001-01-01 12:00:00' })).data).toEqual(
      [],
    );
    const [row] = (
      await ask(session, { ios_pn_number: 0, total_message_number: false, android_pn_number: 1 })
    ).data;
    expect(Object.keys(row ?? {})).toEqual([
      'start_date',
      'end_date',
      'android_pn_number',
      'closed_group_message_number',
      'untracked_message_number',
      'deduplicated_1_1_message_number',
    ]);
    await eventually(() => session.arrived === 3 * 11, { what: 'every push of three rounds' });
  });
}

describe('statistics of older clients (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('statistics of older clients', (postgres) => suite(() => postgres().createDatabase()));
