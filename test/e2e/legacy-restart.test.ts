import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { numberCell, statement } from '../../src/store/statement.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import {
  newAndroidToken,
  newData,
  startLegacyWorld,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newAndroid, newIphone, pushesMade, register, success, type Phone } from './legacy-support.js';
import { inParallel, pause, withDatabase } from './support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const WIDTH = 32;

const livingDevices = statement(
  'test_legacy_living',
  'SELECT count(*)::int FROM legacy_devices WHERE removed_at_ms IS NULL',
);
const memberships = statement('test_legacy_members', 'SELECT count(*)::int FROM legacy_members');

/** What changes, of accounts that nobody else uses. */
interface Case {
  readonly stays: Phone;
  /** Unregistered: the last token of its account. */
  readonly gone: Phone;
  /** Of another account now. */
  readonly moved: { readonly token: string; readonly from: string; readonly to: string };
  /** Its last member left. */
  readonly leftGroup: string;
  readonly leaver: Phone;
  readonly joinedGroup: string;
}

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: LegacyWorld;
  let server: ServerProcess;
  let location: { readonly url: string | null; readonly dataDir: string };

  beforeAll(async () => {
    const url = await databaseUrl();
    world = await startLegacyWorld(url === null ? {} : { databaseUrl: url });
    location = { url, dataDir: join(world.directory, 'data') };
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  const rows = (of: typeof livingDevices): Promise<number> =>
    withDatabase(location, async (database) => numberCell((await database.rows(of))[0], 0));

  const ok = async (answer: Promise<unknown>): Promise<void> => expect(await answer).toEqual(success);

  /** What is there before: the table has it for long when it goes. */
  async function prepare(side: LegacySide): Promise<readonly Case[]> {
    const client = await side.client(server);
    const cases = Array.from({ length: 8 }, (_, index): Case => {
      const make = index % 2 === 0 ? newIphone : newAndroid;
      return {
        stays: make(side),
        gone: make(side),
        moved: { token: newAndroidToken(), from: side.newId(), to: side.newId() },
        leftGroup: side.newId(),
        leaver: make(side),
        joinedGroup: side.newId(),
      };
    });
    await Promise.all(
      cases.map(async ({ gone, moved, leftGroup, leaver }) => {
        await Promise.all([gone, leaver].map((phone) => ok(register(client, phone))));
        await ok(client.register(moved.token, moved.from, 'android'));
        await ok(client.subscribeGroup(leftGroup, leaver.account));
      }),
    );
    return cases;
  }

  async function change(side: LegacySide, cases: readonly Case[]): Promise<void> {
    const client = await side.client(server);
    await Promise.all(
      cases.flatMap(({ stays, gone, moved, leftGroup, leaver, joinedGroup }) => [
        ok(register(client, stays)),
        ok(client.unregister(gone.token)),
        ok(client.register(moved.token, moved.to, 'android')),
        ok(client.unsubscribeGroup(leftGroup, leaver.account)),
        ok(client.subscribeGroup(joinedGroup, stays.account)),
      ]),
    );
  }

  async function check(side: LegacySide, cases: readonly Case[]): Promise<void> {
    const client = await side.client(server);
    const before = { arrived: side.arrived, made: await pushesMade(server, side) };
    const sent = new Map<string, string[]>();
    await Promise.all(
      cases.map(async ({ stays, gone, moved, leftGroup, joinedGroup }) => {
        for (const nobody of [gone.account, moved.from, leftGroup])
          await ok(client.notify(nobody, newData()));
        for (const [id, token] of [
          [stays.account, stays.token],
          [joinedGroup, stays.token],
          [moved.to, moved.token],
        ] as const) {
          const data = newData();
          await ok(client.notify(id, data));
          sent.set(token, [...(sent.get(token) ?? []), data]);
        }
        expect(await client.unregister(gone.token)).toMatchObject({ status: 200, body: { code: 0 } });
      }),
    );
    const wanted = 3 * cases.length;
    expect((await pushesMade(server, side)) - before.made).toBe(wanted);
    await eventually(() => side.arrived - before.arrived >= wanted);
    for (const [token, data] of sent) expect(side.received(token).sort()).toEqual(data.sort());
  }

  it('nothing of what was answered is undone by a stop or a kill right after the answers', async () => {
    const prepared = await Promise.all(
      world.sides.map(async (side) => ({ side, rounds: [await prepare(side), await prepare(side)] })),
    );
    // The second round is of what the server has read from the table: the last changes are all there is to lose.
    for (const [round, signal] of (['SIGTERM', 'SIGKILL'] as const).entries()) {
      await Promise.all(prepared.map(({ side, rounds }) => change(side, rounds[round] ?? [])));
      const exit = await server.kill(signal);
      expect(exit).toEqual(signal === 'SIGKILL' ? { code: null, signal } : { code: 0, signal: null });
      await server.restart();
      await Promise.all(prepared.map(({ side, rounds }) => check(side, rounds[round] ?? [])));
    }
  });

  it('a kill -9 in the middle of changes leaves what was answered, and memory equals the table', async () => {
    const side = world.session;
    const group = side.newId();
    const before = [
      await server.metric('waggle_legacy_devices'),
      await server.metric('waggle_legacy_memberships'),
    ];
    let client = await side.client(server);
    const members: Phone[] = [];
    const left: Phone[] = [];
    /** Nobody has told their phones. */
    let unanswered = 0;
    const killed = pause(200 + Math.random() * 200).then(() => server.kill('SIGKILL'));
    const changing = inParallel(
      Array.from({ length: 2000 }, () => newAndroid(side)),
      WIDTH,
      async (phone, index) => {
        if (!server.isRunning) return;
        const done = async (answer: Promise<unknown>): Promise<boolean> => {
          const said = await answer.catch(() => null);
          if (said === null) unanswered += 1;
          else expect(said).toEqual(success);
          return said !== null;
        };
        const { token, account } = phone;
        if (!(await done(client.registerGroupsOnly(token, account, 'android', [group])))) return;
        if (index % 3 > 0) members.push(phone);
        else if (await done(client.unregister(token))) left.push(phone);
      },
    );
    await Promise.all([killed, changing]);
    expect(members.length).toBeGreaterThan(0);

    const inTable = [await rows(livingDevices), await rows(memberships)];
    server.launch();
    await server.ready();
    client = await side.client(server);
    const inMemory = [
      await server.metric('waggle_legacy_devices'),
      await server.metric('waggle_legacy_memberships'),
    ];
    expect(inMemory).toEqual(inTable);
    const answered = members.length;
    expect(inMemory[0]).toBeGreaterThanOrEqual((before[0] ?? 0) + answered);
    expect(inMemory[0]).toBeLessThanOrEqual((before[0] ?? 0) + answered + unanswered);
    // Members stay such when their phone goes.
    expect(inMemory[1]).toBeGreaterThanOrEqual((before[1] ?? 0) + answered + left.length);

    const data = newData();
    expect(await client.notify(group, data)).toEqual(success);
    const made = await pushesMade(server, side);
    expect(made).toBeGreaterThanOrEqual(answered);
    const reached = (): Map<string, number> => {
      const counts = new Map<string, number>();
      for (const push of side.arrivals())
        if (push.data === data) counts.set(push.token, (counts.get(push.token) ?? 0) + 1);
      return counts;
    };
    await eventually(() => reached().size >= made);
    const counts = reached();
    expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
    expect(members.filter(({ token }) => !counts.has(token))).toEqual([]);
    expect(left.filter(({ token }) => counts.has(token))).toEqual([]);
  });
}

describe('older clients and the end of the server (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('older clients and the end of the server', (postgres) =>
  suite(() => postgres().createDatabase()),
);
