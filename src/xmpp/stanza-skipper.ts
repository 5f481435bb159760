const CDATA_START = '<![CDATA[';
const LESS_THAN = 60;
const SLASH = 47;
const BANG = 33;
const QUESTION = 63;
const GREATER_THAN = 62;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;

type State = 'text' | 'open' | 'tag' | 'end-tag' | 'cdata-start' | 'cdata';

/** Where the stanza ended, `input.length` when its end has not come; `forbidden`: what XMPP allows nowhere. */
export type Skipped = { readonly kind: 'ended' | 'going-on' | 'forbidden'; readonly at: number };

/**
 * Finds the end of a stanza that is beyond the limits, and keeps nothing of it: only how deep it is within elements.
 * Whether end tags repeat their start tags, and what stands in tags, is not looked at.
 *
 *     text ──'<'──► open ──'/'──► end-tag ──'>'──► text, one element less
 *                    ├──'!'──► cdata-start ──► cdata ──']]>'──► text
 *                    └──any──► tag ──'>'──► text, one element more; as before when '/' stood before the '>'
 */
export class StanzaSkipper {
  #state: State = 'text';
  /** In a tag: the quote that is open, 0 for none. */
  #quote = 0;
  #isSlash = false;
  /** Characters of `<![CDATA[` that were seen, or of `]]>`. */
  #matched = 0;

  /** `depth`: elements of the stanza that are open; 0: what comes is its first tag. */
  constructor(private depth: number) {}

  /** To be called with each piece, from where the stanza has not been read yet. */
  skip(input: string, from: number): Skipped {
    let at = from;
    while (at < input.length) {
      if (this.#state === 'text') {
        const found = input.indexOf('<', at);
        if (found === -1) break;
        this.#state = 'open';
        at = found + 1;
        continue;
      }
      if (!this.#take(input.charCodeAt(at))) return { kind: 'forbidden', at };
      at += 1;
      if (this.#isBetweenStanzas()) return { kind: 'ended', at };
    }
    return { kind: 'going-on', at: input.length };
  }

  #isBetweenStanzas(): boolean {
    return this.depth === 0 && this.#state === 'text';
  }

  /** One character of markup. */
  #take(code: number): boolean {
    switch (this.#state) {
      case 'open':
        return this.#takeFirst(code);
      case 'tag':
        this.#takeOfTag(code);
        return true;
      case 'end-tag':
        if (code === GREATER_THAN) this.#leave(-1);
        return true;
      case 'cdata-start':
        if (code !== CDATA_START.charCodeAt(this.#matched)) return false;
        this.#matched += 1;
        if (this.#matched === CDATA_START.length) this.#enter('cdata', 0);
        return true;
      case 'cdata':
        this.#takeOfCharacterData(code);
        return true;
      case 'text':
        return true;
    }
  }

  #takeFirst(code: number): boolean {
    if (code === QUESTION || code === LESS_THAN) return false;
    if (code === SLASH || code === BANG) {
      if (this.depth === 0) return false;
      this.#enter(code === SLASH ? 'end-tag' : 'cdata-start', 2);
    } else {
      this.#enter('tag', 0);
      this.#takeOfTag(code);
    }
    return true;
  }

  #takeOfTag(code: number): void {
    if (this.#quote !== 0) {
      if (code === this.#quote) this.#quote = 0;
    } else if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) {
      this.#quote = code;
    } else if (code === GREATER_THAN) {
      this.#leave(this.#isSlash ? 0 : 1);
    }
    this.#isSlash = code === SLASH;
  }

  #takeOfCharacterData(code: number): void {
    if (code === 93) this.#matched = Math.min(2, this.#matched + 1);
    else if (code === GREATER_THAN && this.#matched === 2) this.#leave(0);
    else this.#matched = 0;
  }

  #enter(state: State, matched: number): void {
    this.#state = state;
    this.#matched = matched;
    this.#quote = 0;
    this.#isSlash = false;
  }

  #leave(deeper: number): void {
    this.depth += deeper;
    this.#state = 'text';
  }
}
