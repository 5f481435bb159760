import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { PatientTimer } from '../../../src/oxenmq/patient-timer.js';
import { RateLimit } from '../../../src/oxenmq/rate-limit.js';

describe('RateLimit', () => {
  it('refuses what is above the limit of a window, and starts again with the next', () => {
    let nowMs = 1_000;
    const limit = new RateLimit({ nowMs: () => nowMs }, 2, 1_000);
    expect([limit.take(), limit.take(), limit.take()]).toEqual([true, true, false]);
    nowMs += 999;
    expect(limit.take()).toBe(false);
    nowMs += 1;
    expect(limit.take()).toBe(true);
  });

  it('does not get stuck when the clock is set back', () => {
    let nowMs = 1_000_000;
    const limit = new RateLimit({ nowMs: () => nowMs }, 1, 1_000);
    limit.take();
    nowMs = 5;
    expect(limit.take()).toBe(true);
  });
});

describe('PatientTimer', () => {
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it('is due once, and not when it was cleared', async () => {
    const due: string[] = [];
    const timer = new PatientTimer();
    timer.start(1, () => due.push('replaced'));
    timer.start(1, () => due.push('second'));
    const cleared = new PatientTimer();
    cleared.start(1, () => due.push('cleared'));
    cleared.clear();
    await pause(20);
    expect(due).toEqual(['second']);
    expect(timer.isRunning).toBe(false);
  });

  it('is brought forward, never put off', async () => {
    const due: string[] = [];
    const timer = new PatientTimer();
    timer.startIfSooner(5, () => due.push('first'));
    timer.startIfSooner(60_000, () => due.push('later'));
    await pause(20);
    expect(due).toEqual(['first']);
    timer.startIfSooner(60_000, () => due.push('long'));
    timer.startIfSooner(1, () => due.push('short'));
    await pause(20);
    expect(due).toEqual(['first', 'short']);
  });

  it('lets what is waiting to be read go first', async () => {
    const order: string[] = [];
    const timer = new PatientTimer();
    timer.start(5, () => order.push('due'));
    // A stall of ours: time-out and arrival fall into the same pass of the event loop.
    const { port1, port2 } = new MessageChannel();
    port2.once('message', () => order.push('arrived'));
    port1.postMessage('');
    const until = performance.now() + 20;
    while (performance.now() < until);
    await pause(20);
    port1.close();
    expect(order).toEqual(['arrived', 'due']);
  });
});
