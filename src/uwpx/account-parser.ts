import { EventEmitter } from 'node:events';
import { xml, type LibraryElement, type LibraryParser, type ParserClass } from '@xmpp/client';
import { conditionOf } from './account-end.js';
import { ns } from './account-namespaces.js';

export interface AccountStreamEvents {
  /** Anything at all has come. */
  heard(): void;
  /** Of the mechanisms that the server offers the one to log in with, as the library calls it; null: none is good. */
  chooseMechanism(offered: readonly string[]): string | null;
  /** Whether to go on after the server has let us in with this last word (base64). */
  isProven(lastWord: string): boolean;
  /** Before we are logged in. */
  refused(condition: string): void;
  /** After we are logged in. */
  stanza(stanza: LibraryElement): void;
  streamError(condition: string): void;
  badXml(): void;
  /** The server has closed its side of the stream. */
  closed(): void;
}

export interface ParserSettings {
  readonly maxStanzaChars: number;
  /** Whose the connection is by now: the library's until we are logged in, ours from then on. */
  readonly isOnline: () => boolean;
}

/**
 * Stands between the library's parser and the library. Of the server's features the library is told those that it shall
 * use: it would choose a mechanism that does not work, and resume sessions that we have given up. Stanzas after the
 * login, errors and the end go to us alone: of those the library would make a promise chain for each stanza, a connection
 * to wherever `see-other-host` points, and, for data after an error, an uncaught exception.
 */
export function accountParserClass(
  Parser: ParserClass,
  { maxStanzaChars, isOnline }: ParserSettings,
  events: AccountStreamEvents,
): ParserClass {
  return class extends EventEmitter implements LibraryParser {
    readonly #parser = new Parser();
    /** Since the end of the last stanza. */
    #chars = 0;
    #isOver = false;

    constructor() {
      super();
      this.#parser.on('start', (header: LibraryElement) => {
        if (header.is('stream', ns.stream)) this.emit('start', header);
        else this.#end(() => events.badXml());
      });
      this.#parser.on('element', (element: LibraryElement) => {
        this.#chars = 0;
        if (!this.#isOver) this.#take(element);
      });
      this.#parser.on('end', () => this.#end(() => events.closed()));
      this.#parser.on('error', () => this.#end(() => events.badXml()));
    }

    write(text: string): void {
      if (this.#isOver) return;
      events.heard();
      this.#chars += text.length;
      try {
        this.#parser.write(text);
      } catch {
        this.#end(() => events.badXml());
      }
      // Several stanzas of one packet count as one, which the limit has room for.
      if (this.#chars > maxStanzaChars) this.#end(() => events.badXml());
    }

    #take(element: LibraryElement): void {
      if (element.is('error', ns.stream)) {
        const condition = element.getChildElements().find((child) => child.is(child.name, ns.streamErrors));
        this.#end(() => events.streamError(conditionOf(condition?.name)));
      } else if (isOnline()) events.stanza(element);
      else if (element.is('features', ns.stream)) this.#takeFeatures(element);
      else if (element.is('failure', ns.sasl)) {
        const condition = conditionOf(element.getChildElements()[0]?.name);
        this.#end(() => events.refused(condition));
      } else if (element.is('success', ns.sasl) && !events.isProven(element.text().trim())) {
        this.#end(() => events.refused('server-not-proven'));
      } else this.emit('element', element);
    }

    #takeFeatures(features: LibraryElement): void {
      const offered = features.getChild('mechanisms', ns.sasl);
      if (offered === undefined && features.getChild('bind', ns.bind) !== undefined) {
        this.emit('element', featuresOf(xml('bind', { xmlns: ns.bind })));
        return;
      }
      const names = (offered?.getChildren('mechanism') ?? []).map((mechanism) => mechanism.text());
      const chosen = events.chooseMechanism(names);
      if (chosen === null) this.#end(() => events.refused('no-mechanism'));
      else {
        const mechanisms = xml('mechanisms', { xmlns: ns.sasl }, xml('mechanism', {}, chosen));
        this.emit('element', featuresOf(mechanisms));
      }
    }

    #end(tell: () => void): void {
      if (this.#isOver) return;
      this.#isOver = true;
      tell();
    }
  };
}

const featuresOf = (feature: LibraryElement): LibraryElement =>
  xml('features', { xmlns: ns.stream }, feature);
