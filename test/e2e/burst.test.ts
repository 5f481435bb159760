import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { encodeMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import { insertSubscriptions, insertedAccount, untilRegistered } from './support.js';

const DEVICES = 2000;
const FRAMES = 20_000;
const MEBIBYTE = 1024 * 1024;
const RESIDENT_MAX_BYTES = 600 * MEBIBYTE;
/** The embedded database lives in the same process. */
const EMBEDDED_RESIDENT_MAX_BYTES = 900 * MEBIBYTE;

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: World | undefined;
  let server: ServerProcess | undefined;

  afterEach(async () => {
    await server?.close();
    await world?.close();
  });

  it(`delivers every one of ${FRAMES} messages that 20 nodes send within a moment, exactly once`, async () => {
    const url = await databaseUrl();
    const around = await startWorld({
      record: false,
      ...(url !== null && { databaseUrl: url }),
      config: { outbox: { pollIntervalMs: 200 } },
    });
    world = around;
    await insertSubscriptions({ url, dataDir: join(around.directory, 'data') }, DEVICES);
    const running = await ServerProcess.start(around.configFile);
    server = running;
    const accounts = Array.from({ length: DEVICES }, (_, index) => insertedAccount(index));
    await untilRegistered(around.network, accounts);

    /** Named after message and device: the same for every attempt of one push. */
    const pushes = new Map<string, number>();
    around.apns.onAccepted = ({ headers }) => {
      const id = String(headers['apns-id']);
      pushes.set(id, (pushes.get(id) ?? 0) + 1);
    };
    const data = randomBytes(1000);
    const nodesOf = accounts.map((account) => around.network.swarmNodesOf(account));
    const frames = Array.from({ length: FRAMES }, (_, index) => {
      const of = index % DEVICES;
      const nodes = nodesOf[of] ?? [];
      const message = encodeMessage(makeMessage(accounts[of] ?? Buffer.alloc(33), data));
      return { node: nodes[Math.floor(index / DEVICES) % nodes.length], message };
    });

    const resting = await running.residentBytes();
    let largest = 0;
    let told = 0;
    for (const { node, message } of frames) told += node?.storeEncoded(message) ?? 0;
    expect(told).toBe(FRAMES);
    await eventually(
      async () => {
        largest = Math.max(largest, await running.residentBytes());
        return pushes.size >= FRAMES;
      },
      { timeoutMs: 40_000, everyMs: 50, what: `${FRAMES} pushes` },
    );
    await eventually(async () => (await running.metric('waggle_pushes_delivered_total')) === FRAMES);
    expect([...pushes.values()].filter((times) => times !== 1)).toEqual([]);
    expect(pushes.size).toBe(FRAMES);
    expect(await running.metric('waggle_frames_received_total')).toBe(FRAMES);
    expect(await running.metric('waggle_pushes_lost_total')).toBe(0);
    expect(largest).toBeLessThan(url === null ? EMBEDDED_RESIDENT_MAX_BYTES : RESIDENT_MAX_BYTES);
    expect(largest - resting).toBeLessThan(400 * MEBIBYTE);
    expect(around.network.nodes.map(({ listener }) => listener.sendFailures)).toEqual(
      around.network.nodes.map(() => 0),
    );
  });
}

describe('a burst (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('a burst', (postgres) => suite(() => postgres().createDatabase()));
