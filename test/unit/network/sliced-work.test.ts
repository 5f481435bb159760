import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { EncodeTurns } from '../../../src/network/encode-turns.js';
import { SlicedWalk } from '../../../src/network/sliced-walk.js';

describe('a sliced walk', () => {
  const walkOver = (walk: SlicedWalk, count: number, visit: (index: number) => void): Promise<number> =>
    new Promise((resolve) => {
      let slices = 0;
      walk.begin({
        limit: () => count,
        visit,
        onSlice: () => {
          slices += 1;
        },
        onDone: () => resolve(slices),
      });
    });

  it('visits everybody once without holding up the event loop', async () => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    let next = 0;
    const slices = await walkOver(new SlicedWalk(), 200_000, (index) => {
      expect(index === next).toBe(true);
      next += 1;
    });
    delay.disable();
    expect(next).toBe(200_000);
    expect(slices).toBeGreaterThan(1);
    expect(delay.max / 1e6).toBeLessThan(200);
  });

  it('ends where it is when another begins', async () => {
    const walk = new SlicedWalk();
    let isFirstDone = false;
    void walkOver(walk, 10, () => undefined).then(() => {
      isFirstDone = true;
    });
    const visited: number[] = [];
    await walkOver(walk, 3, (index) => visited.push(index));
    expect(visited).toEqual([0, 1, 2]);
    expect(isFirstDone).toBe(false);
    expect(walk.isRunning).toBe(false);
  });

  it('has slices even when there is nobody', async () => {
    expect(await walkOver(new SlicedWalk(), 0, () => undefined)).toBe(1);
  });
});

describe('turns for encoding', () => {
  it('are granted in order, and no more of them at once than fit', async () => {
    const turns = new EncodeTurns(100);
    const granted: string[] = [];
    turns.request(60, () => granted.push('a'));
    turns.request(60, () => granted.push('b'));
    turns.request(500, () => granted.push('c'));
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await turn();
    expect(granted).toEqual(['a']);
    await turn();
    expect(granted).toEqual(['a', 'b']);
    await turn();
    expect(granted).toEqual(['a', 'b', 'c']);
    expect(turns.waiting).toBe(0);
  });
});
