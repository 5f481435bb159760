import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { ServerProcess } from '../simulators/server-process.js';
import { describeWithEjabberd, describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import type { EjabberdProcess } from '../simulators/xmpp/ejabberd-process.js';
import type { RealXmppServer } from '../simulators/xmpp/real-server.js';
import { publishAnswers, untilArrived, untilConnected, XmppScene, type Away } from './xmpp-support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 90_000 });

const USERS = 5;
/** More than Prosody forgives where an answer counts against a registration. */
const MANY = 20;

const severalAway = (at: XmppScene): Promise<Away[]> =>
  Promise.all(Array.from({ length: USERS }, () => at.away()));

const arrivedOf = (all: readonly Away[]): number =>
  all.reduce((sum, { device }) => sum + device.arrived().length, 0);

async function expectRegistered(at: XmppScene, all: readonly Away[]): Promise<void> {
  for (const away of all) expect(await at.registrations(away)).toEqual([away.address]);
}

/** Messages for all of them, without a pause, until told to stop. */
class Stream {
  sent = 0;
  readonly #arrivedBefore: number;
  #isStopped = false;
  readonly #end: Promise<void>;

  constructor(
    private readonly at: XmppScene,
    private readonly all: readonly Away[],
  ) {
    this.#arrivedBefore = arrivedOf(all);
    this.#end = this.#run();
  }

  /** Of its pushes. */
  get arrived(): number {
    return arrivedOf(this.all) - this.#arrivedBefore;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#end;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.sent += this.all.length;
      await Promise.all(this.all.map((away) => this.at.send(away, 'hello')));
    }
  }
}

interface Place {
  readonly databaseUrl: () => Promise<string | null>;
  readonly connections?: number;
}

/** One scene for the tests of a suite; what they stop they start again. */
function sceneFor(real: () => RealXmppServer, { databaseUrl, ...options }: Place): () => XmppScene {
  let scene: XmppScene | null = null;
  beforeAll(async () => {
    scene = await XmppScene.start(real(), { ...options, databaseUrl: await databaseUrl() });
  });
  afterEach(() => scene?.usersLeave());
  afterAll(() => scene?.close());
  return () => {
    if (scene === null) throw new Error('the scene is set before the first test');
    return scene;
  };
}

/** `signal`: what ends our process, whose place nobody takes. */
async function endAtProsody(at: XmppScene, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const all = await severalAway(at);
  const stream = new Stream(at, all);
  await eventually(() => arrivedOf(all) > USERS * 3);
  // Whoever has got node and secret by now is known after whatever happens next.
  const [last, lateComer] = [await at.away(), await at.user()];
  const device = at.newDevice('fcm');
  const address = await at.register(lateComer, device);
  await at.server.kill(signal);
  await stream.stop();
  const unheard = Array.from({ length: MANY }, (_, n) => `nobody there ${n}`);
  for (const away of [...all, last]) await at.send(away, ...unheard);

  at.server.launch();
  await at.server.ready();
  await untilConnected(at.server, 1);
  await expectRegistered(at, [...all, last]);
  await lateComer.enablePush(address);
  await lateComer.goAway();
  const late: Away = { account: lateComer.account, device, address };
  const before = arrivedOf(all);
  for (const away of [...all, last, late]) await at.send(away, 'hello again');
  for (const away of [last, late]) await untilArrived(away, 1);
  await eventually(() => arrivedOf(all) === before + USERS, { what: 'a push for each' });
  await expectRegistered(at, [...all, last, late]);
  expect(await publishAnswers(at.server, 'refused')).toBe(0);
}

describe('our restarts (embedded)', () => {
  describeWithProsody('one process', (real) => {
    const scene = sceneFor(real, { databaseUrl: () => Promise.resolve(null) });

    it('is killed in the midst of messages: nothing ends, and all that was answered is known', () =>
      endAtProsody(scene(), 'SIGKILL'));
  });
});

describeWithPostgres('our restarts', (postgres) => {
  const databaseUrl = (): Promise<string> => postgres().createDatabase();

  describeWithProsody('one process', (real) => {
    const scene = sceneFor(real, { databaseUrl });

    it.each(['SIGTERM', 'SIGKILL'] as const)(
      'gets a %s in the midst of messages: nothing ends, and all that was answered is known',
      (signal) => endAtProsody(scene(), signal),
    );

    it('is killed, and another one takes its place', async () => {
      const at = scene();
      const another = await at.startAnother();
      const all = await severalAway(at);
      // It has tried, and Prosody has one place only.
      await eventually(async () => (await another.metric('waggle_xmpp_ends_total')) > 0);
      expect(await another.metric('waggle_xmpp_connections')).toBe(0);
      await at.server.kill('SIGKILL');
      await untilConnected(another, 1);
      for (const away of all) await at.send(away, 'hello');
      await eventually(() => arrivedOf(all) === USERS);
      await expectRegistered(at, all);
    });
  });

  describeWithEjabberd('two processes', (real) => {
    const scene = sceneFor(real, { databaseUrl, connections: 1 });

    it('of which one is killed, and one stopped, in the midst of messages: no registration ends', async () => {
      const at = scene();
      const [first, second] = [at.server, await at.startAnother()];
      const all = await severalAway(at);
      const stream = new Stream(at, all);
      const busy = (server: ServerProcess): Promise<unknown> =>
        eventually(async () => (await publishAnswers(server, 'result')) > USERS);
      await Promise.all([busy(first), busy(second)]);
      const killed = await endOne(real(), stream, first, 'SIGKILL');
      await expectRegistered(at, all);
      expect(await publishAnswers(second, 'refused')).toBe(0);

      first.launch();
      await first.ready();
      await untilConnected(first, 1);
      const again = new Stream(at, all);
      await busy(first);
      const stopped = await endOne(real(), again, second, 'SIGTERM');
      await expectRegistered(at, all);
      expect(await publishAnswers(first, 'refused')).toBe(0);
      console.log(
        `ejabberd, two processes: a kill -9 cost ${killed.lost} of ${killed.atStake} pushes on their way, ` +
          `a stop ${stopped.lost} of ${stopped.atStake}`,
      );

      const each = all.map(({ device }) => device.arrived().length);
      for (const away of all) await at.send(away, 'the last one');
      for (const [index, away] of all.entries()) await untilArrived(away, (each[index] ?? 0) + 1);
    });
  });

  describeWithEjabberd('one process', (real) => {
    const scene = sceneFor(real, { databaseUrl });

    it('is killed: the registrations survive of those who get no message until it is back', async () => {
      const at = scene();
      const [quiet, other, unlucky] = [await at.away(), await at.away(), await at.away()];
      for (const away of [quiet, unlucky]) await at.send(away, 'hello');
      await eventually(() => arrivedOf([quiet, unlucky]) === 2);
      await at.server.kill('SIGKILL');
      await untilRoutes(real(), 0);
      // With no component at all ejabberd takes its domain for one that does not exist.
      await at.send(unlucky, 'nobody there');
      await eventually(async () => (await real().registrations(unlucky.account)).length === 0);

      at.server.launch();
      await at.server.ready();
      await untilConnected(at.server, 2);
      await expectRegistered(at, [quiet, other]);
      for (const away of [quiet, other]) await at.send(away, 'hello again');
      await eventually(() => arrivedOf([quiet, other]) === 3);

      // Nobody tells the client; with its next login it enables push again, and its node and secret are still good.
      const back = await at.user(unlucky.account);
      expect(await at.register(back, unlucky.device)).toEqual(unlucky.address);
      await back.enablePush(unlucky.address);
      await back.goAway();
      await at.send(unlucky, 'hello again');
      await untilArrived(unlucky, 2);
    });
  });
});

/** Connections of the component, as ejabberd has them. */
async function untilRoutes(real: EjabberdProcess, count: number): Promise<void> {
  const routes = `length(mnesia:dirty_read(route, <<"${real.component.domain}">>)).`;
  await eventually(async () => (await real.evaluate(routes)) === count, {
    everyMs: 1,
    what: `${count} connections`,
  });
}

interface Ended {
  readonly lost: number;
  readonly atStake: number;
}

/**
 * Ends one of two processes while the stream flows, and then the stream. `atStake`: messages whose publish ejabberd may
 * have given to the process that ended: on their way then, or sent before it noticed the end.
 */
async function endOne(
  real: EjabberdProcess,
  stream: Stream,
  server: ServerProcess,
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<Ended> {
  const arrivedBefore = stream.arrived;
  server.signal(signal);
  await server.exited();
  await untilRoutes(real, 1);
  const noticedAt = stream.sent;
  await eventually(() => stream.sent > noticedAt + 3 * USERS);
  await stream.stop();
  const atStake = noticedAt - arrivedBefore;
  await eventually(() => stream.sent - stream.arrived <= atStake, {
    what: `all but ${atStake} of ${stream.sent} pushes`,
  });
  return { lost: stream.sent - stream.arrived, atStake };
}
