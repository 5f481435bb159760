import { fork } from 'node:child_process';
import { encodeMonitorEntry } from '../src/subscription-index/monitor-entry.js';
import type { AccountId, EncryptionKey, ServiceId, ServiceName } from '../src/domain/ids.js';
import { SessionAccount, SessionDevice } from '../test/simulators/session-client.js';
import { nowInSeconds } from '../test/simulators/world.js';
import { cpuMicros, sleep, until } from './process.js';
import { BenchServer } from './server.js';
import type { BareSetup } from './bare-loop.js';
import { BenchWorld, type BenchDevice, type LoadResult } from './world.js';

const DEVICES = 2000;

interface Subscriber {
  readonly device: BareSetup['devices'][number];
  readonly request: Record<string, unknown>;
}

/** iPhones with real signatures: the server checks them. */
export function makeSubscribers(count: number): Subscriber[] {
  return Array.from({ length: count }, () => {
    const account = SessionAccount.user();
    const phone = new SessionDevice('ios');
    const request = phone.subscription(account, nowInSeconds(), { namespaces: [0] });
    const entry = encodeMonitorEntry({
      account: account.id as AccountId,
      service: 'apns' as ServiceName,
      serviceId: phone.token as ServiceId,
      serviceData: null,
      namespaces: [0],
      wantData: true,
      encryptionKey: phone.encryptionKey as EncryptionKey,
      authorisation: {
        ed25519Key: account.key.publicKey,
        subaccount: null,
        signature: Buffer.from(request['signature'] as string, 'base64'),
        signedAtSeconds: request['sig_ts'] as number,
      },
    });
    return {
      request,
      device: {
        account: account.hex,
        token: phone.token,
        monitorEntry: entry.toString('hex'),
        encryptionKey: phone.encryptionKey.toString('hex'),
      },
    };
  });
}

export async function subscribeAll(
  server: BenchServer,
  requests: readonly Record<string, unknown>[],
): Promise<void> {
  for (let at = 0; at < requests.length; at += 100) {
    const body = JSON.stringify(requests.slice(at, at + 100));
    const answer = await fetch(`${server.http}/subscribe`, { method: 'POST', body });
    const results = (await answer.json()) as { success?: boolean }[];
    if (!results.every(({ success }) => success === true)) throw new Error('a subscribe was refused');
  }
}

interface Measured extends LoadResult {
  readonly cpuPerPush: number;
}

async function measure(
  world: BenchWorld,
  pid: number,
  devices: readonly BenchDevice[],
  load: { messages: number; perSecond: number; copies: number; bytes: number },
): Promise<Measured> {
  await world.run({ devices, ...load, messages: Math.min(load.messages, 2000) });
  await sleep(300);
  const before = cpuMicros(pid);
  const result = await world.run({ devices, ...load });
  const cpu = cpuMicros(pid) - before;
  return { ...result, cpuPerPush: cpu / Math.max(1, result.delivered) };
}

/** CPU per push of the server and of the bare loop, in turn, under the same load of the same world. */
export async function benchDelivery(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const subscribers = makeSubscribers(DEVICES);
  const devices = subscribers.map(({ device }) => device);
  const targets = devices.map(({ account, token }) => ({ account, token }));
  const cases = [200, 1000, 2400].flatMap((bytes) => [1, 5].map((copies) => ({ bytes, copies })));
  const results = new Map<string, Measured>();
  const run = async (who: 'server' | 'bare', world: BenchWorld, pid: number): Promise<void> => {
    for (const { bytes, copies } of cases) {
      const measured = await measure(world, pid, targets, { messages: 6000, perSecond: 1000, copies, bytes });
      results.set(`${who} ${bytes} ${copies}`, measured);
    }
  };

  {
    const world = await BenchWorld.start();
    const bare = fork(new URL('./bare-loop.ts', import.meta.url), [], { execArgv: ['--import', 'tsx'] });
    const ready = new Promise((resolve) => bare.once('message', resolve));
    bare.send({ facts: world.facts, devices } satisfies BareSetup);
    await ready;
    await until(async () => (await world.ask('registered')) >= DEVICES * 5, 30_000);
    await run('bare', world, bare.pid ?? 0);
    bare.kill();
    world.stop();
  }
  const world = await BenchWorld.start();
  const server = await BenchServer.start(world.facts, databaseUrl);
  await subscribeAll(
    server,
    subscribers.map(({ request }) => request),
  );
  await until(async () => (await world.ask('registered')) >= DEVICES * 5, 30_000);
  await run('server', world, server.pid);

  say(
    `CPU per delivered push of the whole process, µs (1,000 messages/s, 6,000 messages, ${DEVICES} devices):`,
  );
  say('| message | copies | server | bare loop | ratio | delivered |');
  say('|---|---|---|---|---|---|');
  for (const { bytes, copies } of cases) {
    const mine = results.get(`server ${bytes} ${copies}`);
    const bare = results.get(`bare ${bytes} ${copies}`);
    if (mine === undefined || bare === undefined) continue;
    const ratio = (mine.cpuPerPush / bare.cpuPerPush).toFixed(2);
    say(
      `| ${bytes} B | ${copies} | ${mine.cpuPerPush.toFixed(0)} | ${bare.cpuPerPush.toFixed(0)} | ${ratio} | ${mine.delivered}/6000 |`,
    );
  }
  const one = results.get('server 1000 1');
  const five = results.get('server 1000 5');
  if (one !== undefined && five !== undefined) {
    say('');
    say(`Five copies cost ${(five.cpuPerPush / one.cpuPerPush).toFixed(2)} times the CPU of one (1,000 B).`);
  }

  say('');
  say('Burst: 20,000 frames of different messages at once from 20 nodes (1,000 B):');
  const burst = await world.run({ devices: targets, messages: 20_000, perSecond: 0, copies: 1, bytes: 1000 });
  say(
    `delivered ${burst.delivered}/20000, frames handed to ZeroMQ ${burst.told} within ${burst.sentForMs.toFixed(0)} ms, ` +
      `all at the provider after ${burst.tookMs.toFixed(0)} ms`,
  );
  await server.stop();
  world.stop();
}
