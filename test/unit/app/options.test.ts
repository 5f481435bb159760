import { afterAll, describe, expect, it } from 'vitest';
import * as options from '../../../src/app/options.js';
import { notifierTypes } from '../../../src/config/notifier-schema.js';
import { generateVapidKey, vapidKeyPem } from '../../../src/crypto/vapid-key.js';
import { systemClock } from '../../../src/domain/clock.js';
import { parseServiceName } from '../../../src/domain/ids.js';
import { defaultLegacyLimits } from '../../../src/legacy/limits.js';
import { defaultHttpServerOptions } from '../../../src/http/server-options.js';
import { bchatPreset, sessionPreset } from '../../simulators/brand-presets.js';
import { recipientLimitDefaults } from '../../../src/legacy/recipient-limit.js';
import { invalidNetwork } from '../../../src/notifiers/endpoint-guard.js';
import { parseMarkers } from '../../../src/notifiers/markers.js';
import { createNotifiers } from '../../../src/notifiers/registry.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { createServiceAccount, createTokenKey } from '../../simulators/certificates.js';
import { createTestDirectory, loadGood, problemsOf } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const token = createTokenKey();
const file = (name: string, text: string): string => directory.write(name, text);
const full = file(
  'full.yaml',
  `delivery: { durability: journal, windowMin: 3, spillAfterMs: 20, paceMaxDevices: 200, maxPauseSeconds: 60 }
outbox: { maxRows: 5000, gatherMs: 9 }
notifiers:
  apns: { keyFile: ${file('token.p8', token.p8Pem)}, keyId: ${token.keyId}, teamId: ${token.teamId} }
  firebase:
    serviceAccountFile: ${file('account.json', createServiceAccount('https://127.0.0.1:1/token').json)}
    paceSeconds: 30
  huawei: { appId: 1, appSecret: hms-s3cret }
  wns: { packageSid: "ms-app://s-1-15-2-1", clientSecret: wns-s3cret }
  webpush: { vapidKeyFiles: [${file('vapid.pem', vapidKeyPem(generateVapidKey()))}], subject: "mailto:a@b.org" }
  unifiedpush: { paceSeconds: 5 }
  dummy:
`,
);
const config = loadGood({ file: full });

describe('what the parts are told', () => {
  it('of notifiers: every type starts from its configuration', async () => {
    const { entries } = options.notifierEntries(config);
    const { notifiers, skipped } = createNotifiers(entries, { clock: systemClock, log: silentLog() });
    expect(skipped).toEqual([]);
    expect([...notifiers.values()].map(({ type }) => type).sort()).toEqual([...notifierTypes].sort());
    await Promise.all([...notifiers.values()].map((notifier) => notifier.close()));
  });

  it('of notifiers: secrets in plain text, and only what is theirs', () => {
    const { entries } = options.notifierEntries(config);
    expect(entries['huawei']).toMatchObject({ appSecret: 'hms-s3cret', retryAfterMaxMs: 60_000 });
    expect(entries['wns']).toMatchObject({ clientSecret: 'wns-s3cret' });
    for (const entry of Object.values(entries)) {
      expect(entry).not.toHaveProperty('name');
      expect(entry).not.toHaveProperty('paceSeconds');
    }
  });

  it.each(notifierTypes)(
    'of a %s without anything: skipped with a reason, unless it needs nothing',
    async (type) => {
      const bare = loadGood({ argv: [`--notifiers.x.type=${type}`] });
      const { entries, incomplete } = options.notifierEntries(bare);
      const { notifiers, skipped } = createNotifiers(entries, { clock: systemClock, log: silentLog() });
      expect(skipped).toEqual([]);
      const needsNothing = ['unifiedpush', 'dummy'].includes(type);
      expect([notifiers.size, incomplete.length]).toEqual(needsNothing ? [1, 0] : [0, 1]);
      await Promise.all([...notifiers.values()].map((notifier) => notifier.close()));
    },
  );

  it.each(['10.0.0.0/8', '10.1.2.3', '::1', 'fd00::/8', '0.0.0.0/0', '::ffff:10.0.0.0/104', '10.0.0.0/32'])(
    'of networks: the endpoint guard takes %s, which the configuration takes',
    (network) => {
      const { notifiers } = loadGood({ argv: [`--notifiers.unifiedpush.allowNetworks=${network}`] });
      expect(notifiers['unifiedpush']).toMatchObject({ allowNetworks: [network] });
      expect(invalidNetwork([network])).toBeNull();
    },
  );

  it('of networks: an interface is none', () => {
    expect(problemsOf({ argv: ['--notifiers.unifiedpush.allowNetworks=fe80::1%eth0'] })).toHaveLength(1);
  });

  it('of the doors for external notifiers', () => {
    const argv = [
      '--session.listen=ipc:///run/hive',
      '--session.notifierTimeoutSeconds=3',
      '--session.notifierAwaySeconds=20',
      '--session.maxExternalNotifiers=2',
      '--delivery.maxInFlight=9',
    ];
    expect(options.hiveOptions(loadGood({ argv }))).toMatchObject({
      listen: 'ipc:///run/hive',
      listenCurve: null,
      notifierTimeoutMs: 3000,
      notifierAwayMs: 20_000,
      maxServices: 2,
      maxInFlight: 9,
    });
  });

  it('of the door for clients: what the server takes for its defaults', () => {
    expect(options.httpOptions(loadGood())).toEqual(defaultHttpServerOptions);
  });

  it('of brands: what the presets say, and which services', () => {
    const { brands } = options;
    const services = { apns: 'apns', firebase: 'firebase', huawei: 'huawei' };
    expect(brands(loadGood())).toEqual([
      { ...sessionPreset, services, statisticsPassword: null },
      { ...bchatPreset, services, statisticsPassword: null },
    ]);
    const argv = [
      '--brands.bchat.statisticsPassword=s3cret',
      '--brands.session.enabled=false',
      '--notifiers.bchat-apns.type=apns',
    ];
    expect(brands(loadGood({ argv }))).toEqual([
      { ...bchatPreset, services: { ...services, apns: 'bchat-apns' }, statisticsPassword: 's3cret' },
    ]);
  });

  it('of brands without older clients: the v4 paths are left, for subscriptions', () => {
    const argv = ['--legacy.enabled=false', '--brands.session.statisticsPassword=s3cret'];
    const paths = (more: readonly string[] = []) =>
      options
        .brands(loadGood({ argv: [...argv, ...more] }))
        .map(({ v2Path, v4Path, statisticsPassword }) => [v2Path, v4Path, statisticsPassword]);
    expect(paths()).toEqual([
      [null, '/oxen/v4/lsrpc', null],
      [null, '/beldex/v4/lsrpc', null],
    ]);
    expect(paths(['--brands.bchat.v4Path=null'])).toEqual([[null, '/oxen/v4/lsrpc', null]]);
  });

  it('of older clients', () => {
    const argv = [
      '--legacy.maxTokensPerAccount=3',
      '--legacy.notifyBurst=7',
      '--legacy.pushLifetimeHours=2',
      '--legacy.statisticsPeriodHours=12',
      '--legacy.statisticsFlushSeconds=5',
      '--legacy.quietRepeatSeconds=9',
    ];
    const defaults = options.legacyOptions(loadGood());
    expect(defaults).toMatchObject({
      enabled: true,
      limits: defaultLegacyLimits,
      recipients: recipientLimitDefaults,
      pushLifetimeMs: 14 * 86_400_000,
    });
    expect(options.legacyOptions(loadGood({ argv }))).toEqual({
      ...defaults,
      limits: { ...defaults.limits, maxTokensPerAccount: 3, quietRepeatMs: 9000 },
      recipients: { ...defaults.recipients, burst: 7 },
      pushLifetimeMs: 7_200_000,
      statistics: { ...defaults.statistics, periodMs: 43_200_000 },
      statisticsFlushMs: 5000,
    });
  });

  it.each(['apns', 'firebase', 'huawei'])(
    'of markers: an entry of type %s gets those of its brand, or its own',
    (type) => {
      const needed = {
        apns: 'certFile: /c',
        firebase: 'serviceAccountFile: /s',
        huawei: 'appId: 1, appSecret: s',
      };
      const entry = `type: ${type}, ${needed[type as keyof typeof needed]}`;
      const { entries } = options.notifierEntries(
        loadGood({
          file: file(
            `markers-${type}.yaml`,
            `notifiers: { ${type}: { ${entry} }, bchat-${type}: { ${entry} }, own: { ${entry}, markers: [own] } }\n`,
          ),
        }),
      );
      expect(entries[type]).toMatchObject({ markers: ['spns'] });
      expect(entries[`bchat-${type}`]).toMatchObject({ markers: ['spns', 'pns'] });
      expect(entries['own']).toMatchObject({ markers: ['own'] });
    },
  );

  it.each(['spns', 'pns', 'a', 'Z_9', `a${'b'.repeat(31)}`])(
    'of markers: notifiers take %s, which the configuration takes',
    (marker) => {
      const { notifiers } = loadGood({ argv: [`--notifiers.firebase.markers=${marker}`] });
      expect(notifiers['firebase']).toMatchObject({ markers: [marker] });
      expect(parseMarkers([marker])).toEqual({ ok: true, value: [marker] });
    },
  );

  it('of the network: whose words the daemon has', () => {
    expect(options.networkOptions(loadGood()).daemon).toBe('oxend');
    expect(options.networkOptions(loadGood({ argv: ['--session.daemon=beldexd'] })).daemon).toBe('beldexd');
  });

  it('of delivery and the outbox', () => {
    const { actor, paceSecondsOf } = options.deliveryOptions(config);
    expect(actor).toMatchObject({
      durability: 'journal',
      windowMin: 3,
      spillAfterMs: 20,
      paceMaxDevices: 200,
      maxPauseMs: 60_000,
    });
    const paceOf = (name: string) => {
      const service = parseServiceName(name);
      return service === null ? null : paceSecondsOf?.(service);
    };
    expect(['firebase', 'unifiedpush', 'apns', 'external'].map(paceOf)).toEqual([30, 5, 0, 0]);
    expect(options.outboxOptions(config)).toMatchObject({ maxRows: 5000, gatherMs: 9 });
  });
});
