import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHANNEL_URI_MAX_LENGTH,
  channelOfDevice,
  deviceOfChannel,
  parseChannelUri,
} from '../../src/codec/wns-channel-uri.js';

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
const letter = fc.constantFrom(...letters, ...letters.toUpperCase());
const label = fc
  .tuple(letter, fc.string({ unit: fc.constantFrom(...letters, '-'), maxLength: 61 }), letter)
  .map(([first, middle, last]) => first + middle + last)
  // Such a label must be a valid internationalised one.
  .filter((text) => text.slice(2, 4) !== '--');
const token = fc.string({ unit: fc.constantFrom(...letters, ...'_%-.~+/='), minLength: 1, maxLength: 200 });
const channel = fc
  .tuple(label, token)
  .map(([host, value]) => `https://${host}.notify.windows.com/?token=${value}`);

/** What somebody writes who wants our access token to go elsewhere. */
const pieces = [
  'https:',
  'http:',
  'HTTPS:',
  'ftp:',
  'javascript:',
  'ms-app:',
  '//',
  '///',
  '\\\\',
  '/',
  '\\',
  '/\\',
  '@',
  'user@',
  'user:pw@',
  'evil.com',
  'evil.com#',
  'evil.com?',
  'evil.com/',
  'evil.com\\',
  '127.0.0.1',
  '[::1]',
  'x',
  'x.',
  'a.b.',
  '.',
  '..',
  '%2e',
  '%2F',
  '%00',
  '。',
  '。',
  '①',
  'notify.windows.com',
  '.notify.windows.com',
  '.NOTIFY.windows.com',
  '.notify.windows.com.',
  '.notify.windows.com.evil.com',
  '.notify.windows.com%2eevil.com',
  '.notify.windows.com@evil.com',
  ':443',
  ':8443',
  ':',
  '/?token=',
  '?token=',
  '/?Token=',
  '/?token=a&token=b',
  'abc',
  'a%0d%0aX:%20y',
  '\r\n',
  '\t',
  ' ',
  '\0',
  '#',
  '&',
  ';',
  'ä',
  '\u00ad',
  '\u200b',
  'xn--',
  '-',
  '_',
];
const tricky = fc
  .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 9 })
  .map((parts) => parts.join(''));
/** A good one with something put into it. */
const spoilt = fc
  .tuple(channel, fc.nat(), fc.constantFrom(...pieces), fc.nat({ max: 3 }))
  .map(([text, at, piece, cut]) => {
    const position = at % (text.length + 1);
    return text.slice(0, position) + piece + text.slice(position + cut);
  });

const isInnocent = (text: string): boolean => {
  const url = new URL(text);
  return (
    url.protocol === 'https:' &&
    /^[a-z0-9-]{1,63}\.notify\.windows\.com$/.test(url.hostname) &&
    url.port === '' &&
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.hash === '' &&
    /^\?token=[\w%.~+/=-]+$/.test(url.search)
  );
};

describe('a channel URI', () => {
  it('of WNS is taken, with its token unchanged', () => {
    fc.assert(
      fc.property(channel, (text) => {
        const taken = parseChannelUri(text);
        expect(taken?.toLowerCase()).toBe(text.toLowerCase());
        expect(taken?.slice(taken.indexOf('?'))).toBe(text.slice(text.indexOf('?')));
        // Taken again it is itself: stored ones stay valid.
        expect(taken === null ? null : parseChannelUri(taken)).toBe(taken);
      }),
    );
  });

  it('that is taken leads to WNS and nowhere else, whatever was put together', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(tricky, spoilt, fc.string()), (text) => {
        const result = parseChannelUri(text);
        if (result === null) return;
        taken += 1;
        expect(isInnocent(result)).toBe(true);
        expect(isInnocent(text)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(taken).toBeGreaterThan(0);
  });

  it('is found again in the device that stands for it, which has the same id each time', () => {
    fc.assert(
      fc.property(channel, channel, (text, other) => {
        const [one, two] = [parseChannelUri(text), parseChannelUri(other)];
        if (one === null || two === null) throw new Error('expected a channel');
        const device = deviceOfChannel(one);
        expect(channelOfDevice(device)).toBe(one);
        expect(device.serviceId).toMatch(/^[0-9a-f]{64}$/);
        expect(deviceOfChannel(two).serviceId === device.serviceId).toBe(one === two);
      }),
    );
  });

  it('has a length that is bounded', () => {
    const head = 'https://db5p.notify.windows.com/?token=';
    expect(parseChannelUri(head.padEnd(CHANNEL_URI_MAX_LENGTH, 'a'))).not.toBeNull();
    expect(parseChannelUri(head.padEnd(CHANNEL_URI_MAX_LENGTH + 1, 'a'))).toBeNull();
  });

  it.each([
    'ms-app://s-1-15-2-3598129719',
    'http://db5p.notify.windows.com/?token=abc',
    'https://notify.windows.com/?token=abc',
    'https://a.b.notify.windows.com/?token=abc',
    'https://x_y.notify.windows.com/?token=abc',
    'https://-x.notify.windows.com/?token=abc',
    'https://x.notify.windows.com.evil.com/?token=abc',
    'https://x.notify.windows.com:443/?token=abc',
    'https://user@x.notify.windows.com/?token=abc',
    'https://x.notify.windows.com/a?token=abc',
    'https://x.notify.windows.com/?token=',
    'https://x.notify.windows.com/?token=a&b=c',
    'https://x.notify.windows.com/?token=abc#',
    'https://x.notify.windows.com?token=abc',
    ' https://x.notify.windows.com/?token=abc',
    'https://x.notify.windows.com/?token=abc\n',
    'https://xn--a.notify.windows.com/?token=abc',
    'https:\\\\x.notify.windows.com/?token=abc',
  ])('%j is refused', (text) => expect(parseChannelUri(text)).toBeNull());
});
