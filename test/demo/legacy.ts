import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApp } from '../../src/app.js';
import { runCommandLine } from '../../src/cli/run.js';
import { eventually } from '../simulators/eventually.js';
import type { LegacyAnswer } from '../simulators/legacy-client.js';
import { ServerProcess } from '../simulators/server-process.js';
import { v1Database } from '../simulators/v1-database.js';
import { connect, newId, newToken, Phone, seal, type PhoneApp } from './legacy-phones.js';
import { startOperatorWorld, type OperatorWorld } from './operator-world.js';
import { milliseconds, say, seconds, type Promises, type StayIfAsked } from './output.js';

/** More than the original's library took in one call: it lost them all. */
const OLD_GROUP_MEMBERS = 600;
const OUTAGE_MESSAGES = 20;
/** Shown when something fails. */
const LOG_LINES = 12;

interface Scene {
  readonly world: OperatorWorld;
  readonly server: ServerProcess;
  readonly promises: Promises;
  /** All whose pushes are counted at the end. */
  readonly phones: Phone[];
  /** Those of the old server's file, who do nothing. */
  readonly old: { readonly iphone: Phone; readonly group: string; readonly members: readonly Phone[] };
}

/**
 * Older clients on simulated peers: what an old SPNS v1 has stored is imported, the real server runs as a process of its
 * own on the embedded database, and phones of Session and Bchat come by onion requests as they always did. Apple goes
 * away meanwhile, and the server is ended twice. Loopback only.
 */
export async function runLegacyScenario(promises: Promises, stayIfAsked: StayIfAsked): Promise<void> {
  const world = await startOperatorWorld();
  let server: ServerProcess | null = null;
  try {
    const old = await takeOver(world, promises);
    const startedAt = performance.now();
    server = await ServerProcess.start(world.configFile);
    say();
    say(
      `The server starts, with the old servers' keys (${milliseconds(startedAt)}); older clients notice nothing`,
    );
    const scene: Scene = { world, server, promises, phones: [old.iphone, ...old.members], old };
    await showOldClients(scene);
    const { iphone, android } = await showPhones(scene);
    await showOutage(scene, iphone, android);
    await showUnregister(scene);
    await showStatistics(scene);
    conclude(scene);
    await stayIfAsked(`curl ${server.adminAddress}/stats`);
  } catch (error) {
    const lines = server?.output().trimEnd().split('\n') ?? [];
    if (lines.length > 0) say('  the end of the log:');
    for (const line of lines.slice(-LOG_LINES)) say(`    ${line}`);
    throw error;
  } finally {
    await server?.close();
    await world.close();
  }
}

/** What the old server has in its file. */
async function takeOver(world: OperatorWorld, promises: Promises): Promise<Scene['old']> {
  say(`An operator of SPNS v1 moves: its file has an iPhone, and a group of ${OLD_GROUP_MEMBERS} Androids`);
  const iphone = new Phone(world, 'old iPhone', 'session', 'apple');
  const group = newId('session');
  const members = Array.from(
    { length: OLD_GROUP_MEMBERS },
    (_, number) => new Phone(world, `old Android ${number + 1}`, 'session', 'google'),
  );
  const yesterday = Math.floor(Date.now() / 86_400_000 - 1) * 86_400;
  const file = join(world.directory, 'old', 'session_pn_server.db');
  const rows = await v1Database({
    devices: [
      // Its token was another account's before: the original has both rows.
      [newId('session'), iphone.token, null, 0],
      [iphone.account, iphone.token, null, 0],
      ...members.map(({ account, token }) => [account, token, 'android', 0] as const),
      [newId('session'), newToken('google'), 'unknown', 0],
    ],
    members: members.map(({ account }) => [group, account] as const),
    periods: [[yesterday, yesterday + 86_399, 700, 4000, 5000, 900, 100, 4000]],
  });
  await writeFile(file, rows);
  const dry = await waggle(world, 'import', 'v1', '--dry-run', file);
  promises.expect(dry.code === 0, 'waggle import v1 --dry-run session_pn_server.db');
  for (const line of dry.lines) say(`      ${line}`);
  const began = performance.now();
  const done = await waggle(world, 'import', 'v1', file);
  promises.expect(
    done.lines.some((line) => line.startsWith(`devices: added ${OLD_GROUP_MEMBERS + 1},`)),
    `waggle import v1 session_pn_server.db, in ${seconds(performance.now() - began)} with the making of the database`,
  );
  return { iphone, group, members };
}

/** Phones that have done nothing. */
async function showOldClients(scene: Scene): Promise<void> {
  const { promises, old } = scene;
  const sentAt = performance.now();
  await notify(scene, 'session', old.iphone.account, 'after the move', [old.iphone]);
  promises.kept(`the old iPhone has its first push after ${milliseconds(sentAt)}: ${old.iphone.screen()}`);
  const groupAt = performance.now();
  await notify(scene, 'session', old.group, 'to all of us', old.members);
  promises.kept(
    `one notify to the old group: ${old.members.length} pushes in ${milliseconds(groupAt)}; the original lost all beyond 500 at once`,
  );
}

/** One phone of each kind registers, and gets what is for it. */
async function showPhones(scene: Scene): Promise<{ iphone: Phone; android: Phone }> {
  const { world, server, promises } = scene;
  say();
  say('New phones register, each as its app does it');
  const iphone = new Phone(world, 'Session iPhone', 'session', 'apple');
  const android = new Phone(world, 'Session Android', 'session', 'google');
  const huawei = new Phone(world, 'Session Huawei', 'session', 'huawei');
  const bchat = new Phone(world, 'Bchat Android', 'bchat', 'google');
  const [group, bchatGroup] = [newId('session'), newId('bchat')];
  scene.phones.push(iphone, android, huawei, bchat);
  const at = server.httpAddress;
  const ios = connect(world, at, 'session', { platform: 'ios' });
  const v4 = connect(world, at, 'session', { version: 'v4' });
  const v2 = connect(world, at, 'session');
  const beldex = connect(world, at, 'bchat');

  const expect = (phone: Phone, way: string, ...answers: readonly LegacyAnswer[]): void =>
    promises.expect(
      answers.every(({ status, body }) => status === 200 && body.code === 1 && body.message === 'Success'),
      `${phone.name.padEnd(16)} ${way.padEnd(34)} ${JSON.stringify(answers.at(-1))}`,
    );
  expect(
    iphone,
    'v2, register, a group',
    await ios.register(iphone.token, iphone.account),
    await ios.subscribeGroup(group, iphone.account),
  );
  expect(
    android,
    'v4 xchacha20, register, a group',
    await v4.register(android.token, android.account, 'android'),
    await v4.subscribeGroup(group, android.account),
  );
  expect(
    huawei,
    'v2, for groups only',
    await v2.registerGroupsOnly(huawei.token, huawei.account, 'huawei', [group]),
  );
  expect(
    bchat,
    'v2 of Beldex, for groups only',
    await beldex.registerGroupsOnly(bchat.token, bchat.account, 'android', [bchatGroup]),
  );

  say();
  say("Senders call notify; what the provider got is the original's JSON, and the phone shows");
  const show = (phones: readonly Phone[]): void => {
    for (const phone of phones) say(`  ${phone.name.padEnd(16)} ${phone.screen()}`);
  };
  await notify(scene, 'session', iphone.account, 'hello iPhone', [iphone]);
  await notify(scene, 'session', android.account, 'hello Android', [android]);
  await notify(scene, 'bchat', bchat.account, 'hello Bchat', [bchat]);
  show([iphone, android, bchat]);
  await notify(scene, 'session', group, 'hello group', [iphone, android, huawei]);
  show([huawei]);
  await notify(scene, 'session', huawei.account, 'hello Huawei', []);
  const poison = await v2.call('notify', { send_to: android.account, data: 17 });
  await notify(scene, 'session', android.account, 'and the next one', [android]);
  promises.expect(
    huawei.fault() === null && bchat.fault() === null,
    "for groups only: Session's Huawei gets none of its own, Bchat's Android gets them, as ever",
  );
  promises.expect(
    poison.status === 400 && poison.body.code === 0,
    `a number as data is refused (${JSON.stringify(poison)}) and harms nobody; the original lost up to 300 messages`,
  );
  const stranger = await connect(world, at, 'bchat').notify(iphone.account, seal('hello?'));
  promises.expect(stranger.body.code === 1, "one app's ids mean nothing to the other: nobody is woken");
  return { iphone, android };
}

/** Apple is away, and the server is stopped and started meanwhile. */
async function showOutage(scene: Scene, iphone: Phone, android: Phone): Promise<void> {
  const { world, server, promises } = scene;
  say();
  say(`Apple is switched off; ${OUTAGE_MESSAGES} messages for the iPhone, as many for the Android`);
  await world.switchAppleOff();
  const before = iphone.due.length;
  let longestMs = 0;
  for (let number = 1; number <= OUTAGE_MESSAGES; number += 1) {
    const sentAt = performance.now();
    await notify(scene, 'session', android.account, `to Android while Apple is away, ${number}`, [android]);
    longestMs = Math.max(longestMs, performance.now() - sentAt);
    const text = `while Apple is away, ${number}`;
    await call(scene, 'session', iphone.account, text);
    iphone.due.push(text);
  }
  promises.kept(`the Android got all of its own, none later than ${longestMs.toFixed(1)} ms`);
  const waiting = (): Promise<number> => server.metric('waggle_outbox_waiting{notifier="apns"}');
  await eventually(async () => (await waiting()) === OUTAGE_MESSAGES, { what: 'all of them in the outbox' });
  promises.expect(iphone.arrived().length === before, `${OUTAGE_MESSAGES} pushes wait in the outbox`);

  const { code } = await server.kill('SIGTERM');
  await server.restart();
  promises.expect(
    code === 0,
    'SIGTERM ends the server, and it is started again; the original hangs, and forgets its queue',
  );
  const backAt = performance.now();
  await world.switchAppleOn();
  await iphone.served(20_000);
  promises.kept(
    `Apple is switched on: ${seconds(performance.now() - backAt)} later all ${OUTAGE_MESSAGES} have come`,
  );
}

/** The original brought back whoever was the last of an account, and lost whoever came within three minutes. */
async function showUnregister(scene: Scene): Promise<void> {
  const { world, server, promises, old } = scene;
  say();
  say('A phone registers, the old iPhone unregisters, and at once: kill -9');
  const newcomer = new Phone(world, 'newcomer', 'session', 'google');
  scene.phones.push(newcomer);
  const client = connect(world, server.httpAddress, 'session');
  await client.register(newcomer.token, newcomer.account, 'android');
  await client.unregister(old.iphone.token);
  old.iphone.isRegistered = false;
  await server.kill('SIGKILL');
  await server.restart();
  const before = old.iphone.arrived().length;
  await notify(scene, 'session', old.iphone.account, 'to nobody', []);
  await notify(scene, 'session', newcomer.account, 'you are still known', [newcomer]);
  promises.expect(
    old.iphone.arrived().length === before,
    'after the start the one is known and the other is not; with the original it was the other way round',
  );
  const again = await connect(world, server.httpAddress, 'session').unregister(old.iphone.token);
  promises.expect(
    again.status === 200 && again.body.code === 0,
    `unregister once more: ${JSON.stringify(again.body)}`,
  );
}

async function showStatistics({ world, server, promises, phones }: Scene): Promise<void> {
  say();
  say('POST /get_statistics_data, with the periods of the old server');
  const ask = (password: string): Promise<Response> =>
    fetch(`${server.httpAddress}/get_statistics_data`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: '{}',
    });
  const { data } = (await (await ask(world.statisticsPassword)).json()) as {
    data: { data: Readonly<Record<string, unknown>>[] } & Readonly<Record<string, unknown>>;
  };
  for (const period of data.data) say(`      ${JSON.stringify(period)}`);
  const { data: periods, ...devices } = data;
  const iphones = phones.filter(({ maker, isRegistered }) => maker === 'apple' && isRegistered);
  promises.expect(
    periods.length >= 2 && devices['ios_device_number'] === iphones.length,
    JSON.stringify(devices),
  );
  promises.expect((await ask('guess')).status === 401, 'with another password: 401');
}

function conclude({ world, promises, phones }: Scene): void {
  say();
  const faults = phones.flatMap((phone) => phone.fault() ?? []);
  for (const fault of faults) promises.expect(false, fault);
  const pushes = phones.reduce((sum, phone) => sum + phone.arrived().length, 0);
  promises.expect(
    faults.length === 0,
    `${pushes} pushes at ${phones.length} phones, each exactly once, each the JSON of the original`,
  );
  const { apns, fcm, bchatFcm } = world;
  const refused = [apns, fcm, bchatFcm].reduce((sum, { refusals }) => sum + refusals.length, 0);
  promises.expect(refused === 0, 'no provider found fault with a request');
}

/** Someone writes; `to` are those whom a push should reach, and has when this resolves. */
async function notify(
  scene: Scene,
  app: PhoneApp,
  id: string,
  text: string,
  to: readonly Phone[],
): Promise<void> {
  await call(scene, app, id, text);
  for (const phone of to) phone.due.push(text);
  await Promise.all(to.map((phone) => phone.served()));
}

async function call({ world, server }: Scene, app: PhoneApp, id: string, text: string): Promise<void> {
  const { status, body } = await connect(world, server.httpAddress, app, { platform: 'desktop' }).notify(
    id,
    seal(text),
  );
  if (status !== 200 || body.code !== 1)
    throw new Error(`notify was answered ${JSON.stringify({ status, body })}`);
}

/** A command line, and what it prints. */
async function waggle(
  world: OperatorWorld,
  ...argv: readonly string[]
): Promise<{ code: number; lines: readonly string[] }> {
  const lines: string[] = [];
  const code = await runCommandLine([...argv, '--config', world.configFile], {
    env: {},
    cwd: world.directory,
    print: (line) => lines.push(line),
    complain: (line) => lines.push(line),
    events: process,
    exitNow: (exitCode) => process.exit(exitCode),
    loadApp: () => Promise.resolve(startApp),
  });
  if (code !== 0) for (const line of lines) say(`      ${line}`);
  return { code, lines };
}
