import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { notifierKeyPair } from '../../simulators/python-notifier.js';

interface Vectors {
  readonly notifier_keys: {
    readonly hivemind_private_hex: string;
    readonly derived: readonly {
      readonly name: string;
      readonly public_hex: string;
      readonly private_hex: string;
    }[];
  };
}
const { notifier_keys: vector } = JSON.parse(
  readFileSync(new URL('../../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;

it.each(vector.derived)('the simulated notifier $name has the key of the original', (derived) => {
  const pair = notifierKeyPair(Buffer.from(vector.hivemind_private_hex, 'hex'), derived.name);
  expect(pair.secretKey.toString('hex')).toBe(derived.private_hex);
  expect(pair.publicKey.toString('hex')).toBe(derived.public_hex);
});
