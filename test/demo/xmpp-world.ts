import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAuthority, createServiceAccount, createTokenKey } from '../simulators/certificates.js';
import { newPassword } from '../simulators/legacy-world.js';
import { startApnsStandIn, type ApnsStandIn } from '../simulators/providers/apns-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from '../simulators/providers/fcm-stand-in.js';
import { OauthStandIn } from '../simulators/providers/oauth-stand-in.js';
import { startMicrosoftOauth, WnsStandIn } from '../simulators/providers/wns-stand-in.js';
import { freePorts } from '../simulators/xmpp/peer-process.js';
import type { DemoXmppServer } from './xmpp-servers.js';

const TOPIC = 'im.example.chat';
const PROJECT = 'xmpp-demo';
const PACKAGE_SID = 'ms-app://s-1-15-2-2972962901-2322836549-3722629029';

/** Seconds from one push to the next of a device; 5 unless the operator says otherwise. */
export const SPACING_SECONDS = 2;

/** What an operator has who serves an XMPP server's users: providers, a certificate for UWPX, a configuration. */
export interface XmppWorld {
  readonly configFile: string;
  readonly apns: ApnsStandIn;
  /** Changes when Google is switched off and on. */
  readonly fcm: FcmStandIn;
  readonly wns: WnsStandIn;
  readonly uwpxPort: number;
  /** PEM: whom UWPX trusts. */
  readonly authority: string;
  /** Connections break, new ones are refused. */
  switchGoogleOff(): Promise<void>;
  /** At the same address again; what it has got stays. */
  switchGoogleOn(): Promise<void>;
  close(): Promise<void>;
}

export async function startXmppWorld(server: DemoXmppServer): Promise<XmppWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-xmpp-'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const tokenKey = createTokenKey();
  const clientSecret = newPassword();
  const [uwpxPort = 0] = await freePorts(1);

  const apns = await startApnsStandIn({ certificate, topic: TOPIC, tokenKey });
  const oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri, PROJECT);
  oauth.trust(account);
  const startFcm = (port = 0): Promise<FcmStandIn> =>
    startFcmStandIn({
      certificate,
      projectId: PROJECT,
      isAccessTokenGood: oauth.isAccessTokenGood,
      port,
    });
  let fcm = await startFcm();
  const googlePort = fcm.port;
  let isGoogleOn = true;
  const microsoftOauth = await startMicrosoftOauth(certificate, PACKAGE_SID, clientSecret);
  const wns = await WnsStandIn.start({ certificate, isAuthorizationGood: microsoftOauth.isGood });

  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(directory, name), content, { mode: 0o600 });
    return name;
  };
  const caFile = await file('ca.pem', authority.certPem);
  const configuration = {
    http: { port: 0 },
    admin: { port: 0 },
    database: { dataDir: 'data' },
    keys: {
      server: 'keys/server.x25519',
      onion: ['keys/onion.x25519'],
      registrations: 'keys/registrations.key',
    },
    session: { enabled: false },
    legacy: { enabled: false },
    xmpp: {
      enabled: true,
      components: {
        [server.component.domain]: {
          port: server.componentPort,
          secret: `file:${await file('component-secret', server.component.secret)}`,
        },
      },
      rateLimitSeconds: SPACING_SECONDS,
      backOffSeconds: [0.2],
    },
    uwpx: {
      enabled: true,
      host: '127.0.0.1',
      port: uwpxPort,
      certificateFile: await file('uwpx.pem', certificate.certPem + certificate.keyPem),
    },
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
      firebase: {
        type: 'firebase',
        serviceAccountFile: await file('firebase.json', account.json),
        endpoint: fcm.endpoint,
        caFile,
      },
      wns: {
        type: 'wns',
        packageSid: PACKAGE_SID,
        clientSecret: `file:${await file('wns-secret', clientSecret)}`,
        endpoint: wns.endpoint,
        tokenEndpoint: microsoftOauth.tokenEndpoint,
        caFile,
      },
    },
    // So that a probe is seen within a short demo.
    delivery: { breakerFailures: 3, breakerProbeSeconds: 1 },
    log: { level: 'info' },
  };
  const configFile = join(directory, await file('waggle.yaml', stringify(configuration)));

  return {
    configFile,
    apns,
    get fcm() {
      return fcm;
    },
    wns,
    uwpxPort,
    authority: authority.certPem,
    async switchGoogleOff() {
      isGoogleOn = false;
      await fcm.close();
    },
    async switchGoogleOn() {
      const { pushes } = fcm;
      fcm = await startFcm(googlePort);
      fcm.pushes.push(...pushes);
      isGoogleOn = true;
    },
    async close() {
      await Promise.all([
        apns.close(),
        isGoogleOn ? fcm.close() : undefined,
        oauth.close(),
        wns.close(),
        microsoftOauth.close(),
      ]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
