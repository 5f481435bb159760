import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateVapidKey, vapidKeyPem } from '../../src/crypto/vapid-key.js';
import { createAuthority, createTokenKey } from './certificates.js';
import { startApnsStandIn, type ApnsStandIn } from './providers/apns-stand-in.js';
import type { ClientCredentialsStandIn } from './providers/client-credentials-stand-in.js';
import { HmsStandIn, startHuaweiOauth } from './providers/hms-stand-in.js';
import { PushServiceStandIn } from './providers/push-service-stand-in.js';
import { UnifiedpushStandIn } from './providers/unifiedpush-stand-in.js';
import { startMicrosoftOauth, WnsStandIn } from './providers/wns-stand-in.js';
import { PythonNotifier } from './python-notifier.js';
import { randomKeyPair } from './storage-network/keys.js';
import { startWorld, TOPIC, type World, type WorldOptions } from './world.js';

/** The name that the notifier of another process registers. */
export const EXTERNAL_SERVICE = 'external';

const HUAWEI_APP_ID = '100000001';
const PACKAGE_SID = 'ms-app://s-1-15-2-2972962901-2322836549-3722629029';

/** The world with a stand-in for every type of notifier; service names are those of the types. */
export interface ProviderWorld extends World {
  readonly apnsSandbox: ApnsStandIn;
  /** Changes when Huawei is switched off and on. */
  readonly hms: HmsStandIn;
  readonly huaweiOauth: ClientCredentialsStandIn;
  readonly wns: WnsStandIn;
  readonly microsoftOauth: ClientCredentialsStandIn;
  readonly pushService: PushServiceStandIn;
  readonly unifiedpush: UnifiedpushStandIn;
  /** What browsers pass to `pushManager.subscribe`. */
  readonly vapidPublicKey: string;
  /** `session.listen`. */
  readonly hiveAddress: string;
  /** A notifier in a process of its own, as the server sees it: connects to `hiveAddress` and registers. */
  startExternalNotifier(options?: {
    readonly service?: string;
    readonly intervalMs?: number;
  }): PythonNotifier;
  /** Connections break, new ones are refused. */
  switchHuaweiOff(): Promise<void>;
  /** At the same address again; what it has got stays. */
  switchHuaweiOn(): Promise<void>;
}

/** `options.config` is merged over the sections, notifiers included: an entry of the same name replaces ours. */
export async function startProviderWorld(options: WorldOptions = {}): Promise<ProviderWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-providers-'));
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const record = options.record ?? true;
  const tokenKey = createTokenKey('SANDBOX123');
  const vapid = generateVapidKey();
  const [appSecret, clientSecret] = [secret(), secret()];

  const apnsSandbox = await startApnsStandIn({ certificate, topic: TOPIC, tokenKey, record });
  const huaweiOauth = await startHuaweiOauth(certificate, HUAWEI_APP_ID, appSecret);
  const startHms = (port = 0): Promise<HmsStandIn> =>
    HmsStandIn.start({
      certificate,
      path: `/v1/${HUAWEI_APP_ID}/messages:send`,
      isAuthorizationGood: huaweiOauth.isGood,
      record,
      port,
    });
  let hms = await startHms();
  const hmsPort = hms.http.port;
  let isHuaweiOn = true;
  const microsoftOauth = await startMicrosoftOauth(certificate, PACKAGE_SID, clientSecret);
  const wns = await WnsStandIn.start({ certificate, isAuthorizationGood: microsoftOauth.isGood, record });
  const pushService = await PushServiceStandIn.start({ certificate, host: 'localhost' });
  const unifiedpush = await UnifiedpushStandIn.start({ certificate, host: 'localhost' });

  const file = async (name: string, content: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const caFile = await file('ca.pem', authority.certPem);
  const vapidKeyFiles = [await file('vapid.pem', vapidKeyPem(vapid))];
  const guard = { allowNetworks: ['127.0.0.0/8'], ports: [], caFile };
  const notifiers = {
    'apns-sandbox': {
      type: 'apns',
      topic: TOPIC,
      sandbox: true,
      keyFile: await file('apns-sandbox.p8', tokenKey.p8Pem),
      keyId: tokenKey.keyId,
      teamId: tokenKey.teamId,
      endpoint: apnsSandbox.endpoint,
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
    dummy: { type: 'dummy' },
  };
  const hiveAddress = `ipc://${join(directory, 'hive.sock')}`;
  const { config = {} } = options;
  const world = await startWorld({
    ...options,
    config: {
      ...config,
      session: { listen: hiveAddress, ...config['session'] },
      notifiers: { ...notifiers, ...config['notifiers'] },
    },
  });
  const externals: PythonNotifier[] = [];

  return {
    ...world,
    apnsSandbox,
    get hms() {
      return hms;
    },
    huaweiOauth,
    wns,
    microsoftOauth,
    pushService,
    unifiedpush,
    vapidPublicKey: vapid.publicText,
    hiveAddress,
    startExternalNotifier({ service = EXTERNAL_SERVICE, intervalMs = 1_000 } = {}) {
      const notifier = new PythonNotifier({
        address: hiveAddress,
        service,
        keyPair: randomKeyPair(),
        intervalMs,
      });
      externals.push(notifier);
      return notifier;
    },
    async switchHuaweiOff() {
      isHuaweiOn = false;
      await hms.close();
    },
    async switchHuaweiOn() {
      const { pushes } = hms;
      hms = await startHms(hmsPort);
      hms.pushes.push(...pushes);
      isHuaweiOn = true;
    },
    async close() {
      for (const external of externals) external.kill();
      await Promise.all([
        world.close(),
        apnsSandbox.close(),
        isHuaweiOn ? hms.close() : undefined,
        huaweiOauth.close(),
        wns.close(),
        microsoftOauth.close(),
        pushService.close(),
        unifiedpush.close(),
      ]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const secret = (): string => randomBytes(24).toString('base64url');
