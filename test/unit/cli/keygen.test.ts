import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readKeyFile } from '../../../src/crypto/key-file.js';
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
