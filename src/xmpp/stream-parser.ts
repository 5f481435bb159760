import { EventEmitter } from 'node:events';
import { xml, type StreamParser } from '@xmpp/component';
import { ns } from './namespaces.js';
import type { ReadCoalescer } from './read-coalescer.js';
import type { XmlElement } from './xml-element.js';
import { XmlReader, type XmlFault, type XmlLimits } from './xml-reader.js';

export interface StreamEvents {
  /** Anything at all has come. */
  heard(): void;
  /** The server has taken our handshake. Stanzas may follow in the same packet. */
  accepted(): void;
  stanza(stanza: XmlElement): void;
  /** See `XmlSink`. */
  oversized(stanza: XmlElement | null): void;
  streamError(condition: string): void;
  badXml(fault: XmlFault | 'invalid-namespace'): void;
  /** The server has closed its side of the stream. */
  closed(): void;
}

/**
 * Stands in the place of the library's parser. The library gets the stream header and the handshake's answer, which
 * it waits for; stanzas, errors and the end go to us. Of those the library would make a promise chain for each stanza,
 * a connection to wherever `see-other-host` points, and, for data after an error or the end, an uncaught exception.
 */
export function streamParserClass(
  limits: XmlLimits,
  reads: ReadCoalescer,
  events: StreamEvents,
): new () => StreamParser {
  return class extends EventEmitter implements StreamParser {
    readonly #reader = new XmlReader(limits, {
      opened: (root) => {
        if (!root.is('stream', ns.stream)) events.badXml('invalid-namespace');
        else this.emit('start', xml('stream:stream', { id: root.attribute('id') ?? '' }));
      },
      stanza: (element) => {
        if (element.is('error', ns.stream)) events.streamError(conditionOf(element));
        else if (!element.is('handshake', ns.component)) events.stanza(element);
        else {
          this.emit('element', xml('handshake', {}));
          events.accepted();
        }
      },
      oversized: (element) => {
        events.oversized(element);
      },
      closed: () => {
        events.closed();
      },
    });

    constructor() {
      super();
      reads.handTo((text) => {
        const fault = this.#reader.write(text);
        if (fault !== null) events.badXml(fault);
      });
    }

    write(text: string): void {
      events.heard();
      reads.add(text);
    }
  };
}

/** Only what could be a condition: it goes to log and metrics. */
function conditionOf(error: XmlElement): string {
  const condition = error
    .elements()
    .find(({ name, namespace }) => namespace === ns.streamErrors && name !== 'text');
  return condition !== undefined && /^[a-z-]{1,40}$/.test(condition.name)
    ? condition.name
    : 'undefined-condition';
}
