import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAuthority, createServiceAccount, createTokenKey } from '../simulators/certificates.js';
import { newPassword } from '../simulators/legacy-world.js';
import { startApnsStandIn, type ApnsStandIn } from '../simulators/providers/apns-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from '../simulators/providers/fcm-stand-in.js';
import { HmsStandIn, startHuaweiOauth } from '../simulators/providers/hms-stand-in.js';
import { OauthStandIn } from '../simulators/providers/oauth-stand-in.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';

const TOPIC = 'com.loki-project.loki-messenger';
const HUAWEI_APP_ID = '100000001';
/** Where Bchat's clients have always sent to. */
export const BCHAT_HOST = 'notification.example.org';

/** What an operator of both older servers has: their keys, providers for two apps, and a configuration of ours. */
export interface OperatorWorld {
  readonly directory: string;
  readonly configFile: string;
  /** Built into the clients of each app. */
  readonly sessionKey: Buffer;
  readonly bchatKey: Buffer;
  /** For `/get_statistics_data`. */
  readonly statisticsPassword: string;
  /** Changes when Apple is switched off and on. */
  readonly apns: ApnsStandIn;
  readonly fcm: FcmStandIn;
  /** Google, for Bchat's project. */
  readonly bchatFcm: FcmStandIn;
  readonly hms: HmsStandIn;
  /** Connections break, new ones are refused. */
  switchAppleOff(): Promise<void>;
  /** At the same address again; what it has got stays. */
  switchAppleOn(): Promise<void>;
  close(): Promise<void>;
}

export async function startOperatorWorld(): Promise<OperatorWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-legacy-'));
  await mkdir(join(directory, 'old'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const tokenKey = createTokenKey();
  const [sessionPair, bchatPair] = [randomKeyPair(), randomKeyPair()];
  const [appSecret, statisticsPassword] = [newPassword(), newPassword()];

  const startApns = (port = 0): Promise<ApnsStandIn> =>
    startApnsStandIn({ certificate, topic: TOPIC, tokenKey, port });
  let apns = await startApns();
  const applePort = apns.port;
  let isAppleOn = true;

  const startGoogle = async (projectId: string) => {
    const oauth = await OauthStandIn.start();
    const account = createServiceAccount(oauth.tokenUri, projectId);
    oauth.trust(account);
    const { isAccessTokenGood } = oauth;
    const fcm = await startFcmStandIn({ certificate, projectId, isAccessTokenGood });
    return { fcm, oauth, account };
  };
  const google = await startGoogle('session-demo');
  const bchatGoogle = await startGoogle('bchat-demo');
  const huaweiOauth = await startHuaweiOauth(certificate, HUAWEI_APP_ID, appSecret);
  const hms = await HmsStandIn.start({
    certificate,
    path: `/v1/${HUAWEI_APP_ID}/messages:send`,
    isAuthorizationGood: huaweiOauth.isGood,
  });

  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(directory, name), content, { mode: 0o600 });
    return name;
  };
  const caFile = await file('ca.pem', authority.certPem);
  // As the originals write them: 64 hex digits and a newline.
  const keyFile = (name: string, pair: typeof sessionPair): Promise<string> =>
    file(`old/${name}`, `${pair.secretKey.toString('hex')}\n`);
  const googleEntry = async ({ account, fcm }: typeof google, name: string) => ({
    type: 'firebase',
    serviceAccountFile: await file(name, account.json),
    endpoint: fcm.endpoint,
    caFile,
  });
  const configuration = {
    http: { port: 0 },
    admin: { port: 0 },
    database: { dataDir: 'data' },
    keys: {
      server: 'keys/server.x25519',
      onion: [await keyFile('session-priv.pem', sessionPair)],
      onionByHost: [`${BCHAT_HOST}=${await keyFile('bchat-priv.pem', bchatPair)}`],
    },
    brands: { session: { statisticsPassword } },
    notifiers: {
      apns: {
        type: 'apns',
        topic: TOPIC,
        keyFile: await file('apns.p8', tokenKey.p8Pem),
        keyId: tokenKey.keyId,
        teamId: tokenKey.teamId,
        endpoint: apns.endpoint,
        caFile,
      },
      firebase: await googleEntry(google, 'firebase.json'),
      huawei: {
        type: 'huawei',
        appId: HUAWEI_APP_ID,
        appSecret,
        endpoint: hms.endpoint,
        tokenEndpoint: huaweiOauth.tokenEndpoint,
        caFile,
      },
      'bchat-firebase': await googleEntry(bchatGoogle, 'bchat-firebase.json'),
    },
    // So that a probe is seen within a short demo.
    delivery: { breakerFailures: 3, breakerProbeSeconds: 1 },
    log: { level: 'info' },
  };
  const configFile = join(directory, await file('waggle.yaml', stringify(configuration)));

  return {
    directory,
    configFile,
    sessionKey: sessionPair.publicKey,
    bchatKey: bchatPair.publicKey,
    statisticsPassword,
    get apns() {
      return apns;
    },
    fcm: google.fcm,
    bchatFcm: bchatGoogle.fcm,
    hms,
    async switchAppleOff() {
      isAppleOn = false;
      await apns.close();
    },
    async switchAppleOn() {
      const { pushes } = apns;
      apns = await startApns(applePort);
      apns.pushes.push(...pushes);
      isAppleOn = true;
    },
    async close() {
      await Promise.all([
        isAppleOn ? apns.close() : undefined,
        ...[google, bchatGoogle].flatMap(({ fcm, oauth }) => [fcm.close(), oauth.close()]),
        hms.close(),
        huaweiOauth.close(),
      ]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
