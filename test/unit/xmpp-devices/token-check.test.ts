import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/domain/device.js';
import { createTokenCheck } from '../../../src/xmpp-devices/token-check.js';
import { tokenOf, typeOf } from './support.js';

function setUp(device: Device | null = null) {
  const asked: unknown[] = [];
  const check = createTokenCheck((service, info) => {
    asked.push([service, info]);
    return Promise.resolve(device);
  });
  return { asked, check };
}

describe('the check of a token', () => {
  it.each(['apns', 'firebase', 'huawei', 'dummy'])('takes one for %s as it comes', async (notifierType) => {
    const { asked, check } = setUp();
    expect(await check(typeOf('any', { notifierType }), '{"any')).toEqual({
      serviceId: '{"any',
      serviceData: null,
    });
    expect(await check(typeOf('any', { notifierType }), 'x'.repeat(1_000))).toBeNull();
    expect(asked).toEqual([]);
  });

  it.each([
    ['webpush', 'endpoint'],
    ['unifiedpush', 'endpoint'],
    ['wns', 'channel_uri'],
  ])('asks the notifier of %s about an address', async (notifierType, field) => {
    const device = { serviceId: tokenOf('https://push.example/'), serviceData: null };
    const { asked, check } = setUp(device);
    const type = typeOf('mine', { notifierType });
    expect(await check(type, 'https://push.example')).toBe(device);
    expect(await check(type, '{"endpoint":"https://push.example","keys":{}}')).toBe(device);
    expect(asked).toEqual([
      ['mine', { [field]: 'https://push.example' }],
      ['mine', { endpoint: 'https://push.example', keys: {} }],
    ]);
    expect(await check(type, '{"endpoint":')).toBeNull();
    expect(asked).toHaveLength(2);
  });

  it('has no device where the notifier has none', async () => {
    expect(await setUp().check(typeOf('any', { notifierType: 'webpush' }), 'https://a')).toBeNull();
  });
});
