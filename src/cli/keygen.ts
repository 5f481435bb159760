import { resolve } from 'node:path';
import { createKeyFile } from '../crypto/key-file.js';
import { createRandomBytes, KEY_BYTES } from '../crypto/sodium.js';
import { keyPairFromSecret } from '../crypto/x25519.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a private key',
  help: `waggle keygen [--type x25519] [--out FILE]

  --type x25519             the only type there is
  -o, --out FILE            write the private key (64 hex digits) to a new file with mode 0600; a file that is
                            there is never overwritten. Without it the private key goes to standard output and
                            the public key to standard error.

Prints the public key. "serve" makes the keys that the configuration names by itself when they are missing.

  waggle keygen --out ./data/keys/server.x25519`,
  run: runKeygen,
};

async function runKeygen(argv: readonly string[], world: World): Promise<number> {
  const options = { type: { type: 'string' }, out: { type: 'string', short: 'o' } } as const;
  const parsed = parseArguments(argv, options, false);
  if (!parsed.ok) {
    world.complain(`waggle keygen: ${parsed.error}`);
    return exitCodes.usage;
  }
  const { type = 'x25519', out } = parsed.value.values;
  if (type !== 'x25519' || out === '') {
    world.complain(`waggle keygen: ${out === '' ? '--out needs a file name' : 'the type must be x25519'}`);
    return exitCodes.usage;
  }
  const randomBytes = createRandomBytes();
  if (typeof out !== 'string') {
    const pair = keyPairFromSecret(randomBytes(KEY_BYTES));
    world.print(pair.secretKey.toString('hex'));
    world.complain(`public key: ${pair.publicKey.toString('hex')}`);
    return exitCodes.ok;
  }
  const made = await createKeyFile(resolve(world.cwd, out), randomBytes);
  if (!made.ok) {
    world.complain(`waggle keygen: ${made.error.message}`);
    return exitCodes.failure;
  }
  world.print(`public key: ${made.value.publicKey.toString('hex')}`);
  return exitCodes.ok;
}
