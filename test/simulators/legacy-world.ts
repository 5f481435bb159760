import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Brand } from '../../src/legacy/brand.js';
import {
  createAuthority,
  createServiceAccount,
  createTokenKey,
  type TestCertificate,
} from './certificates.js';
import { bchatBrand, sessionBrand } from './legacy-brands.js';
import { LegacyClient, type LegacyClientOptions } from './legacy-client.js';
import { startApnsStandIn, type ApnsStandIn } from './providers/apns-stand-in.js';
import type { ClientCredentialsStandIn } from './providers/client-credentials-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from './providers/fcm-stand-in.js';
import { HmsStandIn, startHuaweiOauth } from './providers/hms-stand-in.js';
import { OauthStandIn } from './providers/oauth-stand-in.js';
import { startWorld, type World, type WorldOptions } from './world.js';

export const BCHAT_TOPIC = 'com.beldex.bchat';

/** A push of a legacy message as it came out at the device's end of a provider. */
export interface LegacyArrival {
  readonly token: string;
  /** Null: the device shows its generic text. */
  readonly data: string | null;
}

/** One app: its providers, and what its users do. */
export class LegacySide {
  constructor(
    readonly brand: Brand,
    readonly apns: ApnsStandIn,
    readonly fcm: FcmStandIn,
    readonly hms: HmsStandIn,
    private readonly keyOfServer: () => Promise<Buffer>,
  ) {}

  /** An account or a group that nobody else has. */
  newId(): string {
    return `${this.brand.accountPrefix.toString(16).padStart(2, '0')}${randomBytes(32).toString('hex')}`;
  }

  /** The app, with the server's key inside. */
  async client(
    server: { readonly httpAddress: string },
    options: LegacyClientOptions = {},
  ): Promise<LegacyClient> {
    return new LegacyClient(server.httpAddress, await this.keyOfServer(), this.brand, options);
  }

  /** Of all providers; those of one provider in the order of arrival. */
  arrivals(): LegacyArrival[] {
    return [
      ...this.apns.pushes.map(({ token, body }) => ({ token, data: textOrNull(body['ENCRYPTED_DATA']) })),
      ...this.fcm.pushes.map(({ token, message }) => ({
        token,
        data: textOrNull(message.data['ENCRYPTED_DATA']),
      })),
      ...this.hms.pushes.map(({ token, dataText }) => ({ token, data: dataText })),
    ];
  }

  /** What reached one device. */
  received(token: string): (string | null)[] {
    return this.arrivals().flatMap((push) => (push.token === token ? [push.data] : []));
  }

  get arrived(): number {
    return this.apns.pushes.length + this.fcm.pushes.length + this.hms.pushes.length;
  }
}

/** The world with the providers of two apps, `session` and `bchat`, whose older clients one server serves. */
export interface LegacyWorld extends World {
  readonly session: LegacySide;
  readonly bchat: LegacySide;
  readonly sides: readonly LegacySide[];
}

export const newIosToken = (): string => randomBytes(32).toString('hex');
export const newAndroidToken = (): string =>
  `${randomBytes(16).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`;
export const newHuaweiToken = (): string => `IQ${randomBytes(48).toString('base64url')}`;
export const newPassword = (): string => randomBytes(24).toString('base64url');

/** An encrypted message, as far as a push server can tell. */
export const newData = (bytes = 300): string => randomBytes(bytes).toString('base64');

/** `options.config` is merged over the sections, notifiers and brands included; the network is a small one. */
export async function startLegacyWorld(options: WorldOptions = {}): Promise<LegacyWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-legacy-'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const record = options.record ?? true;
  const file = async (name: string, content: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const caFile = await file('ca.pem', authority.certPem);

  const tokenKey = createTokenKey('BCHAT12345');
  const apns = await startApnsStandIn({ certificate, topic: BCHAT_TOPIC, tokenKey, record });
  const oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri);
  oauth.trust(account);
  const { projectId } = account;
  const { isAccessTokenGood } = oauth;
  const fcm = await startFcmStandIn({ certificate, projectId, isAccessTokenGood, record });
  const huawei = await startHuawei(certificate, '100000001', record);
  const bchatHuawei = await startHuawei(certificate, '200000002', record);

  const notifiers = {
    'bchat-apns': {
      type: 'apns',
      topic: BCHAT_TOPIC,
      sandbox: false,
      keyFile: await file('bchat.p8', tokenKey.p8Pem),
      keyId: tokenKey.keyId,
      teamId: tokenKey.teamId,
      endpoint: apns.endpoint,
      caFile,
    },
    'bchat-firebase': {
      type: 'firebase',
      serviceAccountFile: await file('bchat-firebase.json', account.json),
      endpoint: fcm.endpoint,
      caFile,
    },
    huawei: { ...huawei.entry, caFile },
    'bchat-huawei': { ...bchatHuawei.entry, caFile },
  };
  const passwords = { session: newPassword(), bchat: newPassword() };
  const { config = {} } = options;
  const world = await startWorld({
    ...options,
    network: { swarms: 1, nodesPerSwarm: 2, ...options.network },
    config: {
      ...config,
      notifiers: { ...notifiers, ...config['notifiers'] },
      brands: {
        session: { statisticsPassword: passwords.session },
        bchat: { statisticsPassword: passwords.bchat },
        ...config['brands'],
      },
    },
  });
  const key = (): Promise<Buffer> => world.onionPublicKey();
  const session = new LegacySide(
    { ...sessionBrand, statisticsPassword: passwords.session },
    world.apns,
    world.fcm,
    huawei.hms,
    key,
  );
  const bchat = new LegacySide(
    { ...bchatBrand, statisticsPassword: passwords.bchat },
    apns,
    fcm,
    bchatHuawei.hms,
    key,
  );

  return {
    ...world,
    session,
    bchat,
    sides: [session, bchat],
    async close() {
      await Promise.all([
        world.close(),
        apns.close(),
        fcm.close(),
        oauth.close(),
        huawei.close(),
        bchatHuawei.close(),
      ]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function startHuawei(certificate: TestCertificate, appId: string, record: boolean) {
  const appSecret = newPassword();
  const oauth: ClientCredentialsStandIn = await startHuaweiOauth(certificate, appId, appSecret);
  const hms = await HmsStandIn.start({
    certificate,
    path: `/v1/${appId}/messages:send`,
    isAuthorizationGood: oauth.isGood,
    record,
  });
  const { tokenEndpoint } = oauth;
  return {
    hms,
    entry: { type: 'huawei', appId, appSecret, endpoint: hms.endpoint, tokenEndpoint },
    close: async () => {
      await Promise.all([hms.close(), oauth.close()]);
    },
  };
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
