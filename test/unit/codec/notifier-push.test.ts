import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BencodeDict, decode } from '../../../src/codec/bencode.js';
import { encodeNotifierPush } from '../../../src/codec/notifier-push.js';
import { decodeNotifyMessage } from '../../../src/codec/notify-message.js';
import type { ServiceId } from '../../../src/domain/ids.js';

interface Vectors {
  readonly notify_messages: readonly {
    readonly notify_message_hex: string;
    readonly notifier_push_hex: readonly string[];
  }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;
const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex');

describe('the dict of notifier.push', () => {
  const [vector] = vectors.notify_messages;
  const notice = decodeNotifyMessage(Buffer.from(vector?.notify_message_hex ?? '', 'hex'));
  if (typeof notice === 'string') throw new Error(notice);

  it('is byte for byte what the original sent', () => {
    const pushes = [
      encodeNotifierPush(notice, {
        service: 'test',
        device: { serviceId: 'a1b2c3d4'.repeat(8) as ServiceId, serviceData: null },
        encryptionKey: key,
        wantData: true,
      }),
      encodeNotifierPush(notice, {
        service: 'test',
        device: { serviceId: 'b'.repeat(64) as ServiceId, serviceData: Buffer.from('extra-data') },
        encryptionKey: key,
        wantData: false,
      }),
    ];
    expect(pushes.map((push) => push.toString('hex'))).toEqual(vector?.notifier_push_hex);
  });

  it('is canonical whatever is in it, with true negative namespaces', () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((view) => Buffer.from(view));
    fc.assert(
      fc.property(
        fc.integer({ min: -32768, max: 32767 }),
        fc.option(bytes(20)),
        fc.option(bytes(20)),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
        (namespace, serviceData, data, service) => {
          const target = {
            service,
            device: { serviceId: `ü${service}` as ServiceId, serviceData },
            encryptionKey: key,
            wantData: true,
          };
          const dict = decode(encodeNotifierPush({ ...notice, namespace, data }, target));
          if (!(dict instanceof BencodeDict)) throw new Error('no dict');
          expect(dict.getInteger('n')).toBe(namespace);
          expect(dict.getBytes('!')).toEqual(serviceData);
          expect(dict.getBytes('~')).toEqual(data);
          expect(dict.getBytes('')?.toString()).toBe(Buffer.from(service).toString());
          expect(dict.getBytes('&')?.toString()).toBe(Buffer.from(`ü${service}`).toString());
        },
      ),
    );
  });
});
