import { describe, expect, it } from 'vitest';
import type { LegacyDevice } from '../../../src/legacy/device.js';
import type { DirectoryChange } from '../../../src/legacy/port.js';
import { foldChanges } from '../../../src/store/legacy-changes.js';

const device = (token: string, registeredAtMs: number, account = 'alice'): LegacyDevice => ({
  token,
  account,
  type: 'ios',
  groupsOnly: false,
  registeredAtMs,
});
const set = (token: string, registeredAtMs: number, account?: string): DirectoryChange => ({
  kind: 'set-device',
  device: device(token, registeredAtMs, account),
});
const remove = (token: string): DirectoryChange => ({ kind: 'remove-device', token });
const died = (token: string, sinceMs: number, nowMs: number): DirectoryChange => ({
  kind: 'device-died',
  token,
  sinceMs,
  nowMs,
});
const nothing = { put: [], died: [], removed: [], joined: [], left: [] };

describe('changes that are committed together', () => {
  it('leave the last word on a token', () => {
    expect(foldChanges([])).toEqual(nothing);
    expect(foldChanges([set('a', 1), remove('a')])).toEqual({ ...nothing, removed: ['a'] });
    expect(foldChanges([remove('a'), set('a', 1), set('a', 2, 'bob')])).toEqual({
      ...nothing,
      put: [{ kind: 'put', device: device('a', 2, 'bob'), removedAtMs: null }],
    });
  });

  it('know what a report of death does to a device that they set, and to one that they removed', () => {
    const dead = (registeredAtMs: number, removedAtMs: number | null) => ({
      ...nothing,
      put: [{ kind: 'put', device: device('a', registeredAtMs), removedAtMs }],
    });
    expect(foldChanges([set('a', 10), died('a', 10, 50)])).toEqual(dead(10, null));
    expect(foldChanges([set('a', 10), died('a', 11, 50), died('a', 12, 60)])).toEqual(dead(10, 50));
    expect(foldChanges([died('a', 99, 50), remove('a'), died('a', 99, 60), set('a', 10)])).toEqual(
      dead(10, null),
    );
    expect(foldChanges([set('a', 10), died('a', 11, 50), set('a', 20)])).toEqual(dead(20, null));
    expect(foldChanges([remove('a'), died('a', 99, 50)])).toEqual({ ...nothing, removed: ['a'] });
  });

  it('leave to the row which of several reports it was old enough for', () => {
    const folded = foldChanges([
      died('a', 10, 50),
      died('a', 5, 51),
      died('a', 20, 52),
      died('a', 20, 53),
      died('b', 7, 54),
    ]);
    expect(folded).toEqual({
      ...nothing,
      died: [
        { token: 'a', fromMs: Number.MIN_SAFE_INTEGER, untilMs: 10, removedAtMs: 50 },
        { token: 'a', fromMs: 10, untilMs: 20, removedAtMs: 52 },
        { token: 'b', fromMs: Number.MIN_SAFE_INTEGER, untilMs: 7, removedAtMs: 54 },
      ],
    });
  });

  it('leave the last word on a membership', () => {
    const change = (kind: 'add-member' | 'remove-member', group: string, account: string) =>
      ({ kind, group, account }) as const;
    const folded = foldChanges([
      change('add-member', 'g', 'alice'),
      change('remove-member', 'g', 'bob'),
      change('remove-member', 'g', 'alice'),
      change('add-member', 'g', 'bob'),
      change('add-member', 'gb', 'ob'),
    ]);
    const [alice, bob, other] = [
      { group: 'g', account: 'alice' },
      { group: 'g', account: 'bob' },
      { group: 'gb', account: 'ob' },
    ];
    expect(folded.joined).toMatchObject([bob, other]);
    expect(folded.left).toMatchObject([alice]);
  });
});
