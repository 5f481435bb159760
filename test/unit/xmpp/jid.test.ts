import { describe, expect, it } from 'vitest';
import { bareJid, parseJid } from '../../../src/xmpp/jid.js';

const bare = (text: string): string | null => {
  const jid = parseJid(text);
  return jid === null ? null : bareJid(jid);
};

describe('addresses', () => {
  it.each([
    ['user@example.org/phone', 'user@example.org'],
    ['user@example.org/a/b@c', 'user@example.org'],
    ['User@Example.ORG', 'user@example.org'],
    ['example.org', 'example.org'],
    ['example.org./x', 'example.org'],
    ['[::1]/x', '[::1]'],
    ['d\\27artagnan@musketeers.lit', 'd\\27artagnan@musketeers.lit'],
    ["d'artagnan@musketeers.lit", 'd\\27artagnan@musketeers.lit'],
    ['tréville@musketeers.lit', 'tréville@musketeers.lit'],
    ['c\\3a\\5c5commas@example', 'c\\3a\\5c5commas@example'],
    ['call me "ishmael"@example', 'call\\20me\\20\\22ishmael\\22@example'],
  ])('%s is %s without its resource', (text, expected) => {
    expect(bare(text)).toBe(expected);
  });

  it.each([
    '',
    '@',
    '@example',
    'user@',
    'user@/x',
    'a@b@c',
    'user@example/',
    'a@b c',
    `a@${'b'.repeat(1_024)}`,
    `${'é'.repeat(600)}@b`,
  ])('"%s" is none', (text) => {
    expect(parseJid(text)).toBeNull();
  });
});
