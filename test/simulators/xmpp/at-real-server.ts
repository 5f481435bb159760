import { afterEach, expect } from 'vitest';
import type { PublishOutcome, PublishRequest } from '../../../src/xmpp/port.js';
import { eventually } from '../eventually.js';
import { componentUnderTest, entryAt, type UnderTest } from './component-under-test.js';
import type { Account, RealXmppServer } from './real-server.js';
import { xml, XmppUser, type PushAddress } from './xmpp-client.js';

const PING = 'urn:xmpp:ping';

/** Somebody who is registered at the component, has that on the server's record, and is not there. */
export interface AwayUser {
  readonly account: Account;
  readonly address: PushAddress;
}

/** What a test sets up at a real server; it ends with the test, the latest first. */
export interface AtRealServer {
  /** To be ended with the test. */
  onEnd(end: () => Promise<unknown>): void;
  /** A component of ours with registrations in memory, online. */
  component(
    server: RealXmppServer,
    publish?: (request: PublishRequest) => PublishOutcome,
  ): Promise<UnderTest>;
  /** Logged in; a new account unless one is named. */
  user(server: RealXmppServer, account?: Account): Promise<XmppUser>;
  /** Registers by ad-hoc command at whatever stands behind the server's component, and goes away. */
  awayUser(
    server: RealXmppServer,
    device?: { readonly type?: string; readonly node?: string; readonly token?: string },
  ): Promise<AwayUser>;
}

/** To be called once per file, outside its suites. */
export function atRealServer(): AtRealServer {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const user: AtRealServer['user'] = async (server, account) => {
    const connected = await XmppUser.connect(server, account ?? (await server.addAccount()));
    ends.push(() => connected.vanish());
    return connected;
  };
  return {
    onEnd: (end) => ends.push(end),
    user,
    component: async (server, publish = () => ({ kind: 'accepted' })) => {
      const underTest = componentUnderTest([entryAt(server.componentPort, server.component)], { publish });
      ends.push(() => underTest.component.stop());
      underTest.component.start();
      await eventually(() => isOnline(underTest), { what: 'the component at the server' });
      return underTest;
    },
    awayUser: async (server, { type = 'fcm', node, token = 'token' } = {}) => {
      const leaving = await user(server);
      const { account } = leaving;
      const device = { type, node: node ?? `device-of-${account.name}`, token };
      const address = await leaving.registerV1(server.component.domain, device);
      await leaving.enablePush(address);
      await leaving.goAway();
      expect(await server.registrations(account)).toEqual([address]);
      return { account, address };
    },
  };
}

export const isOnline = ({ component }: UnderTest): boolean =>
  component.status().every(({ state }) => state === 'online');

/** Resolves when the server has taken them all. */
export async function sendMessages(from: XmppUser, to: Account, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) await from.sendMessage(to, `message ${n}`);
  await from.sync();
}

/** What publishes were answered with, such as `publish result`, in order. */
export const publishAnswers = ({ report }: UnderTest): readonly string[] =>
  report.answers.filter((answer) => answer.startsWith('publish'));

export function publishesAnswered(underTest: UnderTest, count: number): Promise<boolean> {
  return eventually(() => publishAnswers(underTest).length >= count, { what: `${count} answered publishes` });
}

/** Resolves when the server has read all answers of its component so far: that to this user's ping comes after them. */
export async function answersAreRead(server: RealXmppServer, user: XmppUser): Promise<void> {
  await user.ask('get', xml('ping', { xmlns: PING }), server.component.domain);
}
