import { describe, expect, it } from 'vitest';
import { Refusals, ServedDevices } from '../../../src/notifiers/refusals.js';

describe('a refusal that does not say whose fault it is', () => {
  it('is ours while nothing was delivered', () => {
    const refusals = new Refusals();
    for (let count = 0; count < 100; count += 1) expect(refusals.isOfDevice(`device ${count}`)).toBe(false);
  });

  it('is about devices that were never served, however many one client brings', () => {
    const refusals = new Refusals();
    refusals.delivered('served');
    for (let count = 0; count < 10_000; count += 1)
      expect(refusals.isOfDevice(`foreign ${count}`)).toBe(true);
  });

  it('is ours for a device that was served before, and for everybody when several of those are refused', () => {
    const refusals = new Refusals();
    for (const device of ['a', 'b', 'c']) refusals.delivered(device);
    for (let count = 0; count < 10; count += 1) expect(refusals.isOfDevice('a')).toBe(false);
    expect(refusals.isOfDevice('b')).toBe(false);
    expect(refusals.isOfDevice('foreign')).toBe(true);
    expect(refusals.isOfDevice('c')).toBe(false);
    expect(refusals.isOfDevice('foreign')).toBe(false);
    refusals.delivered('d');
    expect(refusals.isOfDevice('foreign')).toBe(true);
  });

  it('is judged by the devices that were served last: their number is bounded', () => {
    const served = new ServedDevices(2);
    const refusals = new Refusals(served);
    for (const device of ['a', 'b', 'a', 'c']) refusals.delivered(device);
    expect(['a', 'b', 'c'].map((device) => served.has(device))).toEqual([true, false, true]);
    expect(refusals.isOfDevice('b')).toBe(true);
  });
});
