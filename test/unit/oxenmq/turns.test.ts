import { describe, expect, it } from 'vitest';
import { Turns } from '../../../src/oxenmq/turns.js';

const pass = () => new Promise((resolve) => setImmediate(resolve));

describe('Turns', () => {
  it('ends a turn after its share of messages', () => {
    const turns = new Turns(3, 100);
    expect([1, 2, 3].map((handled) => turns.isOver(handled))).toEqual([false, false, true]);
  });

  it('ends every turn early once all loops together have had enough', () => {
    const turns = new Turns(3, 2);
    // Six messages of six loops.
    expect([1, 1, 1, 1, 1, 1].map((handled) => turns.isOver(handled))).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('starts afresh with each pass of the event loop', async () => {
    const turns = new Turns(3, 1);
    for (let index = 0; index < 3; index += 1) turns.isOver(1);
    await turns.next();
    expect(turns.isOver(1)).toBe(false);
  });

  it('lets only some loops go on in one pass, in the order in which they came', async () => {
    const turns = new Turns(8, 2);
    const resumed: number[] = [];
    for (let loop = 0; loop < 5; loop += 1) void turns.next().then(() => resumed.push(loop));
    await pass();
    expect(resumed).toEqual([0, 1]);
    await pass();
    expect(resumed).toEqual([0, 1, 2, 3]);
    await pass();
    expect(resumed).toEqual([0, 1, 2, 3, 4]);
  });

  it('shares fairly between loops that never run dry', async () => {
    const turns = new Turns(8, 4);
    const handled = Array.from({ length: 20 }, () => 0);
    let running = true;
    const loops = handled.map(async (_, loop) => {
      for (let inTurn = 0; running;) {
        await Promise.resolve();
        handled[loop] = (handled[loop] ?? 0) + 1;
        inTurn += 1;
        if (turns.isOver(inTurn)) {
          await turns.next();
          inTurn = 0;
        }
      }
    });
    for (let index = 0; index < 100; index += 1) await pass();
    running = false;
    await Promise.all(loops);
    expect(Math.min(...handled)).toBeGreaterThan(0);
    expect(Math.max(...handled) - Math.min(...handled)).toBeLessThanOrEqual(16);
  });
});
