import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinkedSet, type Linked } from '../../../src/domain/linked-set.js';

interface Item extends Linked<Item> {
  readonly id: number;
}

const itemOf = (id: number): Item => ({ id, before: null, after: null });
const idOf = ({ id }: Item): number => id;

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('add', 'add', 'add', 'delete', 'delete', 'take-all'),
    id: fc.nat({ max: 9 }),
  }),
  { maxLength: 80 },
);

describe('LinkedSet', () => {
  it('is as a Set, and nothing that is out of it refers to anything', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const items = Array.from({ length: 10 }, (_, id) => itemOf(id));
        const set = new LinkedSet<Item>();
        const model = new Set<Item>();
        for (const { kind, id } of script) {
          const item = items[id] ?? itemOf(id);
          if (kind === 'take-all') {
            expect(set.takeAll().map(idOf)).toEqual([...model].map(idOf));
            model.clear();
          } else if (kind === 'delete') {
            expect(set.delete(item)).toBe(model.delete(item));
          } else if (!set.has(item)) {
            set.add(item);
            model.add(item);
          }
          expect(set.toArray().map(idOf)).toEqual([...model].map(idOf));
          expect(set.size).toBe(model.size);
          expect(set.first).toBe([...model][0] ?? null);
          for (const each of items) {
            expect(set.has(each)).toBe(model.has(each));
            if (!model.has(each)) expect([each.before, each.after]).toEqual([null, null]);
          }
        }
      }),
    );
  });
});
