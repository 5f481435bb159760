import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { numberCell, statement } from '../../src/store/statement.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import {
  newData,
  startLegacyWorld,
  type LegacyArrival,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newAndroid, newIphone, register, soon, success, type Phone } from './legacy-support.js';
import { inParallel, withDatabase } from './support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PHONES = 40;
const WIDTH = 16;
const IOS_TOKEN_CHARACTERS = 64;

const outboxRows = statement('test_legacy_outbox', 'SELECT count(*)::int FROM outbox');

/** What a provider is to get of a notice: to whom, and what. */
type Sent = LegacyArrival;

const sorted = (pushes: readonly LegacyArrival[]): string[] =>
  pushes.map(({ token, data }) => `${token} ${data ?? ''}`).sort();

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: LegacyWorld;
  let server: ServerProcess;
  let location: { readonly url: string | null; readonly dataDir: string };

  afterEach(async () => {
    await server.close();
    await world.close();
  });

  async function start(durability: 'spill' | 'journal'): Promise<void> {
    const url = await databaseUrl();
    const delivery = { ...soon.delivery, durability };
    world = await startLegacyWorld({
      config: { ...soon, delivery },
      ...(url === null ? {} : { databaseUrl: url }),
    });
    location = { url, dataDir: join(world.directory, 'data') };
    server = await ServerProcess.start(world.configFile);
  }

  async function registerPhones(side: LegacySide): Promise<Phone[]> {
    const client = await side.client(server);
    const phones = Array.from({ length: PHONES }, (_, index) =>
      (index % 2 === 0 ? newIphone : newAndroid)(side),
    );
    await inParallel(phones, WIDTH, async (phone) => expect(await register(client, phone)).toEqual(success));
    return phones;
  }

  /** One notice for each phone; those that were answered "Success". */
  async function notifyAll(
    side: LegacySide,
    phones: readonly Phone[],
    { rounds = 1, isKilled = (): boolean => false } = {},
  ): Promise<Sent[]> {
    const client = await side.client(server);
    const sent: Sent[] = [];
    const calls = Array.from({ length: rounds }, () => phones).flat();
    await inParallel(calls, WIDTH, async ({ account, token }) => {
      const data = newData();
      const answer = await client.notify(account, data).catch((error: unknown) => {
        if (isKilled()) return null;
        throw error;
      });
      if (answer === null) return;
      expect(answer).toEqual(success);
      sent.push({ token, data });
    });
    return sent;
  }

  /** Apple breaks off every request, Google says that it is away. */
  function switchOff({ apns, fcm }: LegacySide): void {
    apns.answers.standing = { instead: 'reset' };
    fcm.answers.standing = { status: 503, body: { error: { code: 503, status: 'UNAVAILABLE' } } };
  }

  function switchOn({ apns, fcm }: LegacySide): void {
    apns.answers.standing = null;
    fcm.answers.standing = null;
  }

  const waiting = (): Promise<number> => server.metric('waggle_outbox_waiting');

  it('a provider that is away: its pushes wait in the outbox and arrive when it is back, the others go on', async () => {
    await start('spill');
    const { session, bchat } = world;
    const [away, there] = [await registerPhones(bchat), await registerPhones(session)];
    switchOff(bchat);
    const sent = await notifyAll(bchat, away);
    expect(sent).toHaveLength(PHONES);
    const meanwhile = await notifyAll(session, there);
    await eventually(() => session.arrived === PHONES, { what: 'the pushes of the other app' });
    expect(sorted(session.arrivals())).toEqual(sorted(meanwhile));
    await eventually(async () => (await waiting()) === PHONES, { what: 'all pushes in the outbox' });
    expect(bchat.arrived).toBe(0);

    // A stop in the middle of it keeps them.
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await server.restart();
    sent.push(...(await notifyAll(bchat, away)));
    switchOn(bchat);
    await eventually(() => bchat.arrived >= sent.length, { timeoutMs: 20_000, what: 'every push' });
    expect(sorted(bchat.arrivals())).toEqual(sorted(sent));
    await eventually(async () => (await waiting()) === 0, { what: 'an empty outbox' });
    expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
    expect(await server.metric('waggle_legacy_devices{brand="bchat"}')).toBe(PHONES);
  });

  it('with the journal a kill -9 loses nothing that was answered', async () => {
    await start('journal');
    const { session } = world;
    const phones = await registerPhones(session);
    session.apns.answers.standing = { instead: 'reset' };

    // Apple is away, Google takes what it gets, and the end comes in the middle of notices.
    let isKilled = false;
    const killed = eventually(() => session.fcm.accepted > 2 * PHONES, {
      timeoutMs: 20_000,
      everyMs: 1,
    }).then(() => {
      isKilled = true;
      return server.kill('SIGKILL');
    });
    const [sent] = await Promise.all([
      notifyAll(session, phones, { rounds: 20, isKilled: () => isKilled }),
      killed,
    ]);
    const toApple = sent.filter(({ token }) => token.length === IOS_TOKEN_CHARACTERS);
    expect(toApple.length).toBeGreaterThan(PHONES);
    expect(session.apns.accepted).toBe(0);
    // Nothing of it is left to chance: they are in the table.
    const rows = await withDatabase(location, (database) => database.rows(outboxRows));
    expect(numberCell(rows[0], 0)).toBeGreaterThanOrEqual(toApple.length);

    switchOn(session);
    server.launch();
    await server.ready();
    const counts = (): Map<string, number> => {
      const byPush = new Map<string, number>();
      for (const push of sorted(session.arrivals())) byPush.set(push, (byPush.get(push) ?? 0) + 1);
      return byPush;
    };
    const wanted = sorted(sent);
    await eventually(
      () => {
        const arrived = counts();
        return wanted.every((push) => arrived.has(push));
      },
      { timeoutMs: 20_000, everyMs: 50, what: 'everything that was answered' },
    );
    await eventually(async () => (await waiting()) === 0, { what: 'an empty outbox' });
    // Twice comes what was open at the kill; without an answer comes what its client will send again.
    const twice = [...counts()].filter(([, count]) => count > 1);
    console.log(
      `journal of older clients: ${sent.length} answered before the kill, ${twice.length} came twice`,
    );
    expect(Math.max(...counts().values())).toBeLessThanOrEqual(2);
    expect(twice.filter(([push]) => toApple.some(({ token }) => push.startsWith(token)))).toEqual([]);
    expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
  });
}

describe('older clients while providers are away (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('older clients while providers are away', (postgres) =>
  suite(() => postgres().createDatabase()),
);
