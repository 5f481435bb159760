import { resolve } from 'node:path';
import { createKeyFile, readKeyFile, type KeyFileError } from '../crypto/key-file.js';
import { createSecretFile, type SecretFileError } from '../crypto/secret-file.js';
import { createRandomBytes, KEY_BYTES, type RandomBytes } from '../crypto/sodium.js';
import { generateVapidKey, vapidKeyPem } from '../crypto/vapid-key.js';
import { keyPairFromSecret } from '../crypto/x25519.js';
import { ok, type Result } from '../domain/result.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a private key',
  help: `waggle keygen [x25519|vapid] [FILE]
waggle keygen --public FILE

  x25519                    (default) a key of this server towards storage nodes and for onion requests: 64 hex digits
  vapid                     a key for Web Push (vapidKeyFiles of a notifier of type webpush): PEM; the public key is
                            what browsers want as applicationServerKey
  FILE                      write the private key to a new file with mode 0600; a file that is there is never
                            overwritten. Without it the private key goes to standard output and the public key to
                            standard error.
  --public FILE             only print the public key of an x25519 key file that is there
  --type TYPE, -o, --out FILE    the same as flags

Prints the public key. "serve" makes the x25519 keys that the configuration names by itself when they are missing.

  waggle keygen --out ./data/keys/server.x25519
  waggle keygen vapid ./data/keys/vapid.pem`,
  run: runKeygen,
};

/** A pair as texts; `secret` without the newline at the end of a file. */
interface TextPair {
  readonly secret: string;
  readonly publicKey: string;
}

interface KeyType {
  make(randomBytes: RandomBytes): TextPair;
  /** Makes one in a new file; the public key. */
  makeFile(path: string, randomBytes: RandomBytes): Promise<Result<string, KeyFileError | SecretFileError>>;
}

const keyTypes: ReadonlyMap<string, KeyType> = new Map([
  [
    'x25519',
    {
      make(randomBytes) {
        const pair = keyPairFromSecret(randomBytes(KEY_BYTES));
        return { secret: pair.secretKey.toString('hex'), publicKey: pair.publicKey.toString('hex') };
      },
      async makeFile(path, randomBytes) {
        const made = await createKeyFile(path, randomBytes);
        return made.ok ? ok(made.value.publicKey.toString('hex')) : made;
      },
    },
  ],
  [
    'vapid',
    {
      make() {
        const key = generateVapidKey();
        return { secret: vapidKeyPem(key).trimEnd(), publicKey: key.publicText };
      },
      async makeFile(path, randomBytes) {
        const key = generateVapidKey();
        const made = await createSecretFile(path, vapidKeyPem(key), randomBytes);
        return made.ok ? ok(key.publicText) : made;
      },
    },
  ],
] satisfies [string, KeyType][]);

async function runKeygen(argv: readonly string[], world: World): Promise<number> {
  const options = {
    type: { type: 'string' },
    out: { type: 'string', short: 'o' },
    public: { type: 'string' },
  } as const;
  const parsed = parseArguments(asFlags(argv), options, false);
  if (!parsed.ok) {
    world.complain(`waggle keygen: ${parsed.error}`);
    return exitCodes.usage;
  }
  const { type = 'x25519', out, public: existing } = parsed.value.values;
  if (typeof existing === 'string' && existing !== '') return printPublicKey(existing, world);
  const keyType = keyTypes.get(String(type));
  if (keyType === undefined || out === '') {
    const types = [...keyTypes.keys()].join(' or ');
    world.complain(`waggle keygen: ${out === '' ? '--out needs a file name' : `the type must be ${types}`}`);
    return exitCodes.usage;
  }
  const randomBytes = createRandomBytes();
  if (typeof out !== 'string') {
    const pair = keyType.make(randomBytes);
    world.print(pair.secret);
    world.complain(`public key: ${pair.publicKey}`);
    return exitCodes.ok;
  }
  const made = await keyType.makeFile(resolve(world.cwd, out), randomBytes);
  if (!made.ok) {
    world.complain(`waggle keygen: ${made.error.message}`);
    return exitCodes.failure;
  }
  world.print(`public key: ${made.value}`);
  return exitCodes.ok;
}

/** `TYPE FILE` at the front, each optional, as the flags that they stand for. */
function asFlags(argv: readonly string[]): readonly string[] {
  const [type] = argv;
  if (type === undefined || !keyTypes.has(type)) return argv;
  const [, file, ...rest] = argv;
  if (file === undefined || file.startsWith('-')) return ['--type', type, ...argv.slice(1)];
  return ['--type', type, '--out', file, ...rest];
}

/** What clients and storage nodes have of it; nothing of the private part is printed. */
async function printPublicKey(path: string, world: World): Promise<number> {
  const read = await readKeyFile(resolve(world.cwd, path));
  if (!read.ok) {
    world.complain(`waggle keygen: ${read.error.message}`);
    return exitCodes.failure;
  }
  world.print(read.value.publicKey.toString('hex'));
  return exitCodes.ok;
}
