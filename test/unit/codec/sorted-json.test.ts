import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sortedJson } from '../../../src/codec/sorted-json.js';

describe('sorted JSON', () => {
  it('is compact and sorts keys by their UTF-8 bytes at every depth', () => {
    const value: unknown = JSON.parse(
      '{"b":1,"a":[{"\\ud83d\\ude00":1,"\\uffee":"\\u0001ü"}],"10":null,"9":true,"__proto__":{"z":0,"y":0}}',
    );
    expect(sortedJson(value)).toBe(
      '{"10":null,"9":true,"__proto__":{"y":0,"z":0},"a":[{"\uffee":"\\u0001ü","😀":1}],"b":1}',
    );
  });

  it('means the same as what it was made of', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = sortedJson(value);
        expect(text === null ? null : JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('gives up on what is nested without end', () => {
    const depth = 40_000;
    expect(sortedJson(JSON.parse('['.repeat(depth) + ']'.repeat(depth)))).toBeNull();
    expect(sortedJson(JSON.parse('{"a":'.repeat(64) + '0' + '}'.repeat(64)))).not.toBeNull();
  });
});
