import { describe, expect, it } from 'vitest';
import { element, text } from '../../../src/xmpp/markup.js';
import { XmlReader, type XmlFault } from '../../../src/xmpp/xml-reader.js';
import { parseStanza } from './support.js';

const limits = { maxStanzaChars: 100, maxDepth: 3, maxAttributes: 3 };

function read(input: string): { events: string[]; fault: XmlFault | null } {
  const events: string[] = [];
  const reader = new XmlReader(limits, {
    opened: ({ name }) => events.push(`+${name}`),
    stanza: ({ name }) => events.push(name),
    closed: () => events.push('-'),
  });
  return { events, fault: reader.write(input) };
}

describe('the reader of XML streams', () => {
  it('reads declaration, root, stanzas with white space between them, and the end', () => {
    expect(read("<?xml version='1.0'?>\n<r a='>'> <a/>\n<b>x</b ><c>y</c></r>\n")).toEqual({
      events: ['+r', 'a', 'b', 'c', '-'],
      fault: null,
    });
  });

  it('resolves namespaces, the nearest first', () => {
    const stanza = parseStanza(
      "<a xmlns:p='P'><p:b xmlns='D'><c/><p:d xmlns:p='Q' p:e='1'/></p:b><f xmlns=''/></a>",
    );
    const [b, f] = stanza.elements();
    expect([stanza.namespace, b?.namespace, f?.namespace]).toEqual(['jabber:component:accept', 'P', '']);
    expect(b?.elements().map(({ name, namespace }) => [name, namespace])).toEqual([
      ['c', 'D'],
      ['d', 'Q'],
    ]);
    expect(b?.elements()[1]?.attribute('p:e')).toBe('1');
  });

  it('resolves the five entities and character references', () => {
    const stanza = parseStanza(`<a b="&lt;&#x1F4F1;'">&amp;&quot;&apos;&gt;&#65;<![CDATA[<&amp;]]></a>`);
    expect(stanza.attribute('b')).toBe("<📱'");
    expect(stanza.text()).toBe('&"\'>A<&amp;');
  });

  it('takes a stanza up to its limit, each for itself', () => {
    const stanza = `<a>${'x'.repeat(93)}</a>`;
    expect(stanza).toHaveLength(100);
    expect(read(`<r>${stanza.repeat(50)}`)).toMatchObject({ fault: null });
    expect(read(`<r>${stanza.replace('x', 'xx')}`)).toEqual({ events: ['+r'], fault: 'policy-violation' });
    expect(read(`<r><a b='${'x'.repeat(101)}'/>`)).toEqual({ events: ['+r'], fault: 'policy-violation' });
    expect(read(`<r>${' '.repeat(1_000)}<a/>`)).toEqual({ events: ['+r', 'a'], fault: null });
  });

  it.each<[string, XmlFault]>([
    ['<r><a><a><a><a>', 'policy-violation'],
    ["<r><a b='' c='' d='' e=''/>", 'policy-violation'],
    ['<r><!-- x -->', 'restricted-xml'],
    ['<!DOCTYPE r>', 'restricted-xml'],
    ['<r><a><!ENTITY', 'restricted-xml'],
    ['<r><![CDATA[x]]>', 'restricted-xml'],
    ['<r><?x y?>', 'restricted-xml'],
    ["<?xml-stylesheet href='x'?>", 'restricted-xml'],
    ['<r/>', 'not-well-formed'],
    ['<r></s>', 'not-well-formed'],
    ['<r></r><a/>', 'not-well-formed'],
    ['<r></r></r>', 'not-well-formed'],
    ['x<r>', 'not-well-formed'],
    ['<r>x<a/>', 'not-well-formed'],
    ['<r><a b=c/>', 'not-well-formed'],
    ["<r><a b='1'c='2'/>", 'not-well-formed'],
    ["<r><a b='1' b='2'/>", 'not-well-formed'],
    ["<r><a b='<'/>", 'not-well-formed'],
    ['<r>< a/>', 'not-well-formed'],
    ['<r><a:b/>', 'not-well-formed'],
    ['<r><a:/>', 'not-well-formed'],
    ['<r><>', 'not-well-formed'],
    ['<r><a>&nbsp;</a>', 'not-well-formed'],
    ['<r><a>&</a>', 'not-well-formed'],
    ['<r><a>&#0;</a>', 'not-well-formed'],
    ['<r><a>&#xD800;</a>', 'not-well-formed'],
    ['<r><a>&#1114112;</a>', 'not-well-formed'],
    ['<r><a>&toString;</a>', 'not-well-formed'],
    ['<r><a>\u0001</a>', 'not-well-formed'],
  ])('%s is %s', (input, fault) => {
    expect(read(input).fault).toBe(fault);
    let inPieces: XmlFault | null = null;
    const reader = new XmlReader(limits, { opened: () => 0, stanza: () => 0, closed: () => 0 });
    for (const character of input) inPieces = reader.write(character);
    expect(inPieces).toBe(fault);
    expect(reader.write('<a/>')).toBe(fault);
  });
});

describe('markup', () => {
  it('escapes what would break it', () => {
    const value = '<a> & "b" \'c\'\t\r\n';
    const made = element('x', { a: value, left: null }, text(value));
    expect(made).not.toMatch(/[\t\r\n]|left/);
    const stanza = parseStanza(made);
    expect(stanza.attribute('a')).toBe(value);
    expect(stanza.text()).toBe(value);
  });

  it('cannot be made to hold what XML cannot', () => {
    expect(parseStanza(element('x', {}, text('a\0b\ud800c\uffff📱'))).text()).toBe('a\ufffdb\ufffdc\ufffd📱');
  });
});
