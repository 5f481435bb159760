import { expect, test } from 'vitest';
import { BatchWriter } from '../../../src/store/batch-writer.js';
import { StoreQueryError, StoreUnavailable } from '../../../src/store/errors.js';

const options = { maxRows: 10, gatherMs: 1, maxInFlight: 2, maxQueued: 1000 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('gathers what comes together and answers each with its own', async () => {
  const batches: number[] = [];
  const writer = new BatchWriter<number, number>(
    String,
    async (items) => {
      batches.push(items.length);
      await turn();
      return items.map((item) => item * 2);
    },
    options,
  );
  const answers = await Promise.all(Array.from({ length: 95 }, (_, index) => writer.add(index)));
  expect(answers).toEqual(Array.from({ length: 95 }, (_, index) => index * 2));
  expect(batches.length).toBeLessThanOrEqual(12);
  expect(Math.max(...batches)).toBe(10);
});

test('never writes one key twice at the same time, and keeps the order of a key', async () => {
  const busy = new Set<string>();
  const order: number[] = [];
  const writer = new BatchWriter<{ key: string; index: number }, number>(
    ({ key }) => key,
    async (items) => {
      for (const { key } of items) {
        expect(busy.has(key)).toBe(false);
        busy.add(key);
      }
      await turn();
      for (const { key, index } of items) {
        busy.delete(key);
        if (key === 'a') order.push(index);
      }
      return items.map(({ index }) => index);
    },
    options,
  );
  await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      writer.add({ key: index % 3 === 0 ? 'a' : `${index % 7}`, index }),
    ),
  );
  expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index * 3));
});

test('keeps to its number of statements under way', async () => {
  let inFlight = 0;
  let most = 0;
  const writer = new BatchWriter<number, number>(
    String,
    async (items) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await turn();
      inFlight -= 1;
      return items;
    },
    options,
  );
  await Promise.all(Array.from({ length: 500 }, (_, index) => writer.add(index)));
  expect(most).toBe(2);
});

test('bad data fails alone; a lost database fails all; a collision is tried again', async () => {
  let collisions = 2;
  const writer = new BatchWriter<string, string>(
    (item) => item,
    async (items) => {
      if (items.includes('away')) throw new StoreUnavailable('unreachable');
      if (items.includes('bad')) throw new StoreQueryError('write', '22021', null);
      if (items.includes('collides') && collisions-- > 0) throw new StoreUnavailable('busy', '40P01');
      return items;
    },
    options,
  );
  const outcome = async (items: string[]): Promise<string[]> =>
    (await Promise.allSettled(items.map((item) => writer.add(item)))).map(({ status }) => status);
  expect(await outcome(['a', 'bad', 'b'])).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await outcome(['a', 'away', 'b'])).toEqual(['rejected', 'rejected', 'rejected']);
  expect(await outcome(['a', 'collides'])).toEqual(['fulfilled', 'fulfilled']);
  await writer.idle();
  expect(writer.queued).toBe(0);
});
