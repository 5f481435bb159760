import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, type Encodable } from '../../../src/codec/bencode.js';
import { parseServiceStatistics } from '../../../src/codec/service-stats.js';

const report = (entries: Record<string, Encodable>): Buffer => encode(new Map(Object.entries(entries)));

describe('a report of a notifier', () => {
  it('adds with a plus and replaces without', () => {
    const entries = { '+notifies': 5, '+failures': -1, 'notifies_per_day.1m': 7, version: 'pyfcm ü' };
    expect(parseServiceStatistics(report(entries))).toEqual([
      { kind: 'add', name: 'failures', value: -1 },
      { kind: 'add', name: 'notifies', value: 5 },
      { kind: 'set', name: 'notifies_per_day.1m', value: 7 },
      { kind: 'set', name: 'version', value: 'pyfcm ü' },
    ]);
    expect(parseServiceStatistics(Buffer.from('de'))).toEqual([]);
    expect(parseServiceStatistics(Buffer.from('d1:bi007e1:ai1ee'))).toHaveLength(2);
  });

  it.each<[string, Buffer]>([
    ['a text to add', report({ good: 1, '+bad': 'text' })],
    ['a list', report({ good: 1, bad: [] })],
    ['a dict', report({ good: 1, bad: new Map() })],
    ['an integer beyond 2^53', report({ good: 1, bad: 2n ** 60n })],
    ['a text that is no UTF-8', report({ bad: Buffer.from([0xff]) })],
    ['a text with NUL', report({ bad: 'a\0' })],
    ['a text without end', report({ bad: 'x'.repeat(1001) })],
    ['a name without end', report({ ['x'.repeat(101)]: 1 })],
    ['no name', report({ '+': 1 })],
    ['too many entries', report(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, n])))],
    ['no dict', encode([1])],
    ['something behind it', Buffer.from('dee')],
    ['nothing', Buffer.alloc(0)],
  ])('is discarded as a whole for %s', (_what, bytes) => {
    expect(parseServiceStatistics(bytes)).toBeNull();
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        parseServiceStatistics(Buffer.from(bytes));
      }),
    );
  });
});
