import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeChange } from '../../../src/uwpx/account-port.js';
import { defaultNodeNewsOptions, NodeNews } from '../../../src/uwpx/node-news.js';
import { NOW_MS } from './examples.js';

const { overlapMs } = defaultNodeNewsOptions;

describe('nodes of other processes', () => {
  let nowMs: number;
  let stored: { readonly node: string; readonly atMs: number }[];
  let told: NodeChange[];

  beforeEach(() => {
    nowMs = NOW_MS;
    stored = [];
    told = [];
  });

  const newsWith = (options = {}): NodeNews =>
    new NodeNews(
      {
        store: {
          nodesSince: async (sinceMs, after, limit) =>
            stored
              .filter(({ node, atMs }) => atMs >= sinceMs && node > after)
              .map(({ node }) => node)
              .sort()
              .slice(0, limit),
        },
        nodes: { changed: (change) => told.push(change) },
        clock: { nowMs: () => nowMs },
      },
      { ...defaultNodeNewsOptions, ...options },
    );
  const added = (): string[] => told.flatMap((change) => change.added);
  const add = (...nodes: string[]): void => {
    for (const node of nodes) stored.push({ node, atMs: nowMs });
  };

  it('are told once, page by page', async () => {
    const news = newsWith({ pageSize: 2 });
    add('a', 'b', 'c', 'd', 'e');
    await news.look();
    expect(added()).toEqual(['a', 'b', 'c', 'd', 'e']);
    nowMs += 2_000;
    add('ab');
    await news.look();
    await news.look();
    expect(added()).toEqual(['a', 'b', 'c', 'd', 'e', 'ab']);
  });

  it('are told when they come late, or by a clock that is ahead', async () => {
    const news = newsWith();
    await news.look();
    stored.push({ node: 'late', atMs: nowMs - overlapMs }, { node: 'ahead', atMs: nowMs + overlapMs });
    await news.look();
    nowMs += overlapMs * 2;
    await news.look();
    expect(added()).toEqual(['ahead', 'late']);
  });

  it('are not those that were registered here, of which everything is passed on', async () => {
    const news = newsWith();
    add('ours');
    const change = { added: ['ours'], removed: ['gone'] };
    news.changed(change);
    await news.look();
    expect(told).toEqual([change]);
  });

  it('are told again when too many were remembered, and never forgotten', async () => {
    const news = newsWith({ maxKnown: 2 });
    add('a', 'b', 'c');
    await news.look();
    await news.look();
    expect(new Set(added())).toEqual(new Set(['a', 'b', 'c']));
  });

  it('wait for the database, and are told when it is back', async () => {
    let isAway = true;
    const news = new NodeNews({
      store: {
        nodesSince: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(['a'])),
      },
      nodes: { changed: (change) => told.push(change) },
      clock: { nowMs: () => nowMs },
    });
    await expect(news.look()).rejects.toThrow('away');
    isAway = false;
    await news.look();
    expect(added()).toEqual(['a']);
  });
});
