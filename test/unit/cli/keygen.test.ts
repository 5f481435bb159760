import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readKeyFile } from '../../../src/crypto/key-file.js';
import { parseVapidKey } from '../../../src/crypto/vapid-key.js';
import { loadVapidKeys } from '../../../src/notifiers/webpush/vapid.js';
import { createTestDirectory } from '../config/support.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

describe('keygen', () => {
  it('writes a key that only its owner may read and prints the public key', async () => {
    const { code, stdout } = await run(['keygen', '--out', 'keys/a.x25519'], { cwd: directory.path });
    expect(code).toBe(0);
    const file = join(directory.path, 'keys/a.x25519');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const key = await readKeyFile(file);
    expect(stdout).toBe(`public key: ${key.ok ? key.value.publicKey.toString('hex') : ''}`);
    expect(stdout).not.toContain(readFileSync(file, 'utf8').trim());
  });

  it('prints the public key of a file that is there, and nothing of the private one', async () => {
    await run(['keygen', '--out', 'keys/public.x25519'], { cwd: directory.path });
    const { code, stdout, stderr } = await run(['keygen', '--public', 'keys/public.x25519'], {
      cwd: directory.path,
    });
    const key = await readKeyFile(join(directory.path, 'keys/public.x25519'));
    expect(stdout).toBe(key.ok ? key.value.publicKey.toString('hex') : '');
    expect([code, stderr]).toEqual([0, '']);
    expect((await run(['keygen', '--public', 'keys/none'], { cwd: directory.path })).code).toBe(1);
  });

  it('never overwrites a file', async () => {
    const file = join(directory.path, 'there');
    writeFileSync(file, 'precious');
    const { code, stderr } = await run(['keygen', '--out', file]);
    expect(code).toBe(1);
    expect(stderr).toContain('exists already');
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  it('says when it cannot write', async () => {
    const { code, stderr } = await run(['keygen', '--out', join(directory.path, 'x'.repeat(300))]);
    expect(code).toBe(1);
    expect(stderr).toContain('cannot be written');
  });

  it('keeps the two keys apart without a file: private on stdout, public on stderr', async () => {
    const { code, stdout, stderr } = await run(['keygen', '--type', 'x25519']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{64}$/);
    expect(stderr).toMatch(/^public key: [0-9a-f]{64}$/);
    expect((await run(['keygen'])).stdout).not.toBe(stdout);
  });
});

describe('keygen vapid', () => {
  it('writes a PEM key that only its owner may read and prints the public key as browsers want it', async () => {
    const { code, stdout } = await run(['keygen', 'vapid', 'keys/vapid.pem'], { cwd: directory.path });
    expect(code).toBe(0);
    const file = join(directory.path, 'keys/vapid.pem');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const publicKey = /^public key: ([A-Za-z0-9_-]{87})$/.exec(stdout)?.[1] ?? '';
    expect(Buffer.from(publicKey, 'base64url')[0]).toBe(4);
    const loaded = loadVapidKeys([file]);
    expect(loaded.ok && loaded.value.publicTexts).toEqual([publicKey]);
  });

  it('is the same with flags', async () => {
    const file = join(directory.path, 'flags.pem');
    const { code, stdout } = await run(['keygen', '--type', 'vapid', '-o', file]);
    expect(code).toBe(0);
    expect(stdout).toBe(`public key: ${parseVapidKey(readFileSync(file, 'utf8'))?.publicText ?? ''}`);
    expect((await run(['keygen', 'vapid', '--out', join(directory.path, 'mixed.pem')])).code).toBe(0);
  });

  it('keeps the two keys apart without a file: private on stdout, public on stderr', async () => {
    const { code, stdout, stderr } = await run(['keygen', 'vapid']);
    expect(code).toBe(0);
    const key = parseVapidKey(stdout);
    expect(stderr).toBe(`public key: ${key?.publicText ?? ''}`);
    expect((await run(['keygen', 'vapid'])).stdout).not.toBe(stdout);
  });

  it('never overwrites a file, and says when it cannot write', async () => {
    const file = join(directory.path, 'vapid-there');
    writeFileSync(file, 'precious');
    const { code, stderr } = await run(['keygen', 'vapid', file]);
    expect(code).toBe(1);
    expect(stderr).toContain('exists already');
    expect(readFileSync(file, 'utf8')).toBe('precious');
    const tooLong = await run(['keygen', 'vapid', join(directory.path, 'x'.repeat(300))]);
    expect(tooLong.code).toBe(1);
    expect(tooLong.stderr).toContain('cannot be written');
  });

  it.each([
    [['rsa']],
    [['--type', 'rsa']],
    [['vapid', 'a.pem', 'b.pem']],
    [['vapid', '--out', '']],
    [['vapid', 'a.pem', '--colour']],
  ])('refuses %j', async (argv) => {
    const { code, stderr } = await run(['keygen', ...argv], { cwd: directory.path });
    expect(code).toBe(64);
    expect(stderr).toMatch(/^waggle keygen: /);
  });

  it('takes x25519 in the same form', async () => {
    const { code } = await run(['keygen', 'x25519', 'keys/b.x25519'], { cwd: directory.path });
    expect(code).toBe(0);
    expect((await readKeyFile(join(directory.path, 'keys/b.x25519'))).ok).toBe(true);
  });
});
