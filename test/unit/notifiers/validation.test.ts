import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { validateApnsServiceInfo } from '../../../src/notifiers/apns/token.js';
import { validateFirebaseServiceInfo } from '../../../src/notifiers/firebase/token.js';
import { createNotifiers } from '../../../src/notifiers/registry.js';
import { parseServiceName } from '../../../src/domain/ids.js';
import { systemClock } from '../../../src/domain/clock.js';
import { silentLog } from '../../../src/telemetry/log.js';

interface Vectors {
  readonly dummy_service: {
    readonly service_info: object;
    readonly svcid: string;
    readonly svcdata_latin1: string;
  };
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/session-push-v2.json', import.meta.url), 'utf8'),
) as Vectors;

const refused = (code: number, message: string): object => ({ ok: false, error: { code, message } });
const processing = 'An error occured while processing your request';

describe('the service_info of apns', () => {
  it.each([64, 66, 160, 200])(
    'may hold a token of %d hex digits, which is the service id as sent',
    (length) => {
      const token = 'aB'.repeat(length / 2);
      expect(validateApnsServiceInfo({ token })).toEqual({
        ok: true,
        value: { serviceId: token, serviceData: null },
      });
    },
  );

  it.each([0, 2, 62, 63, 65, 201, 202, 4000])('may not hold a token of %d digits', (length) => {
    expect(validateApnsServiceInfo({ token: 'a'.repeat(length) })).toEqual(
      refused(4, `Invalid token: expected length-64 device token, not ${length}`),
    );
  });

  it.each(['../'.repeat(22).slice(0, 64), 'g'.repeat(64), `${'a'.repeat(63)}?`, `${'a'.repeat(63)}\n`])(
    'may not hold anything but hex, which becomes part of a path: %j',
    (token) => {
      expect(validateApnsServiceInfo({ token })).toEqual(refused(4, 'Invalid token: expected hex digits'));
    },
  );

  it('without a token is code 1, of another type code 4', () => {
    expect(validateApnsServiceInfo({})).toEqual(refused(1, "Error: missing required key 'token'"));
    for (const token of [null, 5, [], {}, true]) {
      expect(validateApnsServiceInfo({ token })).toEqual(refused(4, 'Invalid token: expected a string'));
    }
    for (const info of [null, 5, 'x', [], undefined]) {
      expect(validateApnsServiceInfo(info)).toMatchObject({ ok: false, error: { code: 4 } });
    }
  });
});

describe('the service_info of firebase', () => {
  it('may hold any printable token of 32 to 999 characters', () => {
    for (const token of ['a'.repeat(32), 'f:APA91b-_.'.repeat(20), 'x'.repeat(999)]) {
      expect(validateFirebaseServiceInfo({ token })).toEqual({
        ok: true,
        value: { serviceId: token, serviceData: null },
      });
    }
  });

  it('is code 4 for a token that is empty, no string or not printable, code 1 without one', () => {
    for (const token of ['', null, 5, [], 'a'.repeat(40) + '\0', 'ü'.repeat(40), 'a b'.repeat(20)]) {
      expect(validateFirebaseServiceInfo({ token })).toEqual(refused(4, 'Invalid firebase device token'));
    }
    expect(validateFirebaseServiceInfo({})).toEqual(refused(1, "Error: missing required key 'token'"));
    expect(validateFirebaseServiceInfo([])).toMatchObject({ ok: false, error: { code: 4 } });
  });

  it('is code 4 for a token shorter or longer than any service id', () => {
    for (const length of [1, 31, 1000]) {
      expect(validateFirebaseServiceInfo({ token: 'a'.repeat(length) })).toEqual(refused(4, processing));
    }
  });
});

describe('the service_info of dummy', () => {
  const { notifiers } = createNotifiers(
    { dummy: { type: 'dummy' } },
    { clock: systemClock, log: silentLog() },
  );
  const validate = (info: unknown): unknown => {
    const name = parseServiceName('dummy');
    return name === null ? null : notifiers.get(name)?.validate(info, 'subscribe');
  };

  it('names the device of the golden vector', () => {
    const { service_info: info, svcid, svcdata_latin1: data } = vectors.dummy_service;
    expect(validate(info)).toEqual({
      ok: true,
      value: { serviceId: svcid, serviceData: Buffer.from(data, 'latin1') },
    });
  });

  it('is refused as the original refuses it', () => {
    expect(validate({ bar: 1 })).toEqual(refused(1, "Error: missing required service_info key 'foo'"));
    expect(validate({ foo: 'TEST-' })).toEqual(refused(1, "Error: missing required service_info key 'bar'"));
    expect(validate({ foo: 'x', bar: 1 })).toEqual(refused(4, 'Invalid input: foo must start with TEST-'));
    expect(validate({ foo: 'TEST-', bar: '1' })).toEqual(refused(4, 'Invalid input: bar must be an integer'));
    expect(validate({ foo: 'TEST-', bar: 1.5 })).toEqual(refused(4, 'Invalid input: bar must be an integer'));
    expect(validate({ foo: 'TEST-', bar: true })).toMatchObject({
      ok: true,
      value: { serviceData: Buffer.from('d3:bari1e3:foo5:TEST-e') },
    });
  });
});
