import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { describeFailure, scrub } from '../../../src/lifecycle/describe-failure.js';
import { runUntilStopped, type Stoppable } from '../../../src/lifecycle/signals.js';
import { createLog } from '../../../src/telemetry/log.js';
import { eventually } from '../../simulators/eventually.js';

interface Trial {
  readonly events: EventEmitter;
  readonly code: Promise<number>;
  readonly exits: number[];
  readonly log: () => string;
  readonly stops: () => number;
  readonly started: () => boolean;
}

interface TrialOptions {
  readonly start?: Promise<void>;
  readonly stop?: () => Promise<void>;
  readonly stopLimitMs?: number;
}

function trial({
  start = Promise.resolve(),
  stop = async () => {},
  stopLimitMs = 10_000,
}: TrialOptions = {}): Trial {
  const events = new EventEmitter();
  const exits: number[] = [];
  let text = '';
  let stops = 0;
  let isStarted = false;
  const running: Stoppable = {
    stop: () => {
      stops += 1;
      return stop();
    },
  };
  const code = runUntilStopped({
    events,
    log: createLog({ level: 'info' }, { write: (line) => (text += line) }),
    start: async () => {
      await start;
      return running;
    },
    onStarted: () => (isStarted = true),
    exitNow: (exit) => exits.push(exit),
    stopLimitMs,
  });
  code.catch(() => {});
  return { events, code, exits, log: () => text, stops: () => stops, started: () => isStarted };
}

const never = (): Promise<void> => new Promise(() => {});

describe('running until stopped', () => {
  it.each(['SIGTERM', 'SIGINT'])('stops in order at %s and ends with 0', async (signal) => {
    const { events, code, exits, stops, started } = trial();
    await eventually(started);
    events.emit(signal);
    expect(await code).toBe(0);
    expect([stops(), exits]).toEqual([1, []]);
    expect(events.eventNames()).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('ends at once at a second signal, %s', async (signal, exit) => {
    const { events, exits, stops, started } = trial({ stop: never });
    await eventually(started);
    events.emit('SIGTERM');
    await eventually(() => stops() === 1);
    expect(exits).toEqual([]);
    events.emit(signal);
    expect(exits).toEqual([exit]);
  });

  it('waits for a start in progress before it stops, and does not announce it', async () => {
    let finish = (): void => {};
    const { events, code, stops, started } = trial({ start: new Promise((resolve) => (finish = resolve)) });
    events.emit('SIGTERM');
    expect(stops()).toBe(0);
    finish();
    expect(await code).toBe(0);
    expect([stops(), started()]).toEqual([1, false]);
  });

  it('hands the error of a failed start to the caller', async () => {
    const { code, events } = trial({ start: Promise.reject(new Error('no port')) });
    await expect(code).rejects.toThrow('no port');
    expect(events.eventNames()).toEqual([]);
  });

  it('ends with 1 when stopping fails', async () => {
    const { events, code, started } = trial({ stop: () => Promise.reject(new Error('stuck')) });
    await eventually(started);
    events.emit('SIGTERM');
    expect(await code).toBe(1);
  });

  it('ends with 1 when stopping takes too long', async () => {
    const { events, code, started, log } = trial({ stop: never, stopLimitMs: 20 });
    await eventually(started);
    events.emit('SIGTERM');
    expect(await code).toBe(1);
    expect(log()).toContain('takes too long');
  });

  it.each(['uncaughtException', 'unhandledRejection'])('stops and ends with 1 at %s', async (fault) => {
    const { events, code, stops, started, log } = trial();
    await eventually(started);
    events.emit(
      fault,
      new Error('refused for postgresql://u:pa55@h/d with key 0123456789abcdef0123456789abcdef'),
    );
    expect(await code).toBe(1);
    expect(stops()).toBe(1);
    expect(log()).toContain('a fault that nobody caught');
    expect(log()).toContain('signals.test.ts');
    expect(log()).not.toContain('pa55');
    expect(log()).not.toContain('0123456789abcdef');
  });

  it('goes on stopping while faults rain, says so only a few times, and ends with 1', async () => {
    let finish = (): void => {};
    const { events, code, stops, started, log } = trial({
      stop: () => new Promise((resolve) => (finish = resolve)),
    });
    await eventually(started);
    events.emit('SIGTERM');
    await eventually(() => stops() === 1);
    for (let index = 0; index < 1000; index += 1) events.emit('unhandledRejection', 'no error');
    finish();
    expect(await code).toBe(1);
    expect(log().split('a fault that nobody caught')).toHaveLength(11);
  });
});

describe('what is written of a failure', () => {
  it('keeps words, codes and places and cuts out what looks like a secret', () => {
    const error = Object.assign(new Error('listen EADDRINUSE: address already in use 127.0.0.1:8080'), {
      code: 'EADDRINUSE',
    });
    expect(describeFailure(error)).toMatchObject({
      name: 'Error',
      code: 'EADDRINUSE',
      message: error.message,
    });
    expect(scrub('token eyJhbGciOiJFUzI1NiJ9.abc')).toBe('token ….abc');
    expect(scrub('https://user:pw@host/x')).toBe('https://…@host/x');
    expect(scrub('x'.repeat(10_000)).length).toBeLessThanOrEqual(400);
  });

  it('takes anything that can be thrown', () => {
    for (const thrown of [undefined, null, 5, 'a secret', { token: 'a secret' }]) {
      expect(JSON.stringify(describeFailure(thrown))).not.toContain('a secret');
    }
  });
});
