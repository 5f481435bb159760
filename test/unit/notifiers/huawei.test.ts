import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hmsOutcome, parseHmsAnswer } from '../../../src/notifiers/huawei/answers.js';
import { hmsBody, hmsMaxPayloadBytes } from '../../../src/notifiers/huawei/body.js';
import { validateHuaweiServiceInfo } from '../../../src/notifiers/huawei/token.js';

const refused = (code: number, message: string): object => ({ ok: false, error: { code, message } });

describe('the service_info of huawei', () => {
  it('may hold any printable token of 32 to 999 characters', () => {
    for (const token of ['a'.repeat(32), 'IQAAAACy0-_.=/+'.repeat(20), 'x'.repeat(999)]) {
      expect(validateHuaweiServiceInfo({ token })).toEqual({
        ok: true,
        value: { serviceId: token, serviceData: null },
      });
    }
  });

  it('is code 4 for a token that is empty, no string or not printable, code 1 without one', () => {
    for (const token of ['', null, 5, [], {}, 'a'.repeat(40) + '\0', 'ü'.repeat(40), 'a b'.repeat(20)]) {
      expect(validateHuaweiServiceInfo({ token })).toEqual(refused(4, 'Invalid huawei device token'));
    }
    expect(validateHuaweiServiceInfo({})).toEqual(refused(1, "Error: missing required key 'token'"));
    expect(validateHuaweiServiceInfo([])).toMatchObject({ ok: false, error: { code: 4 } });
  });

  it('is code 4 for a token shorter or longer than any service id', () => {
    for (const length of [1, 31, 1000]) {
      const message = 'An error occured while processing your request';
      expect(validateHuaweiServiceInfo({ token: 'a'.repeat(length) })).toEqual(refused(4, message));
    }
  });
});

describe('the body for HMS', () => {
  it('is JSON in ASCII with the token and the time to live that were asked for, within the limit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: hmsMaxPayloadBytes(['spns']) }),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
        fc.integer({ min: -10, max: 1e9 }),
        (bytes, token, ttlSeconds) => {
          const payload = Buffer.from(bytes).toString('base64');
          const body = hmsBody({ payload, token, priority: 'high', ttlSeconds });
          expect(body).toMatch(/^[\x20-\x7e]+$/);
          const { message } = JSON.parse(body) as {
            message: { data: string; token: string[]; android: { ttl: string } };
          };
          expect(message.token).toEqual([token]);
          expect(JSON.parse(message.data)).toEqual({ enc_payload: payload, spns: '1' });
          const seconds = Number(/^(\d+)s$/.exec(message.android.ttl)?.[1]);
          expect(seconds).toBe(Math.min(Math.max(ttlSeconds, 1), 1_296_000));
          expect(body.length - JSON.stringify(token).length).toBeLessThanOrEqual(4096);
        },
      ),
    );
  });
});

describe('an answer of HMS', () => {
  it('is an outcome whatever it holds, and no reason repeats what is not of a known form', () => {
    const code = fc.oneof(fc.string(), fc.integer(), fc.constantFrom('80000000', '80100000', '80300007'));
    const msg = fc.oneof(fc.json(), fc.jsonValue());
    const bodies = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ code, msg }).map((body) => JSON.stringify(body)),
      fc
        .dictionary(fc.string(), fc.array(fc.string()))
        .map((illegalTokens) => JSON.stringify({ code: '80300007', msg: JSON.stringify({ illegalTokens }) })),
    );
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), bodies, (status, body) => {
        const outcome = hmsOutcome(parseHmsAnswer(status, body, null), () => true);
        if ('reason' in outcome) {
          expect(outcome.reason).toMatch(/^(\d{8}(-[A-Za-z]+)?|http-\d{3}|no-result-code)$/);
        }
      }),
    );
  });

  it('is delivered only when HMS says so in its own words', () => {
    for (const body of [
      '',
      '{}',
      '{"code":null}',
      '{"code":"8000000"}',
      '{"code":["80000000"]}',
      '"80000000"',
    ]) {
      expect(hmsOutcome(parseHmsAnswer(200, body, null), () => true)).toMatchObject({ kind: 'retry' });
    }
    const proto = '{"__proto__":{"code":"80000000"}}';
    expect(hmsOutcome(parseHmsAnswer(200, proto, null), () => true)).toMatchObject({ kind: 'retry' });
  });
});
