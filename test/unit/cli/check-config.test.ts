import { chmodSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority, createServiceAccount, createTokenKey } from '../../simulators/certificates.js';
import { createTestDirectory } from '../config/support.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const DAY_MS = 86_400_000;
const authority = createAuthority();
const client = authority.issueAppleClient();
const file = (name: string, text: string): string => directory.write(name, text);
const check = (...argv: string[]) => run(['check-config', ...argv], { cwd: directory.path });
const checkFile = (text: string) => check('--config', file('waggle.yaml', text));

const keyFile = file('key', `${'ab'.repeat(32)}\n`);
chmodSync(keyFile, 0o600);
const keys = `keys: { server: ${keyFile}, onion: [${keyFile}] }\nsession: { oxend: "tcp://127.0.0.1:22029" }\n`;
const cert = file('cert.pem', client.certPem);
const key = file('key.pem', client.keyPem);
const ca = file('ca.pem', authority.certPem);
const account = file('account.json', createServiceAccount('https://127.0.0.1:1/token').json);

describe('check-config', () => {
  it('finds nothing wrong with a whole and good configuration', async () => {
    const token = createTokenKey();
    const p8 = file('token.p8', token.p8Pem);
    const combined = file('combined.pem', client.certPem + client.keyPem);
    const checked = await checkFile(`${keys}notifiers:
  apns: { certFile: ${cert}, keyFile: ${key}, caFile: ${ca}, endpoint: "https://127.0.0.1:1" }
  apns-sandbox: { type: apns, sandbox: true, certFile: ${combined} }
  apns-token: { type: apns, keyFile: ${p8}, keyId: ${token.keyId}, teamId: ${token.teamId} }
  firebase: { serviceAccountFile: ${account} }
`);
    expect(checked).toEqual({ code: 0, stderr: '', stdout: expect.stringContaining('is good') as string });
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

  it('warns about options that this version does not serve', async () => {
    const { code, stderr } = await check('--session.listen', 'ipc://x', '--session.notifiersExpected=a');
    expect(code).toBe(0);
    expect(stderr).toContain('warning: session.listen:');
    expect(stderr).toContain('warning: session.notifiersExpected:');
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
