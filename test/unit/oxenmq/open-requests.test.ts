import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OpenRequests } from '../../../src/oxenmq/open-requests.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function opened(requests: OpenRequests, command: string, timeoutMs = 1_000) {
  const request = requests.open(command, timeoutMs);
  if (request === null) throw new Error('no room');
  return request;
}

describe('OpenRequests', () => {
  it('settles each request once, by its tag', async () => {
    const requests = new OpenRequests(randomBytes, 10);
    const { tag, answer } = opened(requests, 'a.b');
    expect(tag).toHaveLength(15);
    expect(requests.reply(randomBytes(15), [])).toBe(false);
    expect(requests.reply(Buffer.concat([tag, tag]), [])).toBe(false);
    expect(requests.reply(tag, [Buffer.from('yes')])).toBe(true);
    expect(requests.reply(tag, [Buffer.from('again')])).toBe(false);
    expect(requests.fail(tag, { kind: 'timeout' })).toBe(false);
    expect(await answer).toEqual({ ok: true, value: [Buffer.from('yes')] });
    expect(requests.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends a request that is not answered in time', async () => {
    const requests = new OpenRequests(randomBytes, 10);
    const { answer } = opened(requests, 'a.b', 500);
    vi.advanceTimersByTime(499);
    expect(requests.size).toBe(1);
    vi.advanceTimersByTime(1);
    expect(requests.size).toBe(0);
    expect(await answer).toEqual({ ok: false, error: { kind: 'timeout' } });
  });

  it('fails the requests of one command and no others', async () => {
    const requests = new OpenRequests(randomBytes, 10);
    const failed = [opened(requests, 'a.b'), opened(requests, 'a.b')];
    opened(requests, 'a.c');
    expect(requests.failCommand('a.b', { kind: 'refused', word: 'UNKNOWNCOMMAND' })).toBe(2);
    expect(requests.failCommand('a.b', { kind: 'refused', word: 'UNKNOWNCOMMAND' })).toBe(0);
    expect(requests.size).toBe(1);
    for (const { answer } of failed) {
      expect(await answer).toEqual({ ok: false, error: { kind: 'refused', word: 'UNKNOWNCOMMAND' } });
    }
  });

  it('has room for so many and no more', () => {
    const requests = new OpenRequests(randomBytes, 2);
    const first = opened(requests, 'a.b');
    opened(requests, 'a.b');
    expect(requests.open('a.b', 1_000)).toBeNull();
    requests.fail(first.tag, { kind: 'unavailable' });
    expect(requests.open('a.b', 1_000)).not.toBeNull();
  });

  it('leaves nothing behind when all fail', async () => {
    const requests = new OpenRequests(randomBytes, 100);
    const answers = Array.from({ length: 50 }, () => opened(requests, 'a.b').answer);
    requests.failAll({ kind: 'unavailable' });
    expect(requests.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    for (const answer of await Promise.all(answers)) expect(answer.ok).toBe(false);
  });
});
