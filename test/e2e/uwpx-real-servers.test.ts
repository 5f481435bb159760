import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { wnsAnswer } from '../simulators/providers/wns-stand-in.js';
import { UwpxApp, type UwpxGeneration } from '../simulators/uwpx-app.js';
import { describeWithEjabberd, describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import type { Account, RealXmppServer } from '../simulators/xmpp/real-server.js';
import type { PushAddress, XmppUser } from '../simulators/xmpp/xmpp-client.js';
import {
  arrived,
  jsonPush,
  makeDoorFiles,
  untilWoken as untilWokenIn,
  uwpxPort,
  type DoorFiles,
} from './uwpx-support.js';
import { publishAnswers, XmppScene } from './xmpp-support.js';

vi.setConfig({ testTimeout: 60_000 });

const BODY = 'meet me at the old oak at seven';
/** So many answers that a node or secret is unknown end a registration. */
const ERRORS_TO_THE_END = { prosody: 16, ejabberd: 1 } as const;
/** What each of them tells of a message: the one always 1, the other nothing. */
const COUNT = { prosody: 1, ejabberd: 0 } as const;

/** Both can be told to pass on what was written, and by whom: what comes to us then must end here. */
const prosodyTells = {
  lines: ['push_notification_with_body = true', 'push_notification_with_sender = true'],
};
const ejabberdTells = { push: { include_body: true, include_sender: true } };

/** Somebody whose UWPX is closed. */
interface Away {
  readonly account: Account;
  readonly app: UwpxApp;
  readonly address: PushAddress;
}

function suite(real: () => RealXmppServer): void {
  let scene: XmppScene;
  let files: DoorFiles;

  beforeAll(async () => {
    files = await makeDoorFiles();
    scene = await XmppScene.start(real(), { config: { uwpx: files.options } });
  });
  afterEach(() => scene.usersLeave());
  afterAll(async () => {
    await scene.close();
    await files.remove();
  });

  const newApp = (generation: UwpxGeneration = 'v2'): UwpxApp =>
    new UwpxApp(() => ({ port: uwpxPort(scene.server), ca: files.ca }), generation);
  const untilWoken = ({ app }: Pick<Away, 'app'>, count: number): Promise<void> =>
    untilWokenIn(scene.world, app, count);

  /** Registers, has its server publish, and goes away. */
  async function away(app = newApp(), given: Partial<PushAddress> = {}): Promise<Away> {
    const user: XmppUser = await scene.user();
    const [registered] = await app.register(user.account.jid);
    const address = { ...registered, ...given };
    expect(await user.features()).toContain('urn:xmpp:push:0');
    await user.enablePush(address);
    await user.goAway();
    expect(await real().registrations(user.account)).toEqual([address]);
    return { account: user.account, app, address };
  }

  it.each([
    ['v2', {}],
    ['v2', { jid: 'push@push.localhost' }],
    ['v1-cpp', {}],
    ['v1-py', {}],
  ] as const)(
    'an app of %s %o is woken for a message, and learns who, but not of what',
    async (generation, given) => {
      const one = await away(newApp(generation), given);
      const { app, account } = one;
      await scene.send(one, BODY);
      await untilWoken(one, 1);
      const [push] = arrived(scene.world, app.channel);
      const accountId = app.accountId(account.jid);
      if (generation === 'v2') expect(push?.text).toBe(jsonPush(accountId, COUNT[real().kind]));
      else
        expect(push?.text).toMatch(
          new RegExp(`^<notification .*<account id="${accountId}"/></notification>$`),
        );
      expect(JSON.stringify(push)).not.toMatch(new RegExp(`${BODY}|@${real().domain}|${one.address.secret}`));
      expect(await scene.registrations(one)).toEqual([one.address]);
      const back = await scene.user(account);
      await eventually(() => back.bodies().length > 0);
      expect(back.bodies()).toEqual([BODY]);
    },
  );

  it('registering again, and again, takes nothing from anybody', async () => {
    const one = await away();
    for (let n = 1; n <= 3; n += 1) {
      expect(await one.app.setAccounts(one.account.jid)).toEqual([one.address]);
      await scene.send(one, BODY);
      await untilWoken(one, n);
    }
  });

  it.each(['a wrong secret', 'an account that the app has given up'])(
    '%s ends the registration at the server, and nobody is woken',
    async (what) => {
      const isWrong = what === 'a wrong secret';
      const one = await away(newApp(), isWrong ? { secret: 'f'.repeat(32) } : {});
      const other = await away();
      if (!isWrong) await one.app.setAccounts('somebody.else@localhost');
      const count = ERRORS_TO_THE_END[real().kind];
      const before = await publishAnswers(scene.server, 'refused');
      await scene.send(one, ...Array.from({ length: count }, () => BODY));
      await eventually(async () => (await publishAnswers(scene.server, 'refused')) === before + count);
      await eventually(async () => (await scene.registrations(one)).length === 0);
      expect(arrived(scene.world, one.app.channel)).toEqual([]);
      await scene.send(other, BODY);
      await untilWoken(other, 1);
      expect(await scene.registrations(other)).toEqual([other.address]);
    },
  );

  it('a dead channel does not cost the registration, and with a new one messages come through again', async () => {
    const one = await away();
    const { app } = one;
    scene.world.wns.forChannel(app.channel, wnsAnswer(410));
    const before = await publishAnswers(scene.server, 'wait');
    for (let n = 1; n <= 3; n += 1) {
      await scene.send(one, BODY);
      await eventually(async () => (await publishAnswers(scene.server, 'wait')) === before + n);
    }
    expect(await scene.registrations(one)).toEqual([one.address]);
    app.renewChannel();
    expect(await app.setChannel()).toMatchObject({ status: 1 });
    await scene.send(one, BODY);
    await untilWoken(one, 1);
    expect(await scene.registrations(one)).toEqual([one.address]);
  });

  it('who turns push off is left alone, and woken again when it is on', async () => {
    const one = await away();
    const { app, account, address } = one;
    const user = await scene.user(account);
    await user.disablePush({ jid: address.jid });
    await app.setAccounts();
    await user.goAway();
    await scene.send(one, BODY);
    const again = await scene.user(account);
    const [renewed] = await app.setAccounts(account.jid);
    await again.enablePush(renewed);
    await again.goAway();
    await scene.send(one, BODY);
    await untilWoken(one, 1);
    expect(await scene.registrations(one)).toEqual([renewed]);
  });
}

describeWithProsody('UWPX behind a component of', suite, prosodyTells);
describeWithEjabberd('UWPX behind a component of', suite, ejabberdTells);
