import { describe, expect, it } from 'vitest';
import { DueTimes } from '../../../src/actors/due-times.js';

const NOW = 1_700_000_000_000;

describe('due times', () => {
  it('come in their order, none too early, and those that are near each other as one', () => {
    const times = new DueTimes();
    expect(times.nextMs).toBeNull();
    for (const at of [5_000, 120, 5_010, 101, 730]) times.add(NOW + at);
    const seen: number[] = [];
    for (let next = times.nextMs; next !== null; next = times.nextMs) {
      expect(times.takeDue(next - 1)).toBe(false);
      expect(times.takeDue(next)).toBe(true);
      seen.push(next - NOW);
    }
    expect(seen).toEqual([150, 750, 5_000, 5_050]);
    expect(times.takeDue(NOW + 10_000)).toBe(false);
  });

  it('keep the soonest when there are too many', () => {
    const times = new DueTimes();
    for (let i = 5_000; i > 0; i -= 1) times.add(NOW + i * 1_000);
    let count = 0;
    while (times.takeDue(times.nextMs ?? 0)) count += 1;
    expect(count).toBe(512);
    for (let i = 0; i < 5_000; i += 1) times.add(NOW + i * 1_000);
    expect(times.nextMs).toBe(NOW);
  });
});
