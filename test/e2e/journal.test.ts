import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { uuidOf } from '../../src/notifiers/apns/apns-notifier.js';
import { migrate } from '../../src/store/migrate.js';
import { bytesCell, numberCell, statement, textCell } from '../../src/store/statement.js';
import { createAuthority, createTokenKey, type TestCertificate } from '../simulators/certificates.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { Http2StandIn } from '../simulators/providers/http2-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import { decodePush } from '../simulators/session-push.js';
import { encodeMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage, startWorld, TOPIC, type World } from '../simulators/world.js';
import {
  added,
  inParallel,
  newSubscribers,
  pause,
  subscribe,
  untilRegistered,
  withDatabase,
  type Subscriber,
} from './support.js';

const DEVICES = 50;
const PUSHES = 10_000;
const KILLS = 4;
/** Requests that the server may have open at the provider. */
const WINDOW = 200;
const ANSWER_AFTER_MS = 60;
/** Rows that one statement deletes: one batch is on its way while the next gathers. */
const BATCH_ROWS = 200;
const OPEN_MAX = WINDOW + 2 * BATCH_ROWS;

/** Made beside the server: every push that was ever committed, in the very transaction that committed it. */
const LEDGER = `
  CREATE TABLE test_ledger (dedupe_key bytea NOT NULL);
  CREATE FUNCTION test_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO test_ledger SELECT dedupe_key FROM inserted; RETURN NULL; END $$;
  CREATE TRIGGER test_ledger AFTER INSERT ON outbox REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION test_ledger();`;

const ledgerRows = statement('test_ledger_rows', 'SELECT DISTINCT dedupe_key FROM test_ledger');
const waitingRows = statement('test_waiting_rows', 'SELECT dedupe_key, svcid, payload FROM outbox');
/** A statement that the killed process had sent may still be at work. */
const otherSessions = statement(
  'test_other_sessions',
  `SELECT count(*)::int FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
);

/** One message for one device, as the device knows it. */
type PushName = string;
const nameOf = (token: string, hash: string): PushName => `${token} ${hash}`;

/** Answers every request a little later, so that the window is always full; keeps the names of what has arrived. */
class SlowApple {
  /** The `apns-id` of each time that it arrived. */
  readonly arrivals = new Map<PushName, string[]>();
  total = 0;
  standIn: Http2StandIn<null> | null = null;

  constructor(private readonly keyOfToken: (token: string) => Buffer) {}

  async start(certificate: TestCertificate): Promise<string> {
    this.standIn = await Http2StandIn.start<null>(
      { certificate },
      {
        judge: (headers, body) => {
          const token = String(headers[':path']).replace('/3/device/', '');
          const { enc_payload } = JSON.parse(body.toString()) as { readonly enc_payload: string };
          const name = nameOf(token, decodePush(enc_payload, this.keyOfToken(token)).hash);
          const ids = this.arrivals.get(name);
          if (ids === undefined) this.arrivals.set(name, [String(headers['apns-id'])]);
          else ids.push(String(headers['apns-id']));
          this.total += 1;
          return { ok: true, token, push: null };
        },
        success: (headers) => ({ headers: { 'apns-id': String(headers['apns-id']) }, body: '' }),
      },
    );
    this.standIn.answers.standing = { delayMs: ANSWER_AFTER_MS };
    return this.standIn.endpoint;
  }
}

/** What is known when a killed server has let go of everything. */
interface Aftermath {
  /** `apns-id` of every push that any server so far has committed. */
  readonly committed: ReadonlySet<string>;
  /** What waits in the outbox, and its `apns-id`. */
  readonly waiting: ReadonlyMap<PushName, string>;
}

/** The same numbers for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describeWithPostgres('the journal and kill -9', (postgres) => {
  let world: World | undefined;
  let server: ServerProcess | undefined;
  let apple: SlowApple | undefined;

  afterEach(async () => {
    await server?.close();
    await apple?.standIn?.close();
    await world?.close();
  });

  it(
    `loses none of ${PUSHES} pushes, whenever it is killed in their middle, and repeats only what was open`,
    { timeout: 120_000 },
    async () => {
      const seed = Number(process.env.WAGGLE_TEST_SEED ?? randomInt(2 ** 31));
      console.log(`journal: WAGGLE_TEST_SEED=${seed}`);
      const random = seeded(seed);

      const subscribers = newSubscribers(DEVICES);
      const byToken = new Map(subscribers.map((one) => [one.phone.token, one]));
      const keyOfToken = (token: string): Buffer => {
        const one = byToken.get(token);
        if (one === undefined) throw new Error('a push to nobody');
        return one.phone.encryptionKey;
      };
      const provider = new SlowApple(keyOfToken);
      apple = provider;
      const authority = createAuthority();
      const tokenKey = createTokenKey();
      const endpoint = await provider.start(authority.issueServer());
      const url = await postgres().createDatabase();
      const around = await startWorld({
        databaseUrl: url,
        config: {
          delivery: { durability: 'journal' },
          outbox: { pollIntervalMs: 200, batchRows: BATCH_ROWS },
          notifiers: {
            apns: {
              type: 'apns',
              topic: TOPIC,
              keyFile: 'slow-apple.p8',
              keyId: tokenKey.keyId,
              teamId: tokenKey.teamId,
              endpoint,
              caFile: 'slow-apple.pem',
              connections: 1,
              maxInFlight: WINDOW,
            },
          },
        },
      });
      world = around;
      await writeFile(join(around.directory, 'slow-apple.pem'), authority.certPem);
      await writeFile(join(around.directory, 'slow-apple.p8'), tokenKey.p8Pem, { mode: 0o600 });
      const location = { url, dataDir: '' };
      await withDatabase(location, async (database) => {
        await migrate(database);
        await database.transaction((transaction) => transaction.script(LEDGER));
      });

      const running = await ServerProcess.start(around.configFile);
      server = running;
      await inParallel(subscribers, 16, async (one) =>
        expect(await subscribe(running.httpAddress, one)).toEqual(added),
      );
      await untilRegistered(
        around.network,
        subscribers.map(({ account }) => account.id),
      );

      const messages = new Map<PushName, { readonly to: Subscriber; readonly hash: string }>();
      const encoded = new Map<PushName, ReturnType<typeof encodeMessage>>();
      for (let index = 0; index < PUSHES; index += 1) {
        const to = subscribers[index % DEVICES];
        if (to === undefined) throw new Error('there are fifty');
        const message = makeMessage(to.account, `message ${index}`);
        const name = nameOf(to.phone.token, message.hash);
        messages.set(name, { to, hash: message.hash });
        encoded.set(name, encodeMessage(message));
      }

      /** In pieces, for the provider answers meanwhile. Ends early when the server is gone. */
      const tell = async (names: readonly PushName[], round: number): Promise<void> => {
        for (const [index, name] of names.entries()) {
          const message = messages.get(name);
          const content = encoded.get(name);
          if (message === undefined || content === undefined) throw new Error('a message of nobody');
          const nodes = around.network.swarmNodesOf(message.to.account.id);
          nodes[round % nodes.length]?.storeEncoded(content);
          if (index % 100 === 99) await pause(1);
          if (!running.isRunning) return;
        }
      };

      const aftermath = async (): Promise<Aftermath> => {
        await eventually(() => provider.standIn?.openSessions === 0, { what: 'the end of its connections' });
        return withDatabase(location, async (database) => {
          await eventually(async () => numberCell((await database.rows(otherSessions))[0], 0) === 0, {
            what: 'the end of its statements',
          });
          const committed = (await database.rows(ledgerRows)).map((row) => uuidOf(bytesCell(row, 0)));
          const waiting = (await database.rows(waitingRows)).map((row): [PushName, string] => {
            const token = textCell(row, 1);
            const { hash } = decodePush(bytesCell(row, 2).toString('base64'), keyOfToken(token));
            return [nameOf(token, hash), uuidOf(bytesCell(row, 0))];
          });
          expect(new Set(waiting.map(([name]) => name)).size).toBe(waiting.length);
          return { committed: new Set(committed), waiting: new Map(waiting) };
        });
      };

      const everWaited = new Map<PushName, string>();
      /** Arrived, and in the outbox all the same when the server was killed: these may come a second time. */
      const open = new Map<PushName, number>();
      let round = 0;
      let missing: PushName[] = [...messages.keys()];
      for (; round < KILLS; round += 1) {
        const arrivedBefore = provider.total;
        const killAfter = 500 + random(1500);
        const killDelayMs = random(ANSWER_AFTER_MS);
        const killed = eventually(() => provider.total >= arrivedBefore + killAfter, {
          timeoutMs: 30_000,
          everyMs: 1,
          what: `${killAfter} pushes in round ${round}`,
        })
          .then(() => pause(killDelayMs))
          .then(() => running.kill('SIGKILL'));
        await Promise.all([killed, tell(missing, round)]);

        const { committed, waiting } = await aftermath();
        const arrivedIds = new Set([...provider.arrivals.values()].flat());
        const waitingIds = new Set(waiting.values());
        expect([...committed].filter((id) => !waitingIds.has(id) && !arrivedIds.has(id))).toEqual([]);
        // Nothing is sent before it is committed.
        expect([...arrivedIds].filter((id) => !committed.has(id))).toEqual([]);
        const openNow = [...waiting.keys()].filter((name) => provider.arrivals.has(name));
        for (const name of openNow) open.set(name, (open.get(name) ?? 0) + 1);
        for (const [name, id] of waiting) everWaited.set(name, id);
        missing = [...messages.keys()].filter((name) => !waiting.has(name) && !provider.arrivals.has(name));
        console.log(
          `journal: killed after ${killAfter} + ${killDelayMs} ms: ${provider.arrivals.size} arrived, ` +
            `${waiting.size} wait, ${openNow.length} of them had arrived, ${missing.length} were never taken`,
        );

        const registeredBefore = around.network.nodes.map(({ accepted }) => accepted);
        await running.restart();
        await eventually(
          () =>
            around.network.nodes.every(
              (node, index) =>
                node.accepted - (registeredBefore[index] ?? 0) >=
                subscribers.filter(({ account }) => around.network.swarmNodesOf(account.id).includes(node))
                  .length,
            ),
          { timeoutMs: 20_000, what: 'registration of the next server' },
        );
      }
      await tell(missing, round);

      await eventually(() => provider.arrivals.size >= PUSHES, { timeoutMs: 40_000, what: 'every push' });
      await eventually(async () => (await running.metric('waggle_outbox_waiting')) === 0, {
        timeoutMs: 20_000,
        what: 'an empty outbox',
      });
      expect([...messages.keys()].filter((name) => !provider.arrivals.has(name))).toEqual([]);
      expect(provider.arrivals.size).toBe(PUSHES);
      expect([...everWaited].filter(([name, id]) => provider.arrivals.get(name)?.[0] !== id)).toEqual([]);
      expect(await running.metric('waggle_pushes_lost_total')).toBe(0);

      expect(await running.metric('waggle_notifier_window{notifier="apns"}')).toBe(WINDOW);
      const repeated = [...provider.arrivals].filter(([, ids]) => ids.length > 1);
      console.log(`journal: ${repeated.length} of ${PUSHES} arrived more than once`);
      expect(repeated.filter(([, ids]) => new Set(ids).size > 1)).toEqual([]);
      expect(repeated.filter(([name, ids]) => ids.length - 1 > (open.get(name) ?? 0))).toEqual([]);
      expect(provider.total - PUSHES).toBeLessThanOrEqual(KILLS * OPEN_MAX);
    },
  );
});
