import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { element, text, type Markup } from '../../src/xmpp/markup.js';
import { bareJid, parseJid } from '../../src/xmpp/jid.js';
import type { XmlElement } from '../../src/xmpp/xml-element.js';
import { XmlReader } from '../../src/xmpp/xml-reader.js';
import { parseStanza, setUpSession } from '../unit/xmpp/support.js';

interface Tree {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: readonly (Tree | string)[];
}

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/).filter((value) => value !== 'xmlns');
/** Anything but what XML cannot hold. */
const value = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((text) => text.replaceAll(/[\0-\x08\x0b-\x1f\ufffe\uffff]/g, '').replaceAll(/\p{Surrogate}/gu, '')); // eslint-disable-line no-control-regex
const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    name,
    attributes: fc.dictionary(name, value, { maxKeys: 4 }),
    content: fc.array(fc.oneof({ depthSize: 'small' }, value, tie('tree')), { maxLength: 4 }),
  }),
})).tree;

const markupOf = ({ name: of, attributes, content }: Tree): Markup =>
  element(of, attributes, ...content.map((part) => (typeof part === 'string' ? text(part) : markupOf(part))));

/** Neighbouring texts are one for a reader, empty ones none. */
function joined(content: readonly (Tree | string)[]): unknown[] {
  const parts: unknown[] = [];
  for (const part of content) {
    const last = parts.at(-1);
    if (typeof part !== 'string') parts.push(treeOf(part));
    else if (typeof last === 'string') parts[parts.length - 1] = last + part;
    else if (part !== '') parts.push(part);
  }
  return parts;
}

const treeOf = (of: Tree): unknown => ({
  ...of,
  attributes: { ...of.attributes },
  content: joined(of.content),
});

const read = (stanza: XmlElement, like: Tree): unknown => ({
  name: stanza.name,
  attributes: Object.fromEntries(Object.keys(like.attributes).map((key) => [key, stanza.attribute(key)])),
  content: stanza.children.map((child, index) => {
    if (typeof child === 'string') return child;
    const wanted = joined(like.content)[index];
    return read(
      child,
      typeof wanted === 'object' ? (wanted as Tree) : { name: '', attributes: {}, content: [] },
    );
  }),
});

const limits = { maxStanzaChars: 100_000, maxDepth: 50, maxAttributes: 20 };

function eventsOf(pieces: readonly string[]): unknown[] {
  const events: unknown[] = [];
  const reader = new XmlReader(limits, {
    opened: (root) => events.push(root),
    stanza: (stanza) => events.push(stanza),
    closed: () => events.push('closed'),
  });
  for (const piece of pieces) {
    const fault = reader.write(piece);
    if (fault !== null) return [...events, fault];
  }
  return events;
}

const isFault = (events: readonly unknown[]): boolean =>
  ['not-well-formed', 'restricted-xml', 'policy-violation'].includes(String(events.at(-1)));

function cut(input: string, places: readonly number[]): string[] {
  const sorted = [0, ...places.map((place) => place % (input.length + 1)), input.length].sort(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((place, index) => input.slice(sorted[index], place));
}

/** Pieces of XML in any order: nearly always wrong somewhere. */
const nearlyXml = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '<',
        '>',
        '/',
        '</',
        '/>',
        '<a>',
        '</a>',
        "<a b='c'>",
        '<a/>',
        '&lt;',
        '&',
        "'",
        '"',
        '=',
        ' ',
      ),
      fc.constantFrom(
        '<![CDATA[',
        ']]>',
        '<!--',
        '<?xml ?>',
        'xmlns',
        "<p:a xmlns:p='x'>",
        '</p:a>',
        '\0',
        'é',
      ),
      fc.string({ maxLength: 5 }),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(''));

describe('the reader of XML streams', () => {
  it('reads back whatever we write', () => {
    fc.assert(
      fc.property(tree, (wanted) => {
        expect(read(parseStanza(markupOf(wanted)), wanted)).toEqual(treeOf(wanted));
      }),
    );
  });

  it('sees the same however the stream is cut into pieces', () => {
    const places = fc.array(fc.nat(), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 3 }), nearlyXml, places, (trees, tail, cuts) => {
        const input = `<r>${trees.map(markupOf).join('\n')}${tail}`;
        const pieces = eventsOf(cut(input, cuts));
        const characters = eventsOf([...input]);
        // Of two faults it depends on the pieces which is found first, and what was seen before it.
        if (isFault(characters)) expect(isFault(pieces)).toBe(true);
        else expect(pieces).toEqual(characters);
      }),
    );
  });

  it('ends with a fault or waits for more, and never throws', () => {
    fc.assert(
      fc.property(nearlyXml, (input) => {
        eventsOf([input]);
        eventsOf(['<r>', input]);
        eventsOf(['<r><a>', input]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('requests of any form', () => {
  const iq = fc.record({
    type: fc.constantFrom('get', 'set', 'result', 'error', 'x'),
    payload: fc.array(tree, { maxLength: 2 }),
    namespace: fc.constantFrom(
      'http://jabber.org/protocol/pubsub',
      'http://jabber.org/protocol/commands',
      'http://jabber.org/protocol/disco#info',
      'urn:xmpp:ping',
      'x',
    ),
    name: fc.constantFrom('pubsub', 'command', 'query', 'ping'),
    node: fc.constantFrom('v1-register-push', 'register-push-fcm', 'unregister-push-apns', 'x'),
    id: value,
  });

  it('get exactly one answer, with their id, or none if they are answers', async () => {
    await fc.assert(
      fc.asyncProperty(iq, async ({ type, payload, namespace, name: of, node, id }) => {
        const set = setUpSession();
        const before = set.report.answers.length;
        const content = element(of, { xmlns: namespace, node }, ...payload.map(markupOf));
        const stanza = element('iq', { type, id, from: 'a@example', to: 'push.example' }, content);
        if (type === 'result' || type === 'error') {
          set.session.take(parseStanza(stanza));
          await set.session.idle();
          expect(set.report.answers.length).toBe(before);
          return;
        }
        const answer = await set.ask(stanza);
        expect(answer.attribute('id')).toBe(id);
        expect(['result', 'error']).toContain(answer.attribute('type'));
        expect(set.report.answers.length).toBe(before + 1);
      }),
      { numRuns: 200 },
    );
  });
});

describe('addresses', () => {
  it('stay as they are once they are bare', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
        const first = parseJid(text);
        if (first === null) return;
        const bare = bareJid(first);
        const again = parseJid(bare);
        expect(again === null ? null : bareJid(again)).toBe(bare);
      }),
      { numRuns: 500 },
    );
  });
});
