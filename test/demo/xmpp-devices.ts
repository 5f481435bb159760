import { createHash, randomBytes } from 'node:crypto';
import { eventually } from '../simulators/eventually.js';
import { newAndroidToken, newIosToken } from '../simulators/legacy-world.js';
import type { Account } from '../simulators/xmpp/real-server.js';
import type { PushAddress } from '../simulators/xmpp/xmpp-client.js';
import { UwpxClient } from '../simulators/uwpx-client.js';
import type { DemoUser, DemoXmppServer } from './xmpp-servers.js';
import type { DemoWorld } from './xmpp-world.js';

export type Maker = 'Apple' | 'Google' | 'Microsoft';

/** How an app registers its device. */
export type Way = 'HTTP, forms' | 'HTTP, JSON' | 'command, v1' | 'command, p2' | 'UWPX, TLS';

/** One push as the provider got it. */
export interface AtProvider {
  /** For the reader: what it learns, besides whom to wake. */
  readonly shown: string;
  /** All of the request, but for the credentials of the operator. */
  readonly everything: string;
}

/** Somebody with a device, who registers it, has it woken and goes away. */
export class Person {
  /** Of the device: a token, or for Windows a channel. */
  readonly token: string;
  address: PushAddress | null = null;
  /** When the last push that was waited for had come, in the time of `performance.now()`. */
  wokenAt = 0;

  constructor(
    private readonly world: DemoWorld,
    readonly account: Account,
    readonly maker: Maker,
    readonly way: Way,
  ) {
    this.token = newToken(maker);
  }

  get name(): string {
    return this.account.name;
  }

  /** As the app does it at its start: registers the device, and tells the user's own server. */
  async setUp(server: DemoXmppServer, user: DemoUser, httpAddress: string): Promise<PushAddress> {
    const address = await this.register(server.component.domain, user, httpAddress);
    await user.enablePush(address);
    this.address = address;
    return address;
  }

  register(component: string, user: DemoUser, httpAddress: string): Promise<PushAddress> {
    const { token } = this;
    const type = this.maker === 'Apple' ? 'apns' : 'fcm';
    const node = `device-of-${this.name}`;
    switch (this.way) {
      case 'HTTP, forms':
        return byForm(httpAddress, component, { type, node, token });
      case 'HTTP, JSON':
        return byJson(httpAddress, { type, node, token });
      case 'command, v1':
        return user.registerV1(component, { type, node, token });
      case 'command, p2':
        return user.registerP2(component, type, { token, 'device-id': `device-of-${this.name}` });
      case 'UWPX, TLS':
        return this.#byUwpx();
    }
  }

  /** In the order of arrival. */
  arrived(): readonly AtProvider[] {
    const { apns, fcm, wns } = this.world.providers;
    switch (this.maker) {
      case 'Apple':
        return apns.pushes
          .filter(({ token }) => token === this.token)
          .map(({ headers, bodyText }) => {
            const { authorization: _ours, ...others } = headers;
            const kind = `${String(headers['apns-push-type'])}, priority ${String(headers['apns-priority'])}`;
            return { shown: `${kind}: ${bodyText}`, everything: JSON.stringify([others, bodyText]) };
          });
      case 'Google':
        return fcm.pushes
          .filter(({ token }) => token === this.token)
          .map(({ headers, bodyText, message: { token: _whom, ...said } }) => {
            const { authorization: _ours, ...others } = headers;
            return { shown: JSON.stringify(said), everything: JSON.stringify([others, bodyText]) };
          });
      case 'Microsoft':
        return wns.pushes
          .filter(({ channel }) => this.token.endsWith(channel))
          .map(({ headers, bodyText }) => {
            const { authorization: _ours, ...others } = headers;
            return { shown: bodyText, everything: JSON.stringify([others, bodyText]) };
          });
    }
  }

  /** Until the provider has this many pushes for the device. */
  async woken(count: number): Promise<void> {
    await eventually(() => this.arrived().length >= count, {
      everyMs: 2,
      timeoutMs: 20_000,
      what: `push ${count} for ${this.name}`,
    });
    this.wokenAt = performance.now();
  }

  async #byUwpx(): Promise<PushAddress> {
    const deviceId = randomBytes(32).toString('hex');
    const accountId = createHash('sha256').update(`${deviceId}${this.account.jid}`).digest('hex');
    const client = await UwpxClient.connect({ port: this.world.uwpxPort, ca: this.world.authority });
    const ask = (action: string, more: object): Promise<unknown> =>
      client.request({ version: 2, action, device_id: deviceId, ...more });
    try {
      await ask('set_channel_uri', { channel_uri: this.token });
      const { push_bare_jid: jid, accounts } = (await ask('set_push_accounts', {
        accounts: [{ account_id: accountId }],
      })) as {
        readonly push_bare_jid: string;
        readonly accounts: readonly { readonly node: string; readonly secret: string }[];
      };
      const [{ node, secret } = { node: '', secret: '' }] = accounts;
      return { jid, node, secret };
    } finally {
      client.end();
    }
  }
}

function newToken(maker: Maker): string {
  switch (maker) {
    case 'Apple':
      return newIosToken();
    case 'Google':
      return newAndroidToken();
    case 'Microsoft':
      return `https://db5p.notify.windows.com/?token=${encodeURIComponent(randomBytes(60).toString('base64'))}`;
  }
}

interface Registration {
  readonly type: string;
  readonly node: string;
  readonly token: string;
}

/** As Monal does it. */
async function byForm(
  httpAddress: string,
  component: string,
  { type, node, token }: Registration,
): Promise<PushAddress> {
  const body = new URLSearchParams({ type, node, token });
  const answer = await fetch(`${httpAddress}/push_appserver/v1/register`, { method: 'POST', body });
  const [ok, nodeToTell = '', secret = ''] = (await answer.text()).split('\n');
  if (ok !== 'OK') throw new Error(`registration by form: ${answer.status}`);
  return { jid: component, node: nodeToTell, secret };
}

async function byJson(httpAddress: string, registration: Registration): Promise<PushAddress> {
  const answer = await fetch(`${httpAddress}/push_appserver/v2/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(registration),
  });
  if (answer.status !== 200) throw new Error(`registration by JSON: ${answer.status}`);
  return (await answer.json()) as PushAddress;
}
