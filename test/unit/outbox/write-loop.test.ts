import { expect, test } from 'vitest';
import { WriteLoop } from '../../../src/outbox/write-loop.js';
import { eventually } from '../../simulators/eventually.js';

const LONG_MS = 60_000;

function setUp({ gatherMs = 0, fullAt = 1000 } = {}) {
  const state = { waiting: 0, batches: [] as number[], empty: 0, failures: 0 };
  let answer: () => Promise<void> = () => Promise.resolve();
  const loop = new WriteLoop(
    { gatherMs, retryMinMs: 1, retryMaxMs: 4 },
    {
      hasWork: () => state.waiting > 0,
      isFull: () => state.waiting >= fullAt,
      write: async () => {
        const batch = Math.min(state.waiting, fullAt);
        await answer();
        state.batches.push(batch);
        state.waiting -= batch;
      },
      onFailure: () => (state.failures += 1),
      onEmpty: () => (state.empty += 1),
    },
  );
  const put = (count = 1): void => {
    state.waiting += count;
    for (let call = 0; call < count; call += 1) loop.start();
  };
  return { state, loop, put, answerBy: (by: () => Promise<void>) => (answer = by) };
}

test('a burst of one turn is one batch, written without waiting', async () => {
  const { state, put, loop } = setUp({ gatherMs: LONG_MS });
  put(30);
  await eventually(() => state.empty === 1);
  expect(state.batches).toEqual([30]);
  loop.close();
});

test('what comes during a write is the next batch', async () => {
  const { state, put, answerBy } = setUp();
  const answers: (() => void)[] = [];
  answerBy(() => new Promise((resolve) => answers.push(resolve)));
  put();
  await eventually(() => answers.length === 1);
  put(7);
  answers[0]?.();
  await eventually(() => answers.length === 2);
  answers[1]?.();
  await eventually(() => state.empty === 1);
  expect(state.batches).toEqual([1, 7]);
});

test('after a write others are waited for, unless a batch is full or somebody is in a hurry', async () => {
  const { state, put, loop } = setUp({ gatherMs: LONG_MS, fullAt: 10 });
  put(25);
  // Two full ones at once; the rest is gathered.
  await eventually(() => state.batches.length === 2);
  put(2);
  expect(state.empty).toBe(0);
  loop.hurry();
  await eventually(() => state.empty === 1);
  expect(state.batches).toEqual([10, 10, 7]);
  loop.close();
});

test('a failed write is tried again until it succeeds, or the loop is closed', async () => {
  const { state, put, loop, answerBy } = setUp();
  answerBy(() => (state.failures < 5 ? Promise.reject(new Error('away')) : Promise.resolve()));
  put(3);
  await eventually(() => state.empty === 1);
  expect(state).toMatchObject({ failures: 5, batches: [3] });
  answerBy(() => Promise.reject(new Error('away')));
  put();
  await eventually(() => state.failures > 6);
  loop.close();
  const { failures } = state;
  put();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(state.failures).toBeLessThanOrEqual(failures + 1);
});
