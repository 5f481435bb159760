import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMonitorReply } from '../../../src/network/monitor-reply.js';

const { cases } = JSON.parse(
  readFileSync(new URL('../../vectors/monitor-messages.json', import.meta.url), 'utf8'),
) as { cases: { name: string; reply_hex: string; reply_text: string }[] };

const list = (...entries: string[]): Buffer[] => [Buffer.from(`l${entries.join('')}e`)];
const success = 'd7:successi1ee';
const failure = (code: number, text = 'x'): string => `d7:errcodei${code}e5:error${text.length}:${text}e`;
const verdictsOf = (parts: Buffer[], entries: number) => {
  const reply = readMonitorReply(parts, entries);
  return reply.kind === 'verdicts' ? reply.verdicts : reply.kind;
};

describe('the reply to monitor.messages', () => {
  it.each(cases)('is understood as the storage server writes it: $name', ({ reply_hex }) => {
    const reply = Buffer.from(reply_hex, 'hex');
    const text = reply.toString('latin1');
    if (text.startsWith('l')) return;
    // The vectors are of single dicts; in a list each is the same.
    const verdict = verdictsOf([Buffer.concat([Buffer.from('l'), reply, Buffer.from('e')])], 1);
    const code = /7:errcodei(\d)e/.exec(text)?.[1];
    const expected =
      code === undefined
        ? 'all-accepted'
        : code === '4'
          ? [text.includes('future') ? 'early' : 'expired']
          : ['invalid'];
    expect(verdict).toEqual(expected);
    expect(readMonitorReply([reply], 1).kind).toBe('refused-whole');
  });

  it('is known by its bytes when all is well', () => {
    expect(readMonitorReply(list(...Array<string>(2000).fill(success)), 2000)).toEqual({
      kind: 'all-accepted',
    });
    expect(readMonitorReply(list(), 0)).toEqual({ kind: 'all-accepted' });
  });

  it('gives a verdict for every entry, in order', () => {
    const reply = list(
      success,
      failure(5),
      failure(4, 'timestamp is too old'),
      failure(4, 'timestamp is in the future'),
      failure(6),
      'd7:successi0ee',
      failure(1),
    );
    expect(verdictsOf(reply, 7)).toEqual([
      'accepted',
      'invalid',
      'expired',
      'early',
      'unknown',
      'unknown',
      'invalid',
    ]);
  });

  it('takes the first of two error codes', () => {
    const twice = 'd7:errcodei2e5:error1:a7:errcodei4e5:error1:be';
    expect(readMonitorReply(list(twice), 1)).toMatchObject({ verdicts: ['invalid'], codes: [2] });
  });

  it.each([
    ['nothing', []],
    ['two parts', [...list(success), Buffer.from('x')]],
    ['an empty part', [Buffer.alloc(0)]],
    ['too few entries', list(success)],
    ['too many entries', list(success, success, success)],
    ['something else in the list', list(success, 'i1e')],
    ['trailing bytes', [Buffer.from(`l${success}${success}ex`)]],
    ['a broken dict', [Buffer.from('d7:succ')]],
    ['deep nesting', [Buffer.from('l'.repeat(1000))]],
    ['far too much', [Buffer.alloc(1_000_000, 0x6c)]],
  ])('is malformed: %s', (_name, parts) => {
    expect(readMonitorReply(parts, 2).kind).toBe('malformed');
  });

  it('never throws, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5), (bytes, entries) => {
        readMonitorReply([Buffer.from(bytes)], entries);
        readMonitorReply([Buffer.concat([Buffer.from('l'), Buffer.from(bytes), Buffer.from('e')])], entries);
      }),
    );
  });
});
