import { expect, it, vi } from 'vitest';
import { statement, textCell } from '../../src/store/statement.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { newData, startLegacyWorld, type LegacySide, type LegacyWorld } from '../simulators/legacy-world.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newAndroid, register, success, type Phone } from './legacy-support.js';
import { inParallel, pause, withDatabase } from './support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PHONES = 60;
const AWAY_MS = 4000;
const PATIENCE_MS = 500;
const ANSWER_TIMEOUT_MS = 5000;
/** The answer's time-out, and a machine that has other things to do. */
const ANSWERED_WITHIN_MS = ANSWER_TIMEOUT_MS + 2000;

const config = {
  database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000 },
  legacy: { writePatienceMs: PATIENCE_MS, answerTimeoutMs: ANSWER_TIMEOUT_MS },
};

const livingTokens = statement(
  'test_legacy_tokens',
  'SELECT token FROM legacy_devices WHERE removed_at_ms IS NULL ORDER BY token',
);

describeWithPostgres('older clients and a database that is away', (postgres) => {
  async function start(databaseUrl: string, url = databaseUrl): Promise<Running> {
    const world = await startLegacyWorld({ config: { ...config, database: { url, ...config.database } } });
    const server = await ServerProcess.start(world.configFile);
    return { world, server, databaseUrl };
  }

  interface Running {
    readonly world: LegacyWorld;
    readonly server: ServerProcess;
    readonly databaseUrl: string;
  }

  /** As Bchat's Android registers: with its groups. */
  async function registerAll(
    { server }: Running,
    side: LegacySide,
    phones: readonly Phone[],
    group: string,
  ): Promise<void> {
    const client = await side.client(server);
    await inParallel(phones, 16, async ({ token, account }) =>
      expect(await client.registerGroupsOnly(token, account, 'android', [group])).toEqual(success),
    );
  }

  const isReady = async (server: ServerProcess): Promise<boolean> =>
    (await fetch(`${server.adminAddress}/readyz`)).status === 200;

  /** Whom a notify to the group reaches, as the server has it in memory; each once. */
  async function reachedBy({ server }: Running, side: LegacySide, group: string): Promise<string[]> {
    const client = await side.client(server);
    const data = newData();
    const name = `waggle_legacy_pushes_total{brand="${side.brand.name}",type="android"}`;
    const before = await server.metric(name);
    expect(await client.notify(group, data)).toEqual(success);
    const made = (await server.metric(name)) - before;
    const reached = (): string[] =>
      side.arrivals().flatMap((push) => (push.data === data ? [push.token] : []));
    await eventually(() => reached().length >= made);
    const tokens = reached().sort();
    expect(new Set(tokens).size).toBe(tokens.length);
    return tokens;
  }

  const inTable = ({ databaseUrl }: Running): Promise<string[]> =>
    withDatabase({ url: databaseUrl, dataDir: '' }, async (database) =>
      (await database.rows(livingTokens)).map((row) => textCell(row, 0)).sort(),
    );

  it('stops nothing but changes, whose clients are told so in time', async () => {
    const running = await start(await postgres().createDatabase());
    const { world, server } = running;
    try {
      const side = world.bchat;
      const group = side.newId();
      const phones = Array.from({ length: PHONES }, () => newAndroid(side));
      await registerAll(running, side, phones, group);
      const [first] = phones;
      if (first === undefined) throw new Error('there are sixty');
      const ways = await Promise.all([
        side.client(server),
        side.client(server, { version: 'v4' }),
        side.client(server, { version: 'v2', platform: 'ios' }),
      ]);

      await postgres().stop();
      const awaySince = Date.now();
      const turnedAway: Phone[] = [];
      const sent = new Map<string, string[]>();
      let slowestMs = 0;
      const later = async (answer: Promise<unknown>): Promise<void> => {
        const askedAtMs = performance.now();
        expect(await answer).toMatchObject({ status: 503, body: { code: 0 } });
        slowestMs = Math.max(slowestMs, performance.now() - askedAtMs);
      };
      const changing = (async () => {
        for (let round = 0; Date.now() - awaySince < AWAY_MS; round += 1) {
          const client = ways[round % ways.length];
          if (client === undefined) break;
          const phone = newAndroid(side);
          turnedAway.push(phone);
          await Promise.all([
            later(register(client, phone)),
            later(client.unregister(first.token)),
            later(client.subscribeGroup(side.newId(), first.account)),
          ]);
          await pause(50);
        }
      })();
      const notifying = (async () => {
        for (let at = 0; Date.now() - awaySince < AWAY_MS; at = (at + 1) % phones.length) {
          const phone = phones[at];
          const client = ways[at % ways.length];
          if (phone === undefined || client === undefined) break;
          const data = newData(60);
          expect(await client.notify(phone.account, data)).toEqual(success);
          sent.set(phone.token, [...(sent.get(phone.token) ?? []), data]);
          await pause(5);
        }
      })();
      await Promise.all([changing, notifying]);
      expect(slowestMs).toBeLessThan(ANSWERED_WITHIN_MS);
      expect(turnedAway.length).toBeGreaterThan(3);
      // What is in memory was served all the while.
      const [token, data] = [...sent].at(-1) ?? [];
      expect(sent.size).toBeGreaterThan(PHONES / 2);
      await eventually(() => side.received(token ?? '').length === data?.length);
      for (const [token, data] of sent) {
        await eventually(() => side.received(token).length >= data.length);
        expect(side.received(token).sort()).toEqual(data.sort());
      }
      expect(await isReady(server)).toBe(false);
      const statistics = await fetch(`${server.httpAddress}/get_statistics_data`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`x:${side.brand.statisticsPassword ?? ''}`).toString('base64')}`,
          'content-type': 'application/json',
        },
        body: '{}',
      });
      expect(statistics.status).toBe(503);

      await postgres().start();
      await eventually(() => isReady(server), { timeoutMs: 20_000, what: 'an answer 200 of /readyz' });
      // Their clients come again, as they do.
      await eventually(async () => (await ways[0].unregister(first.token)).status === 200, {
        timeoutMs: 20_000,
        what: 'changes',
      });
      await registerAll(running, side, [...turnedAway, first], group);
      const wanted = [...phones, ...turnedAway].map((phone) => phone.token).sort();
      expect(await inTable(running)).toEqual(wanted);
      expect(await reachedBy(running, side, group)).toEqual(wanted);
      await server.restart();
      expect(await reachedBy(running, side, group)).toEqual(wanted);
    } finally {
      await server.close();
      await world.close();
    }
  });

  it('that is there and does not answer leaves table and memory the same', async () => {
    const databaseUrl = await postgres().createDatabase();
    const relay = await TcpRelay.start(postgres().port);
    const relayed = databaseUrl.replace(`:${postgres().port}`, `:${new URL(relay.endpoint).port}`);
    const running = await start(databaseUrl, relayed);
    const { world, server } = running;
    try {
      const side = world.bchat;
      const group = side.newId();
      const phones = Array.from({ length: PHONES }, () => newAndroid(side));
      await registerAll(running, side, phones, group);
      const client = await side.client(server);

      // In the middle of changes: statements go out, and nobody hears what became of them.
      const answered: Phone[] = [];
      let isOver = false;
      let slowestMs = 0;
      const changing = Promise.all(
        Array.from({ length: 8 }, async () => {
          while (!isOver) {
            const phone = newAndroid(side);
            const askedAtMs = performance.now();
            const { status } = await client.registerGroupsOnly(phone.token, phone.account, 'android', [
              group,
            ]);
            slowestMs = Math.max(slowestMs, performance.now() - askedAtMs);
            if (status === 200) answered.push(phone);
            else await pause(50);
          }
        }),
      );
      await eventually(() => answered.length > 10);
      relay.swallowNew = true;
      relay.swallowPresent();
      await eventually(async () => !(await isReady(server)), { what: 'that it is noticed' });
      expect(await client.notify(phones[0]?.account ?? '', 'MQ==')).toEqual(success);
      await eventually(() => side.received(phones[0]?.token ?? '').length === 1);
      await pause(PATIENCE_MS);
      relay.swallowNew = false;
      const before = answered.length;
      await eventually(() => answered.length > before + 10, {
        timeoutMs: 20_000,
        what: 'registrations again',
      });
      isOver = true;
      await changing;
      expect(slowestMs).toBeLessThan(ANSWERED_WITHIN_MS);

      const table = await inTable(running);
      expect(await reachedBy(running, side, group)).toEqual(table);
      expect([...phones, ...answered].filter(({ token }) => !table.includes(token))).toEqual([]);
      expect(await server.metric('waggle_legacy_devices{brand="bchat"}')).toBe(table.length);
    } finally {
      await server.close();
      await world.close();
      await relay.close();
    }
  });
});
