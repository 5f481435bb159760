import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { milliseconds, say, seconds, shorten, type Promises, type StayIfAsked } from './output.js';
import { Person, type Maker, type Way } from './xmpp-devices.js';
import { startXmppServer, type DemoUser, type DemoXmppServer } from './xmpp-servers.js';
import { SPACING_SECONDS, startDemoWorld, type DemoWorld } from './xmpp-world.js';

const cast: readonly { readonly name: string; readonly maker: Maker; readonly way: Way }[] = [
  { name: 'anna', maker: 'Apple', way: 'HTTP, forms' },
  { name: 'ben', maker: 'Google', way: 'command, p2' },
  { name: 'clara', maker: 'Google', way: 'command, v1' },
  { name: 'dora', maker: 'Apple', way: 'HTTP, JSON' },
  { name: 'emil', maker: 'Microsoft', way: 'UWPX, TLS' },
];
/** What no provider and no log may ever hold. */
const TEXT = 'the key is under the mat';
const BURST = 5;
/** After so many refusals in a row Prosody ends a registration (`push_max_errors`). */
const REFUSALS_TO_THE_END = 16;
const SHOWN_CHARS = 150;
/** Shown when something fails. */
const LOG_LINES = 12;

interface Scene {
  readonly world: DemoWorld;
  readonly xmpp: DemoXmppServer;
  readonly server: ServerProcess;
  readonly people: readonly Person[];
  /** Who writes. */
  readonly sam: DemoUser;
  readonly promises: Promises;
}

/**
 * Users of an XMPP server, whose apps register in every way there is, go away and are woken: a real Prosody where it is
 * installed, the real server as a process of its own on the embedded database, a stand-in for each provider. Google goes
 * away meanwhile, the server is killed, and a device dies. Loopback only.
 */
export async function runXmppScenario(promises: Promises, stayIfAsked: StayIfAsked): Promise<void> {
  const { server: xmpp, remark } = await startXmppServer();
  if (remark !== null) say(remark);
  const ends: (() => Promise<unknown>)[] = [() => xmpp.remove()];
  let server: ServerProcess | null = null;
  try {
    const world = await startDemoWorld(xmpp);
    ends.push(() => world.close());
    const startedAt = performance.now();
    const waggle = await ServerProcess.start(world.providers.configFile);
    server = waggle;
    ends.push(() => waggle.close());
    await isOnline(waggle);
    say(`  XMPP       ${xmpp.description}`);
    say(
      `  server     its component ${xmpp.component.domain}, ${seconds(performance.now() - startedAt)} after its start (embedded database)`,
    );
    say('  providers  Apple, Google, Microsoft: stand-ins over TLS');

    const people: Person[] = [];
    for (const { name, maker, way } of cast) {
      people.push(new Person(world, await xmpp.addAccount(name), maker, way));
    }
    const sam = await xmpp.connect(await xmpp.addAccount('sam'));
    ends.push(() => sam.goAway());
    const scene: Scene = { world, xmpp, server: waggle, people, sam, promises };
    await showRegistrations(scene);
    await showMessages(scene);
    await showBurst(scene);
    await showOutage(scene);
    await showDeadDevice(scene);
    await conclude(scene);
    await stayIfAsked(`curl ${waggle.adminAddress}/metrics`);
  } catch (error) {
    const lines = server?.output().trimEnd().split('\n') ?? [];
    if (lines.length > 0) say('  the end of the log:');
    for (const line of lines.slice(-LOG_LINES)) say(`    ${line}`);
    throw error;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

const isOnline = (server: ServerProcess): Promise<boolean> =>
  eventually(async () => (await server.metric('waggle_xmpp_connections')) === 1, {
    timeoutMs: 40_000,
    what: 'the component at the XMPP server',
  });

async function showRegistrations({ xmpp, server, people, promises }: Scene): Promise<void> {
  say();
  say('Each app registers its device, tells its own XMPP server where to publish (XEP-0357), and goes away');
  for (const person of people) {
    const user = await xmpp.connect(person.account);
    const began = performance.now();
    const address = await person.setUp(xmpp, user, server.httpAddress);
    const took = milliseconds(began);
    await user.goAway();
    const [kept] = await xmpp.registrations(person.account);
    promises.expect(
      kept?.jid === address.jid && kept.node === address.node && kept.secret === address.secret,
      `${person.name.padEnd(6)} ${person.way.padEnd(12)} ${took.padStart(8)}  publish to ${address.jid}, node ${address.node}`,
    );
  }
  const [anna] = people;
  if (anna === undefined) return;
  const user = await xmpp.connect(anna.account);
  const again = await anna.register(xmpp.component.domain, user, server.httpAddress);
  await user.goAway();
  promises.expect(
    again.secret === anna.address?.secret,
    'who registers again, as apps do at every start, is told the same secret, which the database holds sealed',
  );
}

/** What the XMPP server publishes has the text, and who wrote it. */
async function showMessages({ people, sam, promises }: Scene): Promise<void> {
  say();
  say(`Sam writes to each: "${TEXT}". What their providers get, besides whom to wake`);
  for (const person of people) {
    const before = person.arrived().length;
    const sentAt = performance.now();
    await sam.sendMessage(person.account, TEXT);
    await person.woken(before + 1);
    const took = milliseconds(sentAt);
    promises.kept(`${person.name.padEnd(6)} ${person.maker.padEnd(12)} ${took.padStart(8)} after "send"`);
    say(`      ${shorten(person.arrived().at(-1)?.shown ?? '', SHOWN_CHARS)}`);
  }
  await sam.sync();
}

async function showBurst({ xmpp, people, sam, promises }: Scene): Promise<void> {
  const ben = personNamed(people, 'ben');
  say();
  say(`Sam writes ${BURST} more to Ben, all at once`);
  const before = ben.arrived().length;
  const sentAt = performance.now();
  // On a machine that is very busy the time of the one before may be over; then one more goes out at once.
  const expected = sentAt - ben.wokenAt < SPACING_SECONDS * 1000 ? 1 : 2;
  for (let number = 1; number <= BURST; number += 1) await sam.sendMessage(ben.account, `${TEXT}, ${number}`);
  await sam.sync();
  await ben.woken(before + expected);
  const took = performance.now() - sentAt;
  const registrations = await xmpp.registrations(ben.account);
  promises.expect(
    registrations.length === 1 && ben.arrived().length === before + expected,
    `${expected === 1 ? 'one push' : 'two pushes'} for all of them, the last ${seconds(took)} later (here ${SPACING_SECONDS} s after the one before); the others are answered "wait", which harms nobody`,
  );
}

/** Google is away, and the server is killed meanwhile. */
async function showOutage({ world, xmpp, server, people, sam, promises }: Scene): Promise<void> {
  const clara = personNamed(people, 'clara');
  const dora = personNamed(people, 'dora');
  say();
  say('Google is switched off, and Sam writes to Clara (Google) and to Dora (Apple)');
  await world.providers.toGoogle.shut();
  const accepted = (): Promise<number> => server.metric('waggle_xmpp_publishes_total{outcome="accepted"}');
  const acceptedBefore = await accepted();
  const [claraHad, doraHad] = [clara.arrived().length, dora.arrived().length];
  await sam.sendMessage(clara.account, TEXT);
  const sentAt = performance.now();
  await sam.sendMessage(dora.account, TEXT);
  await dora.woken(doraHad + 1);
  promises.kept(`Dora is woken all the same, after ${milliseconds(sentAt)}`);
  await eventually(async () => (await accepted()) === acceptedBefore + 2, {
    what: 'the answers to both publishes',
  });
  promises.expect(
    clara.arrived().length === claraHad,
    'the publish for Clara is answered with success: her push is in the outbox',
  );
  await server.kill('SIGKILL');
  const killedAt = performance.now();
  await server.restart();
  await isOnline(server);
  promises.kept(
    `kill -9; ${seconds(performance.now() - killedAt)} later the component is back at the XMPP server`,
  );
  const backAt = performance.now();
  await world.providers.toGoogle.open();
  await clara.woken(claraHad + 1);
  const registrations = await xmpp.registrations(clara.account);
  promises.expect(
    clara.arrived().length === claraHad + 1 && registrations.length === 1,
    `Google is switched on: Clara is woken ${seconds(performance.now() - backAt)} later, once; her registration has survived`,
  );
}

async function showDeadDevice({ world, xmpp, server, people, sam, promises }: Scene): Promise<void> {
  const anna = personNamed(people, 'anna');
  say();
  say('Anna has removed the app: Apple says that her token is dead');
  const answer = { status: 410, body: { reason: 'Unregistered', timestamp: Date.now() } };
  const { apns } = world.providers;
  apns.answers.forToken(anna.token, answer);
  const requestsBefore = apns.requests;
  await sam.sendMessage(anna.account, TEXT);
  const refused = async (): Promise<boolean> =>
    (await server.metric('waggle_xmpp_answers_total{request="publish",answer="refused"}')) === 1;
  await eventually(refused, { what: 'the answer to the publish' });
  const [device] = await xmpp.registrations(anna.account);
  promises.expect(
    device !== undefined,
    'the device is forgotten at once, and its publish answered with item-not-found; Prosody is patient',
  );
  for (let number = 2; number <= REFUSALS_TO_THE_END; number += 1)
    await sam.sendMessage(anna.account, `${TEXT}, ${number}`);
  await sam.sync();
  const gone = async (): Promise<boolean> => (await xmpp.registrations(anna.account)).length === 0;
  await eventually(gone, { what: "the end of Anna's registration" });
  promises.expect(
    apns.requests === requestsBefore + 1,
    `after ${REFUSALS_TO_THE_END} such answers it ends her registration (ejabberd: after one); Apple was asked once`,
  );
}

async function conclude({ world, xmpp, server, people, promises }: Scene): Promise<void> {
  say();
  for (const { name, account, address } of people.filter(({ name }) => name !== 'anna')) {
    const [kept, ...others] = await xmpp.registrations(account);
    if (kept?.node === address?.node && others.length === 0) continue;
    promises.expect(false, `${name}'s registration at the XMPP server is not what it was`);
  }
  const pushes = people.flatMap((person) => person.arrived());
  const accounts = people.map(({ account }) => account.jid);
  const told = [TEXT, 'sam@', ...accounts].filter((secret) =>
    pushes.some(({ everything }) => everything.includes(secret)),
  );
  promises.expect(
    told.length === 0,
    `${pushes.length} pushes; in none of them a text, a sender, or the address of an account`,
  );
  const credentials = people.flatMap(({ token, address }) => [token, address?.node, address?.secret]);
  const log = server.output();
  const logged = [TEXT, 'sam@', ...accounts, ...credentials].filter(
    (secret) => secret !== undefined && log.includes(secret),
  );
  promises.expect(logged.length === 0, 'nor in the log, which has no tokens, nodes or secrets either');
  const { apns, fcm } = world.providers;
  promises.expect(
    apns.refusals.length === 0 && fcm.refusals.length === 0,
    'no provider found fault with a request',
  );
}

function personNamed(people: readonly Person[], name: string): Person {
  const found = people.find((person) => person.name === name);
  if (found === undefined) throw new Error(`nobody is called ${name}`);
  return found;
}
