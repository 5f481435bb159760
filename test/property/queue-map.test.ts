import fc from 'fast-check';
import { expect, it } from 'vitest';
import { QueueMap } from '../../src/delivery-rules/queue-map.js';

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), key, value: fc.integer() }),
  fc.record({ kind: fc.constant('delete' as const), key }),
);

it('is a Map whose entries go to the end when they are set', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new QueueMap<number>();
      const model = new Map<string, number>();
      for (const taken of steps) {
        model.delete(taken.key);
        if (taken.kind === 'delete') queue.delete(taken.key);
        else {
          model.set(taken.key, taken.value);
          queue.push(taken.key, taken.value);
        }
        expect([...queue]).toEqual([...model]);
        expect(queue.first).toEqual([...model][0] ?? null);
        expect(queue.size).toBe(model.size);
        expect(queue.get(taken.key)).toBe(model.get(taken.key));
      }
    }),
  );
});

it('lets the one be deleted that was just given', () => {
  const queue = new QueueMap<number>();
  for (const name of ['a', 'b', 'c']) queue.push(name, 1);
  const seen: string[] = [];
  for (const [name] of queue) {
    seen.push(name);
    queue.delete(name);
  }
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(queue.size).toBe(0);
});
