import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { generateVapidKey, vapidKeyPem } from '../../src/crypto/vapid-key.js';
import { createAuthority, createServiceAccount, createTokenKey } from './certificates.js';
import { startApnsStandIn, type ApnsStandIn } from './providers/apns-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from './providers/fcm-stand-in.js';
import { HmsStandIn, startHuaweiOauth } from './providers/hms-stand-in.js';
import { OauthStandIn } from './providers/oauth-stand-in.js';
import { PushServiceStandIn } from './providers/push-service-stand-in.js';
import { TcpRelay } from './providers/tcp-relay.js';
import { UnifiedpushStandIn } from './providers/unifiedpush-stand-in.js';
import { startMicrosoftOauth, WnsStandIn } from './providers/wns-stand-in.js';
import type { ComponentSecret } from './xmpp/real-server.js';

/** The app of these users, as Apple knows it. */
export const XMPP_TOPIC = 'org.example.chat';

const HUAWEI_APP_ID = '300000003';
const PACKAGE_SID = 'ms-app://s-1-15-2-790534220-4016463112-3171690843';

/** An XMPP server, real or simulated, whose component the server of ours is to be. */
export interface XmppPeer {
  /** The name of its entry in the configuration. */
  readonly kind: string;
  readonly componentPort: number;
  readonly component: ComponentSecret;
  /** Of each process of ours. Default: 2 at ejabberd, 1 elsewhere. */
  readonly connections?: number;
}

export interface XmppWorldOptions {
  readonly servers: readonly XmppPeer[];
  /** Default: the embedded database. */
  readonly databaseUrl?: string | null;
  /** Keep every push to look at. Default true. */
  readonly record?: boolean;
  /** Merged over the sections of the configuration file, notifiers included. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Everything around the server but the XMPP servers: a provider of each kind, and a configuration that names them. */
export interface XmppWorld {
  readonly directory: string;
  readonly configFile: string;
  readonly apns: ApnsStandIn;
  readonly fcm: FcmStandIn;
  readonly hms: HmsStandIn;
  readonly wns: WnsStandIn;
  readonly pushService: PushServiceStandIn;
  readonly unifiedpush: UnifiedpushStandIn;
  /** The ways to Apple and Google, which can be shut or swallow everything. */
  readonly toApple: TcpRelay;
  readonly toGoogle: TcpRelay;
  /** What browsers pass to `pushManager.subscribe`. */
  readonly vapidPublicKey: string;
  /** The environment of a further process: the same database and key of registrations, a server key of its own. */
  anotherProcess(name: string): Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function startXmppWorld(options: XmppWorldOptions): Promise<XmppWorld> {
  const { servers, databaseUrl = null, record = true, config = {} } = options;
  const directory = await mkdtemp(join(tmpdir(), 'waggle-xmpp-'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const tokenKey = createTokenKey('XMPPKEY123');
  const vapid = generateVapidKey();
  const [appSecret, clientSecret] = [password(), password()];

  const apns = await startApnsStandIn({ certificate, topic: XMPP_TOPIC, tokenKey, record });
  const oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri, 'waggle-chat');
  oauth.trust(account);
  const { projectId } = account;
  const { isAccessTokenGood } = oauth;
  const fcm = await startFcmStandIn({ certificate, projectId, isAccessTokenGood, record });
  const huaweiOauth = await startHuaweiOauth(certificate, HUAWEI_APP_ID, appSecret);
  const hms = await HmsStandIn.start({
    certificate,
    path: `/v1/${HUAWEI_APP_ID}/messages:send`,
    isAuthorizationGood: huaweiOauth.isGood,
    record,
  });
  const microsoftOauth = await startMicrosoftOauth(certificate, PACKAGE_SID, clientSecret);
  const wns = await WnsStandIn.start({ certificate, isAuthorizationGood: microsoftOauth.isGood, record });
  const pushService = await PushServiceStandIn.start({ certificate, host: 'localhost' });
  const unifiedpush = await UnifiedpushStandIn.start({ certificate, host: 'localhost' });
  const [toApple, toGoogle] = [await TcpRelay.start(apns.port), await TcpRelay.start(fcm.port)];

  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(directory, name), content, { mode: 0o600 });
    return name;
  };
  const caFile = await file('ca.pem', authority.certPem);
  const vapidKeyFiles = [await file('vapid.pem', vapidKeyPem(vapid))];
  const guard = { allowNetworks: ['127.0.0.0/8'], ports: [], caFile };
  const sections: Record<string, Record<string, unknown>> = {
    http: { port: 0 },
    admin: { port: 0 },
    database: databaseUrl === null ? { dataDir: 'data' } : { url: databaseUrl },
    keys: {
      server: 'keys/server.x25519',
      onion: ['keys/onion.x25519'],
      registrations: 'keys/registrations.key',
    },
    session: { enabled: false },
    // Of the processes of one database only one may serve those.
    legacy: { enabled: false },
    xmpp: { enabled: true, components: componentsOf(servers) },
    notifiers: {
      apns: {
        type: 'apns',
        topic: XMPP_TOPIC,
        sandbox: false,
        keyFile: await file('apns.p8', tokenKey.p8Pem),
        keyId: tokenKey.keyId,
        teamId: tokenKey.teamId,
        endpoint: toApple.endpoint,
        caFile,
      },
      firebase: {
        type: 'firebase',
        serviceAccountFile: await file('firebase.json', account.json),
        endpoint: toGoogle.endpoint,
        caFile,
      },
      huawei: {
        type: 'huawei',
        appId: HUAWEI_APP_ID,
        appSecret,
        endpoint: hms.endpoint,
        tokenEndpoint: huaweiOauth.tokenEndpoint,
        caFile,
      },
      wns: {
        type: 'wns',
        packageSid: PACKAGE_SID,
        clientSecret,
        endpoint: wns.endpoint,
        tokenEndpoint: microsoftOauth.tokenEndpoint,
        caFile,
      },
      webpush: { type: 'webpush', vapidKeyFiles, subject: 'mailto:push@example.org', ...guard },
      unifiedpush: { type: 'unifiedpush', ...guard },
    },
    log: { level: 'info' },
  };
  for (const [name, section] of Object.entries(config)) sections[name] = { ...sections[name], ...section };
  const configFile = join(directory, await file('waggle.yaml', stringify(sections)));

  return {
    directory,
    configFile,
    apns,
    fcm,
    hms,
    wns,
    pushService,
    unifiedpush,
    toApple,
    toGoogle,
    vapidPublicKey: vapid.publicText,
    anotherProcess: (name) => ({ WAGGLE_KEYS__SERVER: join(directory, `keys/${name}.x25519`) }),
    async close() {
      await Promise.all(
        [toApple, toGoogle, apns, fcm, oauth, hms, huaweiOauth, wns, microsoftOauth, pushService].map((one) =>
          one.close(),
        ),
      );
      await unifiedpush.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const componentsOf = (servers: readonly XmppPeer[]): Readonly<Record<string, object>> =>
  Object.fromEntries(
    servers.map(({ kind, componentPort, component, connections }) => [
      kind,
      { port: componentPort, ...component, connections: connections ?? (kind === 'ejabberd' ? 2 : 1) },
    ]),
  );

const password = (): string => randomBytes(24).toString('base64url');
