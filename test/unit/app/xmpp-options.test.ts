import { afterAll, describe, expect, it } from 'vitest';
import { uwpxDevicesOptions, uwpxOptions } from '../../../src/app/uwpx-options.js';
import { xmppOptions } from '../../../src/app/xmpp-options.js';
import { defaultAppServerHttpOptions } from '../../../src/http/server-options.js';
import { defaultCleanUpOptions } from '../../../src/uwpx/clean-up.js';
import { defaultUwpxLimits } from '../../../src/uwpx/limits.js';
import { defaultListenerLimits } from '../../../src/uwpx/listener-options.js';
import { defaultUwpxTargetsOptions } from '../../../src/uwpx/targets.js';
import { defaultXmppDeviceLimits } from '../../../src/xmpp-devices/limits.js';
import { bareJid, parseJid } from '../../../src/xmpp/jid.js';
import { defaultXmppOptions } from '../../../src/xmpp/options.js';
import { createTestDirectory, loadGood } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

let files = 0;
const loadText = (text: string, argv: readonly string[] = []) =>
  loadGood({ file: directory.write(`${(files += 1)}.yaml`, text), argv });

const component = `xmpp:
  enabled: true
  components:
    push.example.org: { secret: s3cret, connections: 2 }
`;

describe('what the parts for XMPP servers are told', () => {
  it('is what they take for their defaults, but for how many devices there may be', () => {
    const options = xmppOptions(loadGood());
    expect(options).toMatchObject({
      enabled: false,
      components: [],
      statusWord: 'completed',
      spacing: { distanceMs: 5000, maxKeys: 100_000 },
      bindDomain: 'p2',
      http: null,
      pollMs: 1000,
      flushMs: 30_000,
    });
    expect(options.options).toEqual(defaultXmppOptions);
    const bounds = { maxDevices: 2_000_000, maxDevicesPerDomain: 1_000_000 };
    expect(options.devices).toEqual({ ...defaultXmppDeviceLimits, ...bounds });
    expect(xmppOptions(loadText('xmpp: { enabled: true }\n')).http).toEqual(defaultAppServerHttpOptions);
  });

  it('of components: secrets in plain text, and only what is theirs', () => {
    const options = xmppOptions(loadText(`${component}    b: { domain: b.example.org, secret: t }\n`));
    const rest = { host: '127.0.0.1', port: 5347, pingDomain: null };
    expect(options.components).toEqual([
      { ...rest, domain: 'push.example.org', secret: 's3cret', connections: 2 },
      { ...rest, domain: 'b.example.org', secret: 't', connections: 1 },
    ]);
    expect(xmppOptions(loadText(component, ['--xmpp.enabled=false'])).components).toEqual([]);
  });

  it.each(['push.example.org', 'PUSH.example.org', 'push', 'büro.example'])(
    'of components: %s is a domain to the configuration and to the component alike',
    (domain) => {
      const argv = ['--xmpp.components.a.secret=s', `--xmpp.components.a.domain=${domain}`];
      const [entry] = xmppOptions(loadGood({ argv: ['--xmpp.enabled', ...argv] })).components;
      const jid = parseJid(domain);
      expect(entry?.domain).toBe(jid === null ? null : bareJid(jid));
    },
  );

  it('of types: what each means, and whether anybody can send', () => {
    const text = `xmpp:
  types:
    huawei: { enabled: false }
    calls: { service: apns, priority: voip, ttlSeconds: 30 }
    own: { service: dummy, alertBody: null }
notifiers:
  apns: { certFile: /c.pem }
  firebase:
  dummy:
`;
    const { types } = xmppOptions(loadText(text));
    expect([...types.keys()]).toEqual(['apns', 'fcm', 'webpush', 'unifiedpush', 'wns', 'calls', 'own']);
    expect(types.get('apns')).toEqual({
      name: 'apns',
      service: 'apns',
      notifierType: 'apns',
      priority: 'auto',
      lifetimeMs: 28 * 86_400_000,
      alertTitle: 'New Message',
      alertBody: 'New Message',
      mutableContent: true,
      collapse: false,
    });
    expect(types.get('calls')).toMatchObject({ notifierType: 'apns', priority: 'voip', lifetimeMs: 30_000 });
    expect(types.get('own')).toMatchObject({ notifierType: 'dummy', alertBody: null });
    // Without credentials, and not there at all.
    expect(types.get('fcm')).toMatchObject({ service: 'firebase', notifierType: null });
    expect(types.get('wns')).toMatchObject({ service: 'wns', notifierType: null });
  });

  it('of times and bounds: whatever the operator says', () => {
    const text = `xmpp:
  commandStatus: complete
  bindDomain: always
  rateLimitSeconds: 0.25
  rateLimitMaxKeys: 200
  maxDevices: 3
  maxDevicesPerDomain: 2
  maxMemoryBytes: 2097152
  registrationsPerMinutePerDomain: 4
  maxDomainsTracked: 500
  maxWaitingRegistrations: 5
  maxWaitingLookUps: 6
  writePatienceMs: 700
  pollSeconds: 8
  pollRows: 90
  lastPushFlushSeconds: 9
  answerTimeoutSeconds: 10
  maxOpenRequests: 11
  maxStanzaChars: 12000
  maxDepth: 13
  maxAttributes: 14
  maxSendQueueBytes: 65537
  coalesceMs: 15
  openTimeoutMs: 150
  closeTimeoutMs: 160
  pingIntervalSeconds: 17
  silenceSeconds: 18
  stableSeconds: 19
  backOffSeconds: [0.2, 20]
  refusedBackOffSeconds: [21]
  conflictBackOffMinSeconds: 22
  conflictBackOffMaxSeconds: 23
  drainSeconds: 24
`;
    expect(xmppOptions(loadText(text))).toMatchObject({
      statusWord: 'complete',
      bindDomain: 'always',
      spacing: { distanceMs: 250, maxKeys: 200 },
      devices: {
        maxDevices: 3,
        maxDevicesPerDomain: 2,
        maxDirectoryBytes: 2_097_152,
        requestsPerMinutePerDomain: 4,
        maxCountedDomains: 500,
        maxWaiting: 5,
        maxWaitingLookUps: 6,
        writePatienceMs: 700,
        pollRows: 90,
      },
      pollMs: 8000,
      flushMs: 9000,
      options: {
        xml: { maxStanzaChars: 12_000, maxDepth: 13, maxAttributes: 14 },
        coalesceMs: 15,
        openTimeoutMs: 150,
        pingIntervalMs: 17_000,
        silenceMs: 18_000,
        closeTimeoutMs: 160,
        maxSendQueueBytes: 65_537,
        backOffSeconds: [0.2, 20],
        refusedBackOffSeconds: [21],
        conflictBackOffSeconds: [22, 23],
        stableAfterMs: 19_000,
        answerTimeoutMs: 10_000,
        maxOpenRequests: 11,
        drainMs: 24_000,
      },
    });
  });

  it('of HTTP: nothing without it, else the limits, the token and the one domain', () => {
    const http = (more: string, argv: readonly string[] = []) =>
      xmppOptions(loadText(`${component}${more}`, argv)).http;
    expect(http('', ['--xmpp.httpEnabled=false'])).toBeNull();
    const argv = ['--xmpp.httpDebug', '--admin.token=t0ken', '--xmpp.httpPushesPerMinute=7'];
    expect(http('', argv)).toEqual({
      debug: true,
      adminToken: 't0ken',
      registrationsPerMinute: 60,
      pushesPerMinute: 7,
      answerTimeoutMs: 25_000,
      jid: 'push.example.org',
    });
    const again = '    b: { domain: push.example.org, host: 127.0.0.2, secret: s }\n';
    expect(http(again)).toMatchObject({ jid: 'push.example.org' });
    expect(http('    b.example.org: { secret: s }\n')).toMatchObject({ jid: null });
  });
});

describe('what the parts for UWPX are told', () => {
  const base = `${component}uwpx:
  enabled: true
  certificateFile: /c.pem
`;
  const notifier = 'notifiers: { wns: , other: { type: wns } }\n';

  it('is nothing while it is not enabled', () => {
    expect(uwpxOptions(loadGood())).toBeNull();
    expect(uwpxDevicesOptions(loadGood())).toBeNull();
  });

  it('is its devices where XMPP servers publish: another process may serve their clients', () => {
    expect(uwpxOptions(loadText(component))).toBeNull();
    expect(uwpxDevicesOptions(loadText(component))?.service).toBe('wns');
  });

  it('is what they take for their defaults', () => {
    expect(uwpxOptions(loadText(base + notifier))).toEqual({
      address: { host: '::', port: 1997, certificateFile: '/c.pem', keyFile: '/c.pem' },
      listenerLimits: defaultListenerLimits,
      limits: defaultUwpxLimits,
      exempt: ['127.0.0.0/8', '::1'],
      pushAddress: 'push.example.org',
      cleanUp: defaultCleanUpOptions,
      cleanUpMs: 3_600_000,
      account: null,
    });
    expect(uwpxDevicesOptions(loadText(base + notifier))).toEqual({
      service: 'wns',
      targets: { ...defaultUwpxTargetsOptions, service: 'wns', lifetimeMs: 28 * 86_400_000 },
      maxDevices: 1_000_000,
    });
  });

  it('of the account, and of what clients are to publish to', () => {
    const account = '  accountJid: push@example.com\n  accountPassword: pa55word\n  accountCaFile: ca.pem\n';
    const addressOf = (text: string, argv: readonly string[] = []) =>
      uwpxOptions(loadText(text + notifier, argv))?.pushAddress;
    expect(uwpxOptions(loadText(base + account + notifier))?.account).toEqual({
      jid: 'push@example.com',
      password: 'pa55word',
      host: null,
      port: 5222,
      caFile: `${directory.path}/ca.pem`,
      plainOnLoopback: false,
    });
    expect(addressOf(base + account)).toBe('push.example.org');
    expect(addressOf(base + account, ['--xmpp.enabled=false'])).toBe('push@example.com');
    expect(addressOf(base, ['--uwpx.pushAddress=Push@push.example.org'])).toBe('push@push.example.org');
  });

  it('of times and bounds: whatever the operator says', () => {
    const text = `${base}  host: 127.0.0.1
  port: 0
  keyFile: /k.pem
  service: other
  ttlSeconds: 60
  maxDevices: 2
  maxAccountsPerDevice: 3
  maxIdBytes: 4
  newDevicesBurst: 5
  newDevicesPerHour: 6
  messagesBurst: 7
  messagesPerMinute: 8
  testPushesBurst: 9
  testPushesPerHour: 10
  maxSendersTracked: 110
  maxMessagesInProgress: 12
  maxWaitingLookUps: 13
  answerTimeoutMs: 140
  maxMessageBytes: 5000
  maxConnections: 16
  maxConnectionsPerAddress: 17
  maxHandshakes: 18
  handshakeTimeoutMs: 190
  idleTimeoutMs: 200
  quietMs: 21
  writeTimeoutMs: 220
  maxFaults: 23
  certificateCheckSeconds: 24
  ticketLifetimeHours: 25
  drainMs: 26
  outdatedDays: 27
  lostChannelGraceDays: 28
  cleanUpSeconds: 29
${notifier}`;
    const config = loadText(text, ['--xmpp.bindDomain=always']);
    expect(uwpxDevicesOptions(config)).toMatchObject({
      service: 'other',
      targets: { service: 'other', lifetimeMs: 60_000, bindDomain: true, lookUps: { maxWaiting: 13 } },
      maxDevices: 2,
    });
    expect(uwpxOptions(config)).toMatchObject({
      address: { host: '127.0.0.1', port: 0, keyFile: '/k.pem' },
      limits: {
        accountsPerDevice: 3,
        idMaxBytes: 4,
        newDevicesBurst: 5,
        newDevicesPerHour: 6,
        messagesBurst: 7,
        messagesPerMinute: 8,
        testPushesBurst: 9,
        testPushesPerHour: 10,
        rememberedSenders: 110,
        messagesInProgress: 12,
        answerTimeoutMs: 140,
      },
      listenerLimits: {
        messageMaxBytes: 5000,
        connectionsMax: 16,
        connectionsPerAddress: 17,
        handshakesMax: 18,
        handshakeTimeoutMs: 190,
        idleTimeoutMs: 200,
        quietMs: 21,
        writeTimeoutMs: 220,
        faultsMax: 23,
        certificateCheckMs: 24_000,
        ticketLifetimeMs: 25 * 3_600_000,
        lingerMs: defaultListenerLimits.lingerMs,
        drainMs: 26,
      },
      cleanUp: { outdatedMs: 27 * 86_400_000, graceMs: 28 * 86_400_000 },
      cleanUpMs: 29_000,
    });
  });
});
