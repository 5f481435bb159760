import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelOfDevice, parseChannelUri } from '../../../src/codec/wns-channel-uri.js';
import { parseWnsAnswer, wnsOutcome } from '../../../src/notifiers/wns/answers.js';
import { toastBody } from '../../../src/notifiers/wns/body.js';
import { Throttles } from '../../../src/notifiers/wns/throttles.js';
import { validateWnsServiceInfo } from '../../../src/notifiers/wns/token.js';

const MINUTE = 60_000;
const invalid = "Invalid channel URI. Has to use the domain 'notify.windows.com'.";

describe('a channel URI', () => {
  it.each([
    'https://db5p.notify.windows.com/?token=AwYAAABq%2bX0',
    'https://wns2-par02p.notify.windows.com/?token=AwYAAAD%2fabc',
    'https://a.notify.windows.com/?token=a-b.c~d+e/f=_%',
    `https://${'a'.repeat(63)}.notify.windows.com/?token=x`,
    `https://db5p.notify.windows.com/?token=${'x'.repeat(2048 - 39)}`,
  ])('is taken as it is: %s', (text) => {
    expect(parseChannelUri(text)).toBe(text);
  });

  it('is the same one whatever the case of scheme and host, and another one for another case of the token', () => {
    const normal = 'https://db5p.notify.windows.com/?token=AwYA%2b';
    expect(parseChannelUri('HTTPS://DB5P.Notify.Windows.Com/?token=AwYA%2b')).toBe(normal);
    expect(parseChannelUri('https://db5p.notify.windows.com/?token=awya%2B')).not.toBe(normal);
  });

  it.each([
    'ms-app://s-1-15-2-2972962901-2322836549-3722629029',
    'http://db5p.notify.windows.com/?token=x',
    'https://notify.windows.com/?token=x',
    'https://.notify.windows.com/?token=x',
    'https://a.b.notify.windows.com/?token=x',
    'https://db5p.notify.windows.com.evil.com/?token=x',
    'https://evilnotify.windows.com/?token=x',
    'https://db5p.notify.windows.com./?token=x',
    'https://127.0.0.1/?token=.notify.windows.com',
    'https://db5p.notify.windows.com:443/?token=x',
    'https://db5p.notify.windows.com:8443/?token=x',
    'https://user@db5p.notify.windows.com/?token=x',
    'https://user:word@db5p.notify.windows.com/?token=x',
    'https://@db5p.notify.windows.com/?token=x',
    'https://evil.com\\@db5p.notify.windows.com/?token=x',
    'https://evil.com#@db5p.notify.windows.com/?token=x',
    'https://evil.com/.notify.windows.com/?token=x',
    'https:\\\\db5p.notify.windows.com/?token=x',
    'https:/db5p.notify.windows.com/?token=x',
    'https://x_y.notify.windows.com/?token=x',
    'https://-x.notify.windows.com/?token=x',
    'https://x-.notify.windows.com/?token=x',
    'https://xn--a.notify.windows.com/?token=x',
    `https://${'a'.repeat(64)}.notify.windows.com/?token=x`,
    'https://ＤＢ5p.notify.windows.com/?token=x',
    'https://db5p。notify.windows.com/?token=x',
    'https://db5p.notify.windows.com/w/?token=x',
    'https://db5p.notify.windows.com?token=x',
    'https://db5p.notify.windows.com/?token=',
    'https://db5p.notify.windows.com/?token=x&other=y',
    'https://db5p.notify.windows.com/?other=y&token=x',
    'https://db5p.notify.windows.com/?token=x#y',
    'https://db5p.notify.windows.com/?token=x\n',
    ' https://db5p.notify.windows.com/?token=x',
    'https://db5p.notify.windows.com/?token=x y',
    'https://db5p.notify.windows.com/?token=ü',
    `https://db5p.notify.windows.com/?token=${'x'.repeat(2048 - 38)}`,
    '',
  ])('is refused: %s', (text) => {
    expect(parseChannelUri(text)).toBe(null);
  });

  it('leads to no other host than one below notify.windows.com, whatever is written before and after', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(
          'https://',
          'http://',
          'a',
          '.',
          '/',
          '?',
          '#',
          '@',
          ':',
          '\\',
          '%2f',
          '?token=',
          '&',
        ),
        fc.constantFrom(
          'notify.windows.com',
          '.notify.windows.com',
          'evil.com',
          '127.0.0.1',
          '\n',
          '\t',
          ' ',
        ),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        const taken = parseChannelUri(parts.join(''));
        if (taken === null) return;
        const url = new URL(taken);
        expect(url.host).toMatch(/^[a-z0-9-]{1,63}\.notify\.windows\.com$/);
        expect([url.protocol, url.port, url.username, url.pathname, url.hash]).toEqual([
          'https:',
          '',
          '',
          '/',
          '',
        ]);
        expect([...url.searchParams.keys()]).toEqual(['token']);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the service_info of wns', () => {
  const uri = 'https://db5p.notify.windows.com/?token=AwYAAABq%2bX0';

  it('names the device by the hash of its channel, and keeps the channel beside it', () => {
    const device = validateWnsServiceInfo({ channel_uri: uri });
    if (!device.ok) throw new Error('expected a device');
    expect(device.value.serviceId).toMatch(/^[0-9a-f]{64}$/);
    expect(device.value.serviceData?.toString()).toBe(uri);
    expect(channelOfDevice(device.value)).toBe(uri);
    expect(validateWnsServiceInfo({ token: uri })).toEqual(device);
    expect(validateWnsServiceInfo({ channel_uri: uri.replace('https', 'HTTPS') })).toEqual(device);
  });

  it('may hold the longest channel URI', () => {
    const long = `https://db5p.notify.windows.com/?token=${'x'.repeat(2048 - 39)}`;
    expect(validateWnsServiceInfo({ channel_uri: long }).ok).toBe(true);
  });

  it('is code 4 for what is no channel URI, code 1 without one', () => {
    for (const value of [null, 5, [], {}, '', 'https://evil.com/?token=x', `${uri}#`]) {
      expect(validateWnsServiceInfo({ channel_uri: value })).toEqual({
        ok: false,
        error: { code: 4, message: invalid },
      });
    }
    expect(validateWnsServiceInfo({ channel_uri: 'x', token: uri })).toMatchObject({ ok: false });
    expect(validateWnsServiceInfo({})).toEqual({
      ok: false,
      error: { code: 1, message: "Error: missing required key 'channel_uri'" },
    });
    expect(validateWnsServiceInfo(null)).toMatchObject({ ok: false, error: { code: 4 } });
  });
});

describe('a toast', () => {
  it('has no second line where there is no text for it', () => {
    expect(toastBody('New message', null)).toEqual({
      ok: true,
      value:
        '<toast><visual><binding template="ToastGeneric"><text>New message</text></binding></visual></toast>',
    });
  });

  it('is XML whatever the operator writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const xml = toastBody(text, text);
        if (!xml.ok) throw new Error(xml.error);
        const inner = /<text>([^<>]*)<\/text><text>([^<>]*)<\/text>/.exec(xml.value);
        expect(inner?.[1]).toBe(inner?.[2]);
        expect(inner?.[1]?.replace(/&(amp|lt|gt|quot|apos);/g, '')).not.toMatch(/[&"']/);
        expect(xml.value).not.toMatch(/\p{Surrogate}/u);
      }),
    );
  });
});

describe('an answer of WNS', () => {
  it('is an outcome whatever it holds, and no reason repeats what WNS wrote', () => {
    const situation = { isOfChannel: () => true, channelWaitMs: () => MINUTE, appWaitMs: () => MINUTE };
    const words = fc.oneof(
      fc.string(),
      fc.constantFrom('received', 'Dropped', 'channelThrottled', 'toString'),
    );
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), words, fc.string(), (status, word, description) => {
        const headers = { 'x-wns-status': word, 'x-wns-error-description': description };
        const outcome = wnsOutcome(parseWnsAnswer(status, headers, null), situation);
        if ('reason' in outcome) expect(outcome.reason).toMatch(/^([a-z-]+|http-\d{3})$/);
      }),
    );
  });
});

describe('throttles', () => {
  it('last a minute and twice as long each time, up to an hour, until something passes', () => {
    const throttles = new Throttles(10);
    let nowMs = 0;
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      expect(throttles.told('a', nowMs, null)).toBe(minutes * MINUTE);
      expect(throttles.told('a', nowMs + 1_000, null)).toBe(minutes * MINUTE - 1_000);
      expect(throttles.remainingMs('b', nowMs)).toBe(0);
      nowMs += minutes * MINUTE;
      expect(throttles.remainingMs('a', nowMs)).toBe(0);
    }
    throttles.passed('a', nowMs);
    expect(throttles.told('a', nowMs, null)).toBe(MINUTE);
    throttles.passed('a', nowMs); // what was under way before
    expect(throttles.remainingMs('a', nowMs)).toBe(MINUTE);
  });

  it('last as long as WNS wishes, and a longer wish counts', () => {
    const throttles = new Throttles(10);
    expect(throttles.told('a', 0, 5_000)).toBe(5_000);
    expect(throttles.told('a', 1_000, 900_000)).toBe(900_000);
    expect(throttles.told('a', 2_000, 1_000)).toBe(899_000);
    expect(throttles.told('a', 901_000, null)).toBe(MINUTE);
    expect(throttles.told('a', 901_000 + MINUTE, 1_000)).toBe(1_000);
    expect(throttles.told('a', 902_000 + MINUTE, null)).toBe(2 * MINUTE);
  });

  it('are forgotten from the oldest, and when the clock is put back', () => {
    const throttles = new Throttles(3);
    for (const key of ['a', 'b', 'c', 'd']) throttles.told(key, 1e9, null);
    expect(throttles.size).toBe(3);
    expect(throttles.remainingMs('a', 1e9)).toBe(0);
    expect(throttles.remainingMs('d', 1e9)).toBe(MINUTE);
    expect(throttles.remainingMs('d', 0)).toBe(0);
  });
});
