import type { AppUnderTest } from '../simulators/app-under-test.js';
import { eventually } from '../simulators/eventually.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import type { ProviderWorld } from '../simulators/provider-world.js';
import { runCommandLine } from '../../src/cli/run.js';
import { startApp } from '../../src/app.js';
import type { Audience } from './audience.js';
import { say, seconds, type Promises } from './output.js';

export interface Scene {
  readonly world: ProviderWorld;
  readonly app: AppUnderTest;
  readonly audience: Audience;
  readonly promises: Promises;
}

const OUTAGE_MESSAGES = 20;
const OUTAGE_MS = 2_000;
const RETRY_AFTER_SECONDS = 2;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const slowest = (took: ReadonlyMap<unknown, number>): string => `${Math.max(...took.values()).toFixed(1)} ms`;

/** A provider that is away: its pushes wait in the outbox, and nobody else's. */
export async function showOutage({ world, app, audience, promises }: Scene): Promise<void> {
  say();
  say(`Huawei is switched off; meanwhile ${OUTAGE_MESSAGES} messages arrive`);
  const huawei = audience.of('huawei');
  const before = huawei.count();
  await world.switchHuaweiOff();
  let longest = 0;
  for (let number = 1; number <= OUTAGE_MESSAGES; number += 1) {
    const sent = audience.send(`while Huawei is away, ${number}`);
    const took = await audience.served(sent, audience.others(huawei));
    longest = Math.max(longest, ...took.values());
    await pause(OUTAGE_MS / OUTAGE_MESSAGES);
  }
  const waiting = (): Promise<number> => app.metric('waggle_outbox_waiting{notifier="huawei"}');
  await eventually(async () => (await waiting()) === OUTAGE_MESSAGES, { what: 'all of them in the outbox' });
  const breaker = await app.metric('waggle_notifier_breaker{notifier="huawei"}');
  promises.expect(huawei.count() === before, `${OUTAGE_MESSAGES} pushes wait in the outbox`);
  promises.expect(breaker > 0, 'after a few attempts only a probe now and then asks whether Huawei is back');
  promises.kept(`all other devices got theirs, none later than ${longest.toFixed(1)} ms`);

  const backAt = performance.now();
  await world.switchHuaweiOn();
  await audience.served({ copies: 0, sentAt: backAt }, [huawei]);
  const took = performance.now() - backAt;
  promises.expect(
    huawei.count() === before + OUTAGE_MESSAGES,
    `Huawei is switched on: ${seconds(took)} later all ${OUTAGE_MESSAGES} have come, each once`,
  );
}

/** A provider that asks to be left alone for some time is. */
export async function showRetryAfter({ world, app, audience, promises }: Scene): Promise<void> {
  say();
  say(`Google answers 429: the quota of the project is exceeded, Retry-After: ${RETRY_AFTER_SECONDS}`);
  const firebase = audience.of('firebase');
  const requestedAt: number[] = [];
  world.fcm.onRequest = () => void requestedAt.push(performance.now());
  const violations = [{ subject: 'project:waggle', description: 'messages per minute' }];
  const details = [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations }];
  const refusal = fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', { details });
  const headers = { ...refusal.headers, 'retry-after': String(RETRY_AFTER_SECONDS) };
  world.fcm.answers.next({ ...refusal, headers });

  const first = audience.send('too much for Google');
  const others = audience.others(firebase);
  await audience.served(first, others);
  const isPaused = (): Promise<number> => app.metric('waggle_notifier_paused{notifier="firebase"}');
  await eventually(async () => (await isPaused()) === 1, { what: 'the pause' });
  for (const number of [1, 2, 3, 4]) audience.send(`and another, ${number}`);
  const last = audience.send('and the last one');
  const took = await audience.served(last, others);
  promises.expect(requestedAt.length === 1, 'five more messages arrive, and Google hears nothing of them');
  promises.kept(`all other devices got them, the last one after ${slowest(took)}`);
  await audience.served(last, [firebase]);
  const [refusedAt = 0, againAt = 0] = requestedAt;
  promises.expect(
    againAt - refusedAt >= RETRY_AFTER_SECONDS * 1000,
    `the next request comes ${((againAt - refusedAt) / 1000).toFixed(3)} s after the refused one, then all six pushes`,
  );
  world.fcm.onRequest = null;
}

/** A device that its provider calls gone, wrongly: it goes, and comes back. */
export async function showUndelete({ world, app, audience, promises }: Scene): Promise<void> {
  say();
  say('Apple calls a device unregistered, by mistake');
  const iphone = audience.of('apns');
  const others = audience.others(iphone);
  world.apns.answers.forToken(iphone.device.token, {
    status: 410,
    body: { reason: 'Unregistered', timestamp: Date.now() },
  });
  await audience.served(audience.send('the iPhone does not get this', others));
  const removed = (): Promise<number> => app.metric('waggle_subscription_changes_total{change="dead-token"}');
  await eventually(async () => (await removed()) === 1, { what: 'the removal' });
  world.apns.answers.forToken(iphone.device.token, null);

  const requests = world.apns.requests;
  await audience.served(audience.send('nor this', others));
  promises.expect(world.apns.requests === requests, 'its subscription is gone: Apple is not asked again');

  const deleted = await waggle(world, app, 'devices', 'deleted');
  promises.expect(deleted === 'apns 1', `waggle devices deleted: ${deleted}`);
  const restored = await waggle(world, app, 'devices', 'undelete', '--service', 'apns');
  promises.expect(
    restored === 'restored 1 subscriptions',
    `waggle devices undelete --service apns: ${restored}`,
  );
  const took = await audience.served(audience.send('welcome back'));
  const { data } = iphone.open(iphone.count() - 1);
  promises.expect(
    data?.toString() === 'welcome back',
    `the next message reaches it after ${(took.get(iphone) ?? 0).toFixed(1)} ms: "${data?.toString() ?? ''}"`,
  );
}

/** A command line against the running server; what it prints. */
async function waggle(world: ProviderWorld, app: AppUnderTest, ...argv: string[]): Promise<string> {
  const lines: string[] = [];
  const { port } = new URL(app.adminAddress);
  const code = await runCommandLine([...argv, '--config', world.configFile, '--admin.port', port], {
    env: {},
    cwd: world.directory,
    print: (line) => lines.push(line),
    complain: (line) => lines.push(line),
    events: process,
    exitNow: (exitCode) => process.exit(exitCode),
    loadApp: () => Promise.resolve(startApp),
  });
  return code === 0 ? lines.join('; ') : `exit ${code}: ${lines.join('; ')}`;
}
