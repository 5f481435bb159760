import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  AccessTokens,
  atFourFifths,
  fiveMinutesAhead,
  type GrantResult,
} from '../../../src/notifiers/access-tokens.js';

const MINUTE = 60_000;
const never = new AbortController().signal;
setMaxListeners(0, never);

/** An endpoint that answers when the test says so. */
class Endpoint {
  nowMs = 1_000_000;
  asked = 0;
  readonly clock = { nowMs: () => this.nowMs };
  #answer: ((result: GrantResult) => void) | null = null;

  readonly grant = (): Promise<GrantResult> => {
    this.asked += 1;
    return new Promise((resolve) => (this.#answer = resolve));
  };

  async answer(result: GrantResult): Promise<void> {
    this.#answer?.(result);
    await new Promise(setImmediate);
  }

  grants(
    accessToken: string,
    changes: { tokenType?: string; expiresInSeconds?: number } = {},
  ): Promise<void> {
    return this.answer({ kind: 'granted', accessToken, expiresInSeconds: 3_600, ...changes });
  }
}

async function withToken(endpoint: Endpoint, tokens: AccessTokens, accessToken = 'one'): Promise<void> {
  const waiting = tokens.obtain();
  await endpoint.grants(accessToken);
  await waiting;
}

describe('an access token', () => {
  it('is named by the type that came with it, Bearer without one', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    await withToken(endpoint, tokens);
    expect(tokens.current()).toBe('Bearer one');
    tokens.discard('Bearer one');
    void tokens.obtain();
    await endpoint.grants('two', { tokenType: 'bearer' });
    expect(tokens.current()).toBe('bearer two');
  });

  it.each([
    ['five minutes ahead', fiveMinutesAhead, 3_600, 55 * MINUTE],
    ['half-way when it is short', fiveMinutesAhead, 480, 4 * MINUTE],
    ['after four fifths', atFourFifths, 86_400, 0.8 * 86_400_000],
  ])('is renewed %s, in the background, once', async (_rule, renewal, expiresInSeconds, renewAfterMs) => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock, renewal);
    void tokens.obtain();
    await endpoint.grants('one', { expiresInSeconds });
    endpoint.nowMs += renewAfterMs - 1;
    tokens.current();
    expect(endpoint.asked).toBe(1);
    endpoint.nowMs += 1;
    expect([tokens.current(), tokens.current()]).toEqual(['Bearer one', 'Bearer one']);
    expect(endpoint.asked).toBe(2);
    await endpoint.grants('two');
    expect(tokens.current()).toBe('Bearer two');
  });

  it('is used to its end while it cannot be renewed, and not longer', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    await withToken(endpoint, tokens);
    endpoint.nowMs += 56 * MINUTE;
    tokens.current();
    await endpoint.answer({ kind: 'failed', cause: 'server', afterMs: null });
    expect(tokens.current()).toBe('Bearer one');
    expect(tokens.failure).toMatchObject({ kind: 'retry', reason: 'no-access-token', cause: 'server' });
    endpoint.nowMs += 4 * MINUTE;
    expect(tokens.current()).toBe(null);
  });

  it('that was refused is replaced at most once a minute', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    await withToken(endpoint, tokens);
    expect(tokens.discard('Bearer one')).toBe(true);
    expect(tokens.discard('Bearer one')).toBe(true); // another push with the same one
    await withToken(endpoint, tokens, 'two');
    endpoint.nowMs += MINUTE - 1;
    expect(tokens.discard('Bearer two')).toBe(false);
    expect(tokens.current()).toBe('Bearer two');
    endpoint.nowMs += 1;
    expect(tokens.discard('Bearer two')).toBe(true);
    endpoint.nowMs -= 1e9;
    await withToken(endpoint, tokens, 'three');
    expect(tokens.discard('Bearer three')).toBe(true); // the clock was put back
  });

  it('that cannot be had is asked for again after a while that doubles, up to a minute', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const before = endpoint.asked;
      void tokens.obtain();
      await endpoint.answer({ kind: 'denied', reason: 'invalid_client' });
      endpoint.nowMs += waitMs - 1;
      expect(await tokens.obtain()).toEqual({
        ok: false,
        error: { kind: 'misconfigured', reason: 'invalid_client' },
      });
      expect(endpoint.asked).toBe(before + 1);
      endpoint.nowMs += 1;
    }
  });
});

describe('who waits for a token', () => {
  it('shares one request, and an abort or a close ends only the waiting', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    const abort = new AbortController();
    const aborted = tokens.waitFor(abort.signal);
    const alsoAborted = tokens.waitFor(abort.signal);
    const served = tokens.waitFor(never);
    abort.abort();
    const ended = { kind: 'retry', cause: 'transport', scope: 'push', afterMs: null };
    expect(await aborted).toEqual({ ok: false, error: { ...ended, reason: 'aborted' } });
    expect(await alsoAborted).toEqual({ ok: false, error: { ...ended, reason: 'aborted' } });
    expect(await tokens.waitFor(abort.signal)).toMatchObject({ ok: false });
    await endpoint.grants('one');
    expect(await served).toEqual({ ok: true, value: 'Bearer one' });
    expect(endpoint.asked).toBe(1);
    tokens.discard('Bearer one');
    const closed = tokens.waitFor(never);
    tokens.close();
    tokens.close();
    expect(await closed).toEqual({ ok: false, error: { ...ended, reason: 'closed' } });
    expect(await tokens.waitFor(never)).toMatchObject({ ok: false, error: { reason: 'closed' } });
    await endpoint.grants('two'); // nobody waits for it any more
  });

  it('learns at once what everybody learnt a moment ago', async () => {
    const endpoint = new Endpoint();
    const tokens = new AccessTokens(endpoint.grant, endpoint.clock);
    const first = tokens.waitFor(never);
    await endpoint.answer({ kind: 'failed', cause: 'throttled', afterMs: 30_000 });
    const outcome = {
      kind: 'retry',
      reason: 'no-access-token',
      cause: 'throttled',
      afterMs: 30_000,
      scope: 'notifier',
    };
    expect(await first).toEqual({ ok: false, error: outcome });
    expect(await tokens.waitFor(never)).toEqual({ ok: false, error: outcome });
    expect(endpoint.asked).toBe(1);
  });
});
