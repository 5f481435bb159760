import { describe, expect, it } from 'vitest';
import { ContentWriter } from '../../../src/notifiers/content-writer.js';
import { legacyWriter } from '../../../src/notifiers/legacy-sending.js';
import { wakeWriter } from '../../../src/notifiers/wake-sending.js';
import { legacyPushFor, wakePushFor } from '../../contract/notifier-fixtures.js';

const payloadOf = (text: string): Buffer => wakePushFor('x', { account: text }).content.payload;

describe('what a notifier makes of content that pushes share', () => {
  it('is made once for a buffer, also when a few take turns', () => {
    let made = 0;
    const writer = wakeWriter(({ account }) => {
      made += 1;
      return account;
    });
    const payloads = ['a', 'b', 'c', 'd'].map(payloadOf);
    for (let round = 0; round < 100; round += 1) {
      expect(payloads.map((payload) => writer.of(payload))).toEqual(['a', 'b', 'c', 'd']);
    }
    expect(made).toBe(4);
  });

  it('is of each buffer its own, however many there are and in whatever order', () => {
    const writer = wakeWriter(({ account }) => account);
    const payloads = Array.from({ length: 50 }, (_, index) => payloadOf(`${index}`));
    for (let step = 0; step < 2_000; step += 1) {
      const index = (step * step + (step % 7)) % payloads.length;
      expect(writer.of(payloads[index] ?? Buffer.alloc(0))).toBe(`${index}`);
    }
  });

  it('goes by the buffer and not by what is in it', () => {
    const writer = new ContentWriter((payload) => ({ payload }));
    const [one, other] = [Buffer.from('same'), Buffer.from('same')];
    expect(writer.of(one)).toBe(writer.of(one));
    expect(writer.of(one)).not.toBe(writer.of(other));
  });

  it('is nothing for content that cannot be read, and that is found out once', () => {
    let reads = 0;
    const writer = new ContentWriter((payload) => {
      reads += 1;
      return payload.length === 0 ? null : payload;
    });
    const nothing = Buffer.alloc(0);
    expect([writer.of(nothing), writer.of(nothing)]).toEqual([null, null]);
    expect(reads).toBe(1);
    const text = (): string => 'made';
    expect(wakeWriter(text).of(legacyPushFor('x').content.payload)).toBeNull();
    expect(legacyWriter(text).of(wakePushFor('x').content.payload)).toBeNull();
  });
});
