import { expect, test } from 'vitest';
import { parseRowId, RowIds, rowIdText } from '../../../src/outbox/row-id.js';

test('ids ascend and differ, also within a millisecond and when the clock steps back', () => {
  let nowMs = 1_700_000_000_000;
  const ids = new RowIds({ nowMs: () => nowMs });
  const texts: string[] = [];
  for (let index = 0; index < 20_000; index += 1) {
    if (index === 15_000) nowMs -= 10_000;
    texts.push(rowIdText(ids.next()));
  }
  expect(texts.toSorted()).toEqual(texts);
  expect(new Set(texts).size).toBe(texts.length);
  expect(texts[0]).toMatch(/^018bcfe5-6800-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('two runs in the same millisecond do not meet', () => {
  const clock = { nowMs: () => 1_700_000_000_000 };
  expect(new RowIds(clock).next()).not.toEqual(new RowIds(clock).next());
});

test('text and bytes are the same id; other texts are none', () => {
  const id = new RowIds({ nowMs: () => 1 }).next();
  expect(parseRowId(rowIdText(id))).toEqual(id);
  for (const text of ['', '1', rowIdText(id).toUpperCase() + 'x', `${rowIdText(id)} `])
    expect(parseRowId(text)).toBeNull();
});
