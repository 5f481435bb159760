import { chmodSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority, createServiceAccount, createTokenKey } from '../../simulators/certificates.js';
import { createPkcs12 } from '../../simulators/pkcs12.js';
import { createTestDirectory } from '../config/support.js';
import { generateVapidKey, vapidKeyPem } from '../../../src/crypto/vapid-key.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const DAY_MS = 86_400_000;
const authority = createAuthority();
const client = authority.issueAppleClient();
const file = (name: string, text: string): string => {
  const path = directory.write(name, text);
  chmodSync(path, 0o600);
  return path;
};
const check = (...argv: string[]) => run(['check-config', ...argv], { cwd: directory.path });
const checkFile = (text: string) => check('--config', file('waggle.yaml', text));

const keyFile = file('key', `${'ab'.repeat(32)}\n`);
chmodSync(keyFile, 0o600);
const keys = `keys: { server: ${keyFile}, onion: [${keyFile}] }\nsession: { oxend: "tcp://127.0.0.1:22029" }\nbrands: { bchat: { enabled: false } }\n`;
const cert = file('cert.pem', client.certPem);
const key = file('key.pem', client.keyPem);
const combined = file('combined.pem', client.certPem + client.keyPem);
const ca = file('ca.pem', authority.certPem);
const vapid = file('vapid.pem', vapidKeyPem(generateVapidKey()));
const binary = (name: string, content: Buffer): string => {
  writeFileSync(`${directory.path}/${name}`, content, { mode: 0o600 });
  return `${directory.path}/${name}`;
};
const account = file('account.json', createServiceAccount('https://127.0.0.1:1/token').json);

describe('check-config', () => {
  it('finds nothing wrong with a whole and good configuration', async () => {
    const token = createTokenKey();
    const p8 = file('token.p8', token.p8Pem);
    const checked = await checkFile(`${keys}notifiers:
  apns: { certFile: ${cert}, keyFile: ${key}, caFile: ${ca}, endpoint: "https://127.0.0.1:1" }
  apns-sandbox: { type: apns, sandbox: true, certFile: ${combined} }
  apns-p12: { type: apns, topic: com.example.other, pfxFile: ${binary('good.p12', createPkcs12(client, 'p12-pass'))}, pfxPassphrase: p12-pass }
  apns-token: { type: apns, keyFile: ${p8}, keyId: ${token.keyId}, teamId: ${token.teamId} }
  firebase: { serviceAccountFile: ${account} }
`);
    expect(checked).toEqual({ code: 0, stderr: '', stdout: expect.stringContaining('is good') as string });
  });

  it('warns about secrets of notifiers that every user of the machine can read', async () => {
    const open = (path: string): string => {
      chmodSync(path, 0o644);
      return path;
    };
    const readable = [
      open(file('open.pem', client.certPem + client.keyPem)),
      open(file('open.json', createServiceAccount('https://127.0.0.1:1/token').json)),
      open(file('open-vapid.pem', vapidKeyPem(generateVapidKey()))),
    ] as const;
    const { code, stderr } = await checkFile(`${keys}notifiers:
  apns: { certFile: ${cert}, keyFile: ${readable[0]} }
  firebase: { serviceAccountFile: ${readable[1]} }
  webpush: { vapidKeyFiles: [${vapid}, ${readable[2]}], subject: "mailto:push@example.org" }
`);
    expect(code).toBe(0);
    for (const path of readable)
      expect(stderr).toContain(`${path} can be read by every user of this machine; chmod 600 it`);
    expect(stderr).not.toContain(`${vapid} can be read`);
  });

  it('warns, and ends with 0, about what is missing but not wrong', async () => {
    const { code, stderr } = await checkFile(
      'notifiers: { apns: , firebase: , huawei: { appId: 1 } }\nhttp: { host: 0.0.0.0, trustProxy: true }\n',
    );
    expect(code).toBe(0);
    for (const part of [
      'keys.server',
      'keys.onion',
      'session.oxend',
      'notifiers.apns',
      'notifiers.firebase',
      'notifiers.huawei',
      'http.trustProxy',
    ]) {
      expect(stderr).toContain(`warning: ${part}: `);
    }
    expect(stderr).not.toContain('error:');
  });

  const sid = 'ms-app://s-1-15-2-1';
  const admin = 'ab'.repeat(32);

  it.each([
    ['a journal in the embedded database', 'delivery: { durability: journal }', 'delivery.durability'],
    ['a plain listener for the network', 'session: { listen: "tcp://0.0.0.0:1" }', 'session.listen'],
    ['admins without a listener', `session: { listenCurveAdmins: [${admin}] }`, 'session.listenCurveAdmins'],
    [
      'external notifiers that cannot register',
      'session: { notifiersExpected: [a], listenCurve: "tcp://127.0.0.1:1" }',
      'session.notifiersExpected',
    ],
    [
      'external notifiers that are away between two registrations',
      'session: { notifierAwaySeconds: 5 }',
      'session.notifierAwaySeconds',
    ],
    [
      'two services for one app in one environment',
      `notifiers: { apns: { certFile: ${combined} }, apns-b: { type: apns, certFile: ${combined} } }`,
      'notifiers.apns-b',
    ],
    [
      'a sandbox in production',
      `notifiers: { apns-sandbox: { type: apns, certFile: ${combined} } }`,
      'notifiers.apns-sandbox.sandbox',
    ],
    [
      'an alert that no extension decrypts',
      `notifiers: { apns: { mutableContent: false } }`,
      'notifiers.apns.mutableContent',
    ],
    ['a passphrase of nothing', 'notifiers: { apns: { pfxPassphrase: x } }', 'notifiers.apns.pfxPassphrase'],
    ['a project for v1', 'notifiers: { huawei: { projectId: 1 } }', 'notifiers.huawei.projectId'],
    ['an application id without tenant', 'notifiers: { wns: { packageSid: a } }', 'notifiers.wns.packageSid'],
    [
      'a package SID with a tenant',
      `notifiers: { wns: { packageSid: "${sid}", tenantId: t } }`,
      'notifiers.wns.packageSid',
    ],
    ['a webpush without subject', 'notifiers: { webpush: { vapidKeyFiles: [/v] } }', 'notifiers.webpush'],
    ['endpoints at any port', 'notifiers: { unifiedpush: { ports: [] } }', 'notifiers.unifiedpush.ports'],
    [
      'endpoints without TLS in the internet',
      'notifiers: { unifiedpush: { allowHttp: true } }',
      'notifiers.unifiedpush.allowHttp',
    ],
  ])('warns about %s', async (_, text, part) => {
    const { stderr } = await checkFile(`${text}\n`);
    expect(stderr).toContain(`warning: ${part}: `);
  });

  const both = `notifiers: { apns: { certFile: ${combined} }, bchat-apns: { type: apns, certFile: ${combined}, topic: com.beldex.bchat } }`;

  it.each([
    ['a brand that shares its notifiers', `notifiers: { apns: { certFile: ${combined} } }`, 'brands.bchat'],
    ['older clients that nobody can push to', 'notifiers: { apns: }', 'brands.session'],
    ['a notifier that there is not', 'brands: { bchat: { apns: other } }', 'brands.bchat.apns'],
    [
      'a notifier of another type',
      `notifiers: { apns: { type: firebase, serviceAccountFile: ${account} } }`,
      'brands.session.apns',
    ],
    [
      "Bchat's notifier with Session's topic",
      `notifiers: { bchat-apns: { type: apns, certFile: ${combined} } }`,
      'notifiers.bchat-apns.topic',
    ],
    ['no brand at all', 'brands: { session: { enabled: false }, bchat: { enabled: false } }', 'brands'],
    [
      'a path that nodes do not forward to',
      'brands: { bchat: { v4Path: /bchat/v4/lsrpc } }',
      'brands.bchat.v4Path',
    ],
    ['the salt of another network', 'brands: { bchat: { onionSalt: LOKI } }', 'brands.bchat.onionSalt'],
    [
      'a password that tells nobody apart',
      'brands: { session: { statisticsPassword: sec-ret }, bchat: { statisticsPassword: sec-ret } }',
      'brands.bchat.statisticsPassword',
    ],
    [
      'a password for nothing',
      'legacy: { enabled: false }\nbrands: { session: { statisticsPassword: sec-ret } }',
      'brands.session.statisticsPassword',
    ],
    [
      'a brand without a door',
      'legacy: { enabled: false }\nbrands: { bchat: { v4Path: null } }',
      'brands.bchat',
    ],
  ])('warns about %s', async (_, text, part) => {
    const { code, stdout, stderr } = await checkFile(`${text}\n`);
    expect(code).toBe(0);
    expect(stderr).toContain(`warning: ${part}: `);
    expect(stdout + stderr).not.toContain('sec-ret');
  });

  it('says of what is missing of all brands once, and of each what it shares', async () => {
    const nothing = await checkFile('{}\n');
    expect(nothing.stderr.match(/brands/g)).toHaveLength(1);
    expect(nothing.stderr).toContain('older clients of session and bchat get no pushes');
    const shared = await checkFile(
      `notifiers: { apns: { certFile: ${combined} }, firebase: { serviceAccountFile: ${account} }, huawei: { appId: 1 } }\n`,
    );
    expect(shared.stderr.match(/brands\./g)).toHaveLength(1);
    expect(shared.stderr).toContain('shares apns, firebase with session');
    expect(shared.stderr).toContain('(bchat-apns, bchat-firebase)');
  });

  it.each([
    ['brands with notifiers of their own', both],
    ['a dummy that all brands share', 'notifiers: { apns: { type: dummy } }'],
    [
      'an expected external notifier',
      `session: { notifiersExpected: [ext], listen: "ipc:///run/x" }\nbrands: { session: { huawei: ext } }\n${both}`,
    ],
    ['one brand alone', `brands: { session: { enabled: false } }\n${both}`],
  ])('has nothing against %s', async (_, text) => {
    expect((await checkFile(`${text}\n`)).stderr).not.toMatch(/brands|topic/);
  });

  it('refuses a key by host that is missing: nobody would know a new one', async () => {
    const { code, stderr } = await checkFile('keys: { onionByHost: [a.example=nowhere] }\n');
    expect(code).toBe(78);
    expect(stderr).toContain('error: keys.onionByHost: ');
  });

  it('refuses a key by host that is none', async () => {
    const { code, stderr } = await checkFile(
      `keys: { onionByHost: [a.example=${file('bad-key', 'sec-ret')}] }\n`,
    );
    expect(stderr).toContain('error: keys.onionByHost: ');
    expect(code).toBe(78);
    expect(stderr).not.toContain('sec-ret');
  });

  it.each(['0.0.0.0/0', '127.0.0.0/8', '169.254.0.0/16', '::/0', '::1'])(
    'warns about endpoints in %s',
    async (network) => {
      const { stderr } = await checkFile(`notifiers: { unifiedpush: { allowNetworks: ["${network}"] } }\n`);
      expect(stderr).toContain('warning: notifiers.unifiedpush.allowNetworks: ');
    },
  );

  it('has nothing against settings that only look alike', async () => {
    const { stderr } = await checkFile(`keys: { server: ${keyFile}, onion: [${keyFile}] }
session:
  oxend: "tcp://127.0.0.1:22029"
  listen: ipc://${directory.path}/hive.sock
  listenCurve: tcp://0.0.0.0:22030
  listenCurveAdmin: tcp://0.0.0.0:22031
  listenCurveAdmins: [${admin}]
  notifiersExpected: [tray]
brands: { bchat: { enabled: false } }
delivery: { durability: journal }
database: { url: "postgresql:///x" }
notifiers:
  apns: { certFile: ${combined} }
  apns-sandbox: { type: apns, sandbox: true, certFile: ${combined} }
  apns-voip: { type: apns, certFile: ${combined}, pushType: voip, topic: com.example.voip }
  huawei: { appId: 1, appSecret: s, apiVersion: v2, projectId: 1 }
  wns: { packageSid: "${sid}", clientSecret: s }
  entra: { type: wns, packageSid: 0b1c, clientSecret: s, tenantId: t }
  webpush: { vapidKeyFiles: [${vapid}], subject: "mailto:push@example.org" }
  unifiedpush: { allowHttp: true, allowNetworks: [10.0.0.0/8], ports: [80, 443] }
`);
    expect(stderr).toBe('');
  });

  it('warns about keys that others can read and certificates that expire soon', async () => {
    const open = file('open-key', 'ab'.repeat(32));
    chmodSync(open, 0o644);
    const soon = authority.issueAppleClient({ notAfter: new Date(Date.now() + 5.5 * DAY_MS) });
    const pem = file('soon.pem', soon.certPem + soon.keyPem);
    const { code, stderr } = await check('--keys.server', open, '--notifiers.apns.certFile', pem);
    expect(code).toBe(0);
    expect(stderr).toContain('open to others');
    expect(stderr).toContain('expires in 5 days');
    const p12 = binary('soon.p12', createPkcs12(soon, 'x'));
    const ofP12 = await check('--notifiers.apns.pfxFile', p12, '--notifiers.apns.pfxPassphrase=x');
    expect(ofP12.stderr).toContain('warning: notifiers.apns.pfxFile: the certificate expires in 5 days');
  });

  const expired = authority.issueAppleClient({
    notBefore: new Date(Date.now() - 9 * DAY_MS),
    notAfter: new Date(Date.now() - DAY_MS),
  });
  const expiredPem = file('expired.pem', expired.certPem + expired.keyPem);
  const otherKey = file('other-key.pem', authority.issueAppleClient().keyPem);
  const nonsense = file('nonsense', 'sec-ret nonsense');
  const brokenPem = file('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const halfAccount = file(
    'half.json',
    '{"type":"service_account","project_id":"p","private_key":"sec-ret"}',
  );

  it.each([
    ['a key file that is none', ['--keys.server', nonsense], 'keys.server'],
    ['an onion key that is a directory', ['--keys.onion', directory.path], 'keys.onion'],
    ['a certificate that does not exist', ['--notifiers.apns.certFile', '/nowhere'], 'notifiers.apns'],
    ['a certificate that is none', ['--notifiers.apns.certFile', nonsense], 'notifiers.apns'],
    [
      'a key of another certificate',
      ['--notifiers.apns.certFile', cert, '--notifiers.apns.keyFile', otherKey],
      'notifiers.apns',
    ],
    ['an expired certificate', ['--notifiers.apns.certFile', expiredPem], 'notifiers.apns'],
    [
      'a .p12 with another passphrase',
      [
        `--notifiers.apns.pfxFile=${binary('other.p12', createPkcs12(client, 'other'))}`,
        '--notifiers.apns.pfxPassphrase=sec-ret',
      ],
      'notifiers.apns',
    ],
    [
      'a .p12 of old encryption',
      [
        `--notifiers.apns.pfxFile=${binary('old.p12', createPkcs12(client, 'sec-ret', 'legacy'))}`,
        '--notifiers.apns.pfxPassphrase=sec-ret',
      ],
      'notifiers.apns',
    ],
    [
      'a token key that is none',
      ['--notifiers.apns.keyFile', key, '--notifiers.apns.keyId=A', '--notifiers.apns.teamId=B'],
      'notifiers.apns',
    ],
    ['a trust anchor that is none', ['--notifiers.apns.caFile', nonsense], 'notifiers.apns.caFile'],
    ['a trust anchor that cannot be parsed', ['--notifiers.apns.caFile', brokenPem], 'notifiers.apns.caFile'],
    [
      'a trust anchor that does not exist',
      ['--notifiers.firebase.caFile', '/nowhere'],
      'notifiers.firebase.caFile',
    ],
    [
      'a service account that is no JSON',
      ['--notifiers.firebase.serviceAccountFile', nonsense],
      'notifiers.firebase',
    ],
    [
      'half a service account',
      ['--notifiers.firebase.serviceAccountFile', halfAccount],
      'notifiers.firebase',
    ],
    [
      'a VAPID key that is none, beside a good one',
      [
        `--notifiers.webpush.vapidKeyFiles=${vapid},${nonsense}`,
        '--notifiers.webpush.subject=mailto:a@b.org',
      ],
      'notifiers.webpush',
    ],
    [
      'a VAPID key that does not exist',
      ['--notifiers.unifiedpush.vapidKeyFiles=/nowhere', '--notifiers.unifiedpush.subject=mailto:a@b.org'],
      'notifiers.unifiedpush',
    ],
    ['a listener without a port', ['--session.listenCurve', 'tcp://127.0.0.1'], 'session.listenCurve'],
    [
      'a background push of high priority',
      ['--notifiers.apns.pushType=background', '--notifiers.apns.priority=10'],
      'notifiers.apns.priority',
    ],
    ['a VoIP push to the plain topic', ['--notifiers.apns.pushType=voip'], 'notifiers.apns.topic'],
    ['an oxend without a port', ['--session.oxend', 'tcp://127.0.0.1'], 'session.oxend'],
    ['an oxend without its key', ['--session.oxend', 'curve://127.0.0.1:1'], 'session.oxend'],
    ['a data directory under a file', ['--database.dataDir', `${nonsense}/data`], 'database.dataDir'],
    ['a database address that is none', ['--database.url', 'postgresql://u:sec-ret@h:x/d'], 'database.url'],
  ])('ends with 78 for %s', async (_, argv, part) => {
    const { code, stdout, stderr } = await check(...argv);
    expect(stderr).toContain(`error: ${part}: `);
    expect(code).toBe(78);
    expect(stdout + stderr).not.toContain('sec-ret');
  });

  it('shows the configuration with --show, secrets redacted', async () => {
    writeFileSync(`${directory.path}/token`, 'sec-ret-token');
    const { stdout, stderr } = await check(
      '--show',
      '--admin.token=file:token',
      '--database.url=postgresql://u:sec-ret@h/d',
    );
    expect(stdout).toContain('token: "[redacted]"');
    expect(stdout).toContain('port: 8080');
    expect(stdout + stderr).not.toContain('sec-ret');
  });

  it.each(['default', 'single-machine', 'cluster'])('takes the example config/%s.yaml', async (name) => {
    const path = fileURLToPath(new URL(`../../../config/${name}.yaml`, import.meta.url));
    const { code, stderr } = await check(
      '--config',
      path,
      '--admin.token=x',
      '--database.url=postgresql:///x',
    );
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
  });
});
