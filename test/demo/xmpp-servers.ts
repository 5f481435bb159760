import { hasProsody, ProsodyProcess } from '../simulators/xmpp/prosody-process.js';
import type { Account, PushRegistration } from '../simulators/xmpp/real-server.js';
import { XmppUser } from '../simulators/xmpp/xmpp-client.js';
import type { XmppPeer } from '../simulators/xmpp-world.js';
import { StandInXmppServer } from './xmpp-stand-in.js';

/** Somebody who is logged in. */
export type DemoUser = Pick<
  XmppUser,
  'account' | 'registerV1' | 'registerP2' | 'enablePush' | 'sendMessage' | 'sync' | 'goAway'
>;

/** The users' XMPP server. */
export interface DemoXmppServer extends XmppPeer {
  /** For the reader. */
  readonly description: string;
  readonly domain: string;
  addAccount(name: string): Promise<Account>;
  connect(account: Account): Promise<DemoUser>;
  /** For which devices of the user it publishes. */
  registrations(account: Account): Promise<readonly PushRegistration[]>;
  remove(): Promise<void>;
}

const HOW_TO_GET_IT =
  'Prosody is not installed (apt-get install prosody prosody-modules): a stand-in takes its place.';

/**
 * A real Prosody with mod_cloud_notify where there is one. It is told to publish the text of a message and its sender,
 * which it does not by itself: so that there is something to keep quiet about.
 */
export async function startXmppServer(): Promise<{ server: DemoXmppServer; remark: string | null }> {
  if (!(await hasProsody())) return { server: await StandInXmppServer.start(), remark: HOW_TO_GET_IT };
  const prosody = await ProsodyProcess.start({
    lines: ['push_notification_with_body = true', 'push_notification_with_sender = true'],
  });
  const server: DemoXmppServer = {
    kind: prosody.kind,
    description: 'a real Prosody with mod_cloud_notify; users are clients of @xmpp/client',
    domain: prosody.domain,
    component: prosody.component,
    componentPort: prosody.componentPort,
    addAccount: (name) => prosody.addAccount(name),
    connect: (account) => XmppUser.connect(prosody, account),
    registrations: (account) => prosody.registrations(account),
    remove: () => prosody.remove(),
  };
  return { server, remark: null };
}
