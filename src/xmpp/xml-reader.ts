import { StanzaSkipper } from './stanza-skipper.js';
import { XmlElement } from './xml-element.js';
import { decodeText, findTagEnd, hasForbiddenCharacter, readTag, type Tag } from './xml-tokens.js';

export interface XmlLimits {
  /** The longest stanza, tags included, in UTF-16 units (at most as many as bytes). */
  readonly maxStanzaChars: number;
  /** Elements within one another; a stanza itself is the first. */
  readonly maxDepth: number;
  readonly maxAttributes: number;
}

/**
 * Why a stream cannot be read on, as the stream errors of RFC 6120 section 4.9.3; `policy-violation`: beyond a limit.
 */
export type XmlFault = 'not-well-formed' | 'restricted-xml' | 'policy-violation';

export interface XmlSink {
  /** The stream header. */
  opened(root: XmlElement): void;
  /** A child of the root, whole. */
  stanza(element: XmlElement): void;
  /**
   * A child of the root that was beyond a limit, when it is over: its attributes without its children; null when its
   * own start tag was beyond a limit. Where nobody wants to know, such a child is a fault.
   */
  oversized?(element: XmlElement | null): void;
  /** The root's end tag. */
  closed(): void;
}

/** Namespace declarations in force, innermost first. */
interface Scope {
  readonly prefix: string;
  readonly namespace: string;
  readonly outer: Scope | null;
}

interface Open {
  readonly element: XmlElement;
  /** As written, with its prefix: an end tag must repeat it. */
  readonly tagName: string;
  readonly scope: Scope | null;
}

/** Of one stanza. Each costs many times its few characters, in memory and time; real stanzas have some dozens. */
const ELEMENTS_MAX = 2_000;
/** A server writes up to six characters for one that a user has sent (`&apos;`); what is longer than that is endless. */
const SKIPPED_STANZAS_MAX = 16;
const LESS_THAN = 60;
const CDATA_START = '<![CDATA[';
const XML_SCOPE: Scope = {
  prefix: 'xml',
  namespace: 'http://www.w3.org/XML/1998/namespace',
  outer: null,
};

/**
 * Reads an XML stream piece by piece: root, stanzas, end. Takes only what XMPP allows (RFC 6120 section 11): no
 * document type, hence no entities but the five; no comments, no processing instructions. What it holds is bounded by
 * one stanza, whatever the peer sends. The first fault is the last: after it nothing is read any more. A stanza beyond a
 * limit is no fault but skipped: any user of any server can make ours send such a stanza, and the others' pushes come on
 * the same stream.
 *
 * States: before the root (an XML declaration may come) → between stanzas (white space may come) → in a stanza, read or
 * skipped → between stanzas … → after the root (nothing but white space).
 */
export class XmlReader {
  /** Came, but is the beginning of something whose end has not come. */
  #rest = '';
  /** Up to here `#rest` was searched in vain, so that a slow peer does not make us search it again and again. */
  #searched = 0;
  #quote = 0;
  /** Of the stanza that is being read, so far. */
  #stanzaChars = 0;
  #isFirst = true;
  #root: Open | null = null;
  /** Open elements below the root. */
  readonly #open: Open[] = [];
  /** Of the stanza that is being read, so far. */
  #elements = 0;
  /** The stanza that is being skipped. */
  #skipped: { readonly skipper: StanzaSkipper; readonly stanza: XmlElement | null } | null = null;
  #isClosed = false;
  #fault: XmlFault | null = null;

  constructor(
    private readonly limits: XmlLimits,
    private readonly sink: XmlSink,
  ) {}

  /** Calls the sink for everything that is whole with this piece. Returns the fault, null while all is well. */
  write(text: string): XmlFault | null {
    if (this.#fault !== null) return this.#fault;
    if (hasForbiddenCharacter(text)) return this.#fail('not-well-formed');
    const input = this.#rest === '' ? text : this.#rest + text;
    let at = 0;
    while (at < input.length) {
      const isSkipping = this.#skipped !== null;
      at = isSkipping ? this.#skip(input, at) : this.#read(input, at);
      if (this.#fault !== null) return this.#fault;
      if (isSkipping || this.#skipped !== null || at === input.length) continue;
      if (this.#stanzaChars + input.length - at <= this.limits.maxStanzaChars) break;
      this.#giveUp(0);
    }
    this.#rest = at === input.length ? '' : input.slice(at);
    return this.#fault;
  }

  /** Returns up to where it has read: what is behind has not wholly come, or is to be skipped. */
  #read(input: string, from: number): number {
    let at = from;
    while (at < input.length && this.#skipped === null) {
      const next =
        input.charCodeAt(at) === LESS_THAN ? this.#readMarkup(input, at) : this.#readText(input, at);
      if (next === at || this.#fault !== null) break;
      this.#searched = 0;
      this.#quote = 0;
      if (this.#open.length === 0 && this.#skipped === null) this.#stanzaChars = this.#elements = 0;
      else this.#stanzaChars += next - at;
      if (this.#stanzaChars > this.limits.maxStanzaChars && this.#skipped === null) this.#giveUp(0);
      at = next;
    }
    return at;
  }

  #skip(input: string, from: number): number {
    if (this.#skipped === null) return from;
    const { skipper, stanza } = this.#skipped;
    const { kind, at } = skipper.skip(input, from);
    this.#stanzaChars += at - from;
    if (kind === 'forbidden') this.#fail('restricted-xml');
    else if (this.#stanzaChars > SKIPPED_STANZAS_MAX * this.limits.maxStanzaChars)
      this.#fail('policy-violation');
    else if (kind === 'ended') {
      this.#skipped = null;
      this.#stanzaChars = this.#elements = 0;
      this.#refuse(stanza);
    }
    return at;
  }

  /** The stanza is beyond a limit. `tagDepth`: 1 when a start tag was read that has not been entered. */
  #giveUp(tagDepth: 0 | 1): void {
    if (this.#root === null || this.#isClosed || this.sink.oversized === undefined) {
      this.#fail('policy-violation');
      return;
    }
    const stanza = this.#open[0]?.element ?? null;
    // Nothing of it is kept from here on.
    if (stanza !== null) stanza.children.length = 0;
    this.#skipped = { skipper: new StanzaSkipper(this.#open.length + tagDepth), stanza };
    this.#open.length = 0;
    this.#searched = 0;
    this.#quote = 0;
  }

  /** Returns where it ends, `at` when its end has not come. */
  #readText(input: string, at: number): number {
    const found = input.indexOf('<', at + this.#searched);
    const parent = this.#open.at(-1);
    if (parent === undefined) {
      // White space keeps the connection alive; it is thrown away as it comes.
      const end = found === -1 ? input.length : found;
      if (!/^[ \t\r\n]*$/.test(input.slice(at, end))) this.#fail('not-well-formed');
      return end;
    }
    if (found === -1) {
      this.#searched = input.length - at;
      return at;
    }
    const text = decodeText(input.slice(at, found));
    if (text === null) this.#fail('not-well-formed');
    else parent.element.children.push(text);
    return found;
  }

  #readMarkup(input: string, at: number): number {
    switch (input[at + 1]) {
      case undefined:
        return at;
      case '!':
        return this.#readCharacterData(input, at);
      case '?':
        return this.#readDeclaration(input, at);
      case '/':
        return this.#readEnd(input, at);
      default:
        return this.#readStart(input, at);
    }
  }

  #readCharacterData(input: string, at: number): number {
    const parent = this.#open.at(-1);
    if (!CDATA_START.startsWith(input.slice(at, at + CDATA_START.length)) || parent === undefined) {
      this.#fail('restricted-xml');
      return at;
    }
    const start = at + CDATA_START.length;
    const end = input.indexOf(']]>', Math.max(start, at + this.#searched - 2));
    if (end === -1) {
      this.#searched = input.length - at;
      return at;
    }
    parent.element.children.push(input.slice(start, end));
    return end + 3;
  }

  #readDeclaration(input: string, at: number): number {
    if (!this.#isFirst) {
      this.#fail('restricted-xml');
      return at;
    }
    const end = input.indexOf('?>', at);
    if (end === -1) return at;
    this.#isFirst = false;
    if (!/^<\?xml[ \t\r\n]/.test(input.slice(at, end))) this.#fail('restricted-xml');
    return end + 2;
  }

  #readEnd(input: string, at: number): number {
    const end = input.indexOf('>', at + this.#searched);
    if (end === -1) {
      this.#searched = input.length - at;
      return at;
    }
    const open = this.#open.pop() ?? (this.#isClosed ? null : this.#root);
    if (open?.tagName !== input.slice(at + 2, end).trimEnd()) {
      this.#fail('not-well-formed');
    } else if (open === this.#root) {
      this.#isClosed = true;
      this.sink.closed();
    } else if (this.#open.length === 0) {
      this.#finish(open.element, end + 1 - at);
    }
    return end + 1;
  }

  #readStart(input: string, at: number): number {
    const found = findTagEnd(input, at + Math.max(1, this.#searched), this.#quote);
    if (found.end === -1) {
      this.#searched = input.length - at;
      this.#quote = found.quote;
      return at;
    }
    this.#isFirst = false;
    const next = found.end + 1;
    const isEmpty = input.charCodeAt(found.end - 1) === 47;
    const { maxStanzaChars, maxAttributes } = this.limits;
    const text = input.slice(at + 1, isEmpty ? found.end - 1 : found.end);
    const tag = next - at > maxStanzaChars ? 'policy-violation' : readTag(text, maxAttributes);
    if (tag === 'not-well-formed') {
      this.#fail(tag);
      return next;
    }
    if (tag === 'policy-violation') {
      if (isEmpty && this.#root !== null && this.#open.length === 0) this.#refuse(null);
      else this.#giveUp(isEmpty ? 0 : 1);
      return next;
    }
    const open = this.#resolve(tag);
    if (open === null || this.#isClosed) {
      this.#fail('not-well-formed');
    } else if (this.#root === null) {
      if (isEmpty) this.#fail('not-well-formed');
      this.#root = open;
      this.sink.opened(open.element);
    } else {
      this.#enter(open, isEmpty, next - at);
    }
    return next;
  }

  #enter(open: Open, isEmpty: boolean, chars: number): void {
    this.#elements += 1;
    if (this.#open.length >= this.limits.maxDepth || this.#elements > ELEMENTS_MAX) {
      this.#giveUp(isEmpty ? 0 : 1);
      return;
    }
    const parent = this.#open.at(-1);
    if (parent !== undefined) parent.element.children.push(open.element);
    if (!isEmpty) this.#open.push(open);
    else if (parent === undefined) this.#finish(open.element, chars);
  }

  /** `lastTagChars`: of its last tag, which is not counted yet. */
  #finish(stanza: XmlElement, lastTagChars: number): void {
    if (this.#stanzaChars + lastTagChars > this.limits.maxStanzaChars) this.#refuse(stanza);
    else this.sink.stanza(stanza);
  }

  /** The stanza is over and was beyond a limit. */
  #refuse(stanza: XmlElement | null): void {
    if (stanza !== null) stanza.children.length = 0;
    if (this.sink.oversized === undefined || this.#isClosed) this.#fail('policy-violation');
    else this.sink.oversized(stanza);
  }

  #resolve(tag: Tag): Open | null {
    const parent = this.#open.at(-1) ?? this.#root;
    let scope = parent === null ? XML_SCOPE : parent.scope;
    for (let i = 0; i < tag.declarations.length; i += 2) {
      scope = { prefix: tag.declarations[i] ?? '', namespace: tag.declarations[i + 1] ?? '', outer: scope };
    }
    const colon = tag.name.indexOf(':');
    const prefix = colon === -1 ? '' : tag.name.slice(0, colon);
    let found = scope;
    while (found !== null && found.prefix !== prefix) found = found.outer;
    if (found === null && prefix !== '') return null;
    const name = colon === -1 ? tag.name : tag.name.slice(colon + 1);
    return {
      element: new XmlElement(name, found?.namespace ?? '', tag.attributes),
      tagName: tag.name,
      scope,
    };
  }

  #fail(fault: XmlFault): XmlFault {
    this.#fault ??= fault;
    this.#rest = '';
    this.#open.length = 0;
    return this.#fault;
  }
}
