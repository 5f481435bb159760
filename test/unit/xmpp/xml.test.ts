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

describe('a stanza beyond a limit', () => {
  /** Whoever wants to know of such stanzas: they are told of, and everything behind them is read. */
  function readOn(pieces: Iterable<string>): { events: string[]; fault: XmlFault | null } {
    const events: string[] = [];
    const reader = new XmlReader(limits, {
      opened: ({ name }) => events.push(`+${name}`),
      stanza: ({ name }) => events.push(name),
      oversized: (stanza) => events.push(`!${stanza?.name ?? ''} ${stanza?.children.length ?? ''}`),
      closed: () => events.push('-'),
    });
    let fault: XmlFault | null = null;
    for (const piece of pieces) fault = reader.write(piece);
    return { events, fault };
  }

  const long = 'x'.repeat(200);
  it.each([
    ['deep', '<a><b><c><d></d></c></b></a>', '!a 0'],
    ['deep, by an empty element', '<a><b><c><d/></c></b></a>', '!a 0'],
    ['deep by far', `<a>${'<b>'.repeat(60)}${'</b>'.repeat(60)}</a>`, '!a 0'],
    ['of many attributes', "<a b='' c='' d='' e=''/>", '! '],
    ['of many attributes, not empty', "<a b='' c='' d='' e=''><a/></a>", '! '],
    ['of many attributes further in', "<a><b b='' c='' d='' e=''><c/></b></a>", '!a 0'],
    ['of many attributes in an empty element', "<a><b b='' c='' d='' e='/>'/></a>", '!a 0'],
    ['long', `<a>${long}</a>`, '!a 0'],
    ['long with its last tag', `<a>${'x'.repeat(96)}</a >`, '!a 0'],
    ['long in a tag', `<a><b c='${long}>/>'/></a>`, '!a 0'],
    ['long in its own tag', `<a b="${long}'/>"/>`, '! '],
    ['long in its own tag, not empty', `<a b='${long}'><c/></a>`, '! '],
    ['long in its name', `<${long}/>`, '! '],
    ['long in CDATA', `<a><![CDATA[${long}]></a>]]]]></a>`, '!a 0'],
    ['long with tricks', `<a>${long}<b a='>' c="</a>">></b><c/ ></c ><![CDATA[</a>]]></a>`, '!a 0'],
  ])('(%s) is skipped, whatever pieces it comes in, and the next is read', (_, evil, told) => {
    const input = `<r><z/>${evil}<y/> ${evil}<x></x></r>`;
    const expected = { events: ['+r', 'z', told, 'y', told, 'x', '-'], fault: null };
    expect(readOn([input])).toEqual(expected);
    expect(readOn(input)).toEqual(expected);
    for (let at = 1; at < input.length; at += 7) {
      expect(readOn([input.slice(0, at), input.slice(at)])).toEqual(expected);
    }
  });

  it('may be of very many elements', () => {
    const reader = { ...limits, maxStanzaChars: 1_000_000 };
    const counts = { read: 0, oversized: 0 };
    const xml = new XmlReader(reader, {
      opened: () => 0,
      stanza: () => (counts.read += 1),
      oversized: () => (counts.oversized += 1),
      closed: () => 0,
    });
    expect(xml.write(`<r><a>${'<b/>'.repeat(1_900)}</a>`.repeat(1))).toBeNull();
    expect(xml.write(`<a>${'<b/>'.repeat(100_000)}</a><a>${'<b/>'.repeat(1_900)}</a>`)).toBeNull();
    expect(counts).toEqual({ read: 2, oversized: 1 });
  });

  it.each<[string, XmlFault]>([
    [`<r><a>${'x'.repeat(5_000)}`, 'policy-violation'],
    [`<r><a>${'<a>'.repeat(5_000)}`, 'policy-violation'],
    [`<r b='${long}'>`, 'policy-violation'],
    ["<r b='' c='' d='' e=''>", 'policy-violation'],
    [`<r><a>${long}<!-- x --></a>`, 'restricted-xml'],
    [`<r><a>${long}<?x y?></a>`, 'restricted-xml'],
    [`<r><a>${long}<!DOCTYPE`, 'restricted-xml'],
    ['<r><a><a><a><a>\u0001', 'not-well-formed'],
  ])('has an end, and does not allow what nothing allows: %#', (input, fault) => {
    expect(readOn([input]).fault).toBe(fault);
    expect(readOn(input).fault).toBe(fault);
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
