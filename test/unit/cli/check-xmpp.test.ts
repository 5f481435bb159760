import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority, createTokenKey } from '../../simulators/certificates.js';
import { createTestDirectory } from '../config/support.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const file = (name: string, text: string, mode = 0o600): string => {
  const path = directory.write(name, text);
  chmodSync(path, mode);
  return path;
};

const DAY_MS = 86_400_000;
const authority = createAuthority();
const server = authority.issueServer();
const dated = (days: number): string => {
  const notAfter = new Date(Date.now() + days * DAY_MS);
  const issued = authority.issueAppleClient({ notBefore: new Date(Date.now() - 10 * DAY_MS), notAfter });
  return file(`dated${days}.pem`, issued.certPem + issued.keyPem);
};
const cert = file('cert.pem', server.certPem);
const key = file('key.pem', server.keyPem);
const token = createTokenKey();
const p8 = file('token.p8', token.p8Pem);
const keyFile = file('key', `${'ab'.repeat(32)}\n`);

/** Nobody but XMPP clients. */
const alone = `keys: { server: ${keyFile}, onion: [${keyFile}], registrations: ${keyFile} }
session: { enabled: false }
legacy: { enabled: false }
brands: { session: { enabled: false }, bchat: { enabled: false } }
`;
const apns = `apns: { topic: org.example.app, keyFile: ${p8}, keyId: A, teamId: B }`;
const wns = 'wns: { packageSid: "ms-app://s-1-15-2-1", clientSecret: s }';
const notifiers = `notifiers: { ${apns}, ${wns} }\n`;
const component = 'xmpp: { enabled: true, components: { push.example.org: { secret: s } } }\n';
const uwpx = `uwpx: { enabled: true, certificateFile: ${cert}, keyFile: ${key} }\n`;

let files = 0;
const check = (text: string, argv: readonly string[] = []) =>
  run(['check-config', '--config', file(`${(files += 1)}.yaml`, text), ...argv], { cwd: directory.path });
/** The lines but for the one about the brands, of which there is none here. */
const findings = async (text: string, argv: readonly string[] = []) =>
  (await check(text, argv)).stderr.split('\n').filter((line) => !line.startsWith('warning: brands: '));

const good = alone + notifiers + component + uwpx;

describe('check-config about XMPP servers', () => {
  it('finds nothing wrong with what is whole', async () => {
    expect(await findings(good)).toEqual([]);
    expect((await check(good)).code).toBe(0);
  });

  it.each([
    ['no component', [], 'xmpp: { enabled: true }', 'warning: xmpp.components: none: devices register'],
    [
      'no door at all',
      [],
      'xmpp: { enabled: true, httpEnabled: false }',
      'warning: xmpp.components: none, and httpEnabled is false',
    ],
    [
      'components of nothing',
      [],
      'xmpp: { components: { a.b: } }',
      'warning: xmpp.components: without effect: xmpp.enabled is false',
    ],
    ['pages with tokens', ['--xmpp.httpDebug'], component, 'warning: xmpp.httpDebug: whoever asks'],
    [
      'a server far away',
      ['--xmpp.components.push.example.org.host=xmpp.example.org'],
      component,
      'warning: xmpp.components.push.example.org.host: xmpp.example.org seems',
    ],
    [
      'a server at a public address',
      ['--xmpp.components.push.example.org.host=2001:db8::1'],
      component,
      'warning: xmpp.components.push.example.org.host: 2001:db8::1 seems',
    ],
    [
      'several connections, which are wrong at some servers',
      ['--xmpp.components.push.example.org.connections=2'],
      component,
      'note: xmpp.components.push.example.org.connections: right with ejabberd',
    ],
    [
      'a domain that others do not find',
      ['--xmpp.components.push.example.org.domain=push'],
      component,
      'warning: xmpp.components.push.example.org.domain: push has no dot',
    ],
    [
      'a type that means a notifier that there is not',
      ['--xmpp.types.fcm.service=google'],
      component,
      'warning: xmpp.types.fcm.service: there is no notifier google',
    ],
    [
      'a type of the operator without a notifier',
      ['--xmpp.types.own.priority=high'],
      component,
      'warning: xmpp.types.own.service: there is no notifier own',
    ],
    [
      'alerts to a topic of calls',
      ['--notifiers.apns.topic=org.example.app.voip'],
      component,
      'warning: xmpp.types.apns.priority: Apple takes nothing but calls',
    ],
    [
      "Session's topic",
      ['--notifiers.apns.topic=com.loki-project.loki-messenger'],
      component,
      "warning: notifiers.apns.topic: is Session's, yet xmpp.types.apns",
    ],
  ])('says so about %s', async (_, argv, text, line) => {
    const found = await findings(`${alone}${notifiers}${text}\n`, argv);
    expect(found).toEqual([expect.stringContaining(line)]);
  });

  it.each([
    '::1',
    'localhost',
    '10.1.2.3',
    '172.31.0.1',
    '100.64.0.1',
    'fd00::1',
    'prosody',
    'xmpp.internal',
  ])('takes %s for a place that needs no encryption', async (host) => {
    expect(await findings(good, [`--xmpp.components.push.example.org.host=${host}`])).toEqual([]);
  });

  it('warns when no type can be registered', async () => {
    expect(await findings(alone + component)).toEqual([
      expect.stringContaining('warning: xmpp.types: no type has a notifier with credentials'),
    ]);
  });

  it('reads the key of registrations, where it is used', async () => {
    const missing = ['--keys.registrations=nothing'];
    expect(await findings(good, missing)).toEqual([
      expect.stringMatching(/^warning: keys.registrations: .*the first start makes it$/),
    ]);
    expect(await findings(alone, missing)).toEqual([]);
    const { code, stderr } = await check(good, [`--keys.registrations=${file('bad', 'no key')}`]);
    expect(stderr).toContain('error: keys.registrations: ');
    expect(code).toBe(78);
  });

  it('warns about files with secrets that every user of the machine can read', async () => {
    const open = file('open', 's3cret\n', 0o644);
    const argv = [
      `--xmpp.components.push.example.org.secret=file:${open}`,
      `--uwpx.keyFile=${file('open.pem', server.keyPem, 0o644)}`,
    ];
    const found = await findings(good, argv);
    expect(found).toEqual([
      expect.stringMatching(/^warning: uwpx.keyFile: .*open.pem can be read by every user/),
      `warning: xmpp.components.push.example.org.secret: ${open} can be read by every user of this machine; chmod 600 it`,
    ]);
    expect(found.join()).not.toContain('s3cret');
  });

  it('takes the example config/xmpp.yaml, with the secret from elsewhere', async () => {
    const path = fileURLToPath(new URL('../../../config/xmpp.yaml', import.meta.url));
    const { code, stderr } = await run(['check-config', '--config', path, '--database.url=postgresql:///x'], {
      cwd: directory.path,
      env: { WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__SECRET: `file:${file('secret', 's')}` },
    });
    expect(stderr).not.toContain('error:');
    expect(stderr).not.toContain('xmpp.components');
    expect(code).toBe(0);
  });
});

describe('check-config about UWPX', () => {
  it.each([
    ['a key that does not fit', [`--uwpx.keyFile=${file('other.pem', authority.keyPem)}`], 'uwpx'],
    ['a certificate that is none', [`--uwpx.certificateFile=${file('nonsense', 'sec-ret')}`], 'uwpx'],
    ['a certificate that does not exist', ['--uwpx.certificateFile=/nowhere'], 'uwpx'],
    [
      'a certificate that has expired',
      [`--uwpx.certificateFile=${dated(-1)}`, `--uwpx.keyFile=${dated(-1)}`],
      'uwpx.certificateFile',
    ],
    ['a notifier without credentials', ['--notifiers.wns.clientSecret=null'], 'uwpx.service'],
    [
      'a trust anchor that is none',
      [
        '--uwpx.accountJid=a@example.org',
        '--uwpx.accountPassword=sec-ret',
        `--uwpx.accountCaFile=${file('none.pem', 'none')}`,
      ],
      'uwpx.accountCaFile',
    ],
  ])('ends with 78 for %s', async (_, argv, part) => {
    const { code, stdout, stderr } = await check(good, argv);
    expect(stderr).toContain(`error: ${part}: `);
    expect(code).toBe(78);
    expect(stdout + stderr).not.toContain('sec-ret');
  });

  it.each([
    [
      'a certificate that ends soon',
      [`--uwpx.certificateFile=${dated(5)}`, `--uwpx.keyFile=${dated(5)}`],
      'uwpx.certificateFile',
    ],
    ['a password of nobody', ['--uwpx.accountPassword=sec-ret'], 'uwpx.accountPassword'],
    ['an address of somebody else', ['--uwpx.pushAddress=push.example.com'], 'uwpx.pushAddress'],
  ])('warns about %s', async (_, argv, part) => {
    expect(await findings(good, argv)).toEqual([expect.stringContaining(`warning: ${part}: `)]);
  });

  it.each(['push.example.org', 'push@push.example.org'])('takes the address %s for ours', async (address) => {
    expect(await findings(good, [`--uwpx.pushAddress=${address}`])).toEqual([]);
  });
});
