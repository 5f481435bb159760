import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeyFile, readKeyFile, readOrCreateKeyFile } from '../../../src/crypto/key-file.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { onionVectors } from '../http/vectors.js';

const randomBytes = createRandomBytes();
const secretHex = onionVectors.server.x25519_private_hex;
const publicHex = onionVectors.server.x25519_public_hex;
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waggle-keys-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('a key file', () => {
  it.each([
    ['32 raw bytes', Buffer.from(secretHex, 'hex')],
    ['hex digits', Buffer.from(secretHex)],
    ['upper-case digits and a newline', Buffer.from(`${secretHex.toUpperCase()}\n`)],
    ['white space on both sides', Buffer.from(` \t${secretHex}\r\n\n`)],
  ])('of %s is read', async (_name, content) => {
    const path = join(directory, 'key');
    await writeFile(path, content);
    const pair = await readKeyFile(path);
    expect(pair.ok && pair.value.publicKey.toString('hex')).toBe(publicHex);
    expect(pair.ok && pair.value.secretKey.toString('hex')).toBe(secretHex);
  });

  it.each([
    ['nothing', ''],
    ['31 bytes', 'x'.repeat(31)],
    ['63 digits', secretHex.slice(1)],
    ['two keys', `${secretHex}\n${secretHex}`],
    ['no hex', 'z'.repeat(64)],
    ['zeros', '\0'.repeat(32)],
    ['zeros in hex', '0'.repeat(64)],
    ['a megabyte', ' '.repeat(1_000_000)],
  ])('of %s is refused without saying what is in it', async (_name, content) => {
    const path = join(directory, 'key');
    await writeFile(path, content);
    const read = await readKeyFile(path);
    expect(read).toMatchObject({ ok: false, error: { kind: 'malformed' } });
    expect(JSON.stringify(read)).not.toContain(secretHex.slice(1, 30));
  });

  it('that is missing or a directory is told apart', async () => {
    expect(await readKeyFile(join(directory, 'none'))).toMatchObject({ error: { kind: 'missing' } });
    expect(await readKeyFile(directory)).toMatchObject({ error: { kind: 'unreadable' } });
  });

  it('that never ends is not read to its end', async () => {
    expect(await readKeyFile('/dev/zero')).toMatchObject({ error: { kind: 'malformed' } });
  });

  it('that cannot lie where it shall is not taken for one that exists', async () => {
    await writeFile(join(directory, 'file'), '');
    const path = join(directory, 'file', 'key');
    expect(await createKeyFile(path, randomBytes)).toMatchObject({ error: { kind: 'unwritable' } });
  });

  it('is made with mode 0600 in a directory that is made too, and once only', async () => {
    const path = join(directory, 'deep', 'er', 'key');
    const made = await createKeyFile(path, randomBytes);
    expect(made.ok).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path, 'utf8')).trim()).toMatch(/^[0-9a-f]{64}$/);
    expect(await readKeyFile(path)).toEqual(made);
    expect(await createKeyFile(path, randomBytes)).toMatchObject({ ok: false, error: { kind: 'exists' } });
    expect(await readKeyFile(path)).toEqual(made);
    expect(await readdir(join(directory, 'deep', 'er'))).toEqual(['key']);
  });

  it('is made by one of several that start at once, and read by the others', async () => {
    const path = join(directory, 'key');
    const all = await Promise.all(Array.from({ length: 8 }, () => readOrCreateKeyFile(path, randomBytes)));
    const keys = all.map((result) => (result.ok ? result.value.pair.publicKey.toString('hex') : 'failed'));
    expect(new Set(keys).size).toBe(1);
    expect(all.filter((result) => result.ok && result.value.created)).toHaveLength(1);
  });

  it('that is broken is never replaced', async () => {
    const path = join(directory, 'key');
    await writeFile(path, 'broken');
    expect(await readOrCreateKeyFile(path, randomBytes)).toMatchObject({ error: { kind: 'malformed' } });
    expect(await readFile(path, 'utf8')).toBe('broken');
  });
});
