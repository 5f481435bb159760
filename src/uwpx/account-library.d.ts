/** Exactly what we use of @xmpp/client 0.13.1, which brings no types. */
declare module '@xmpp/client' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  export interface LibraryElement {
    /** With its prefix. */
    readonly name: string;
    readonly attrs: Readonly<Record<string, string | undefined>>;
    is(name: string, namespace?: string): boolean;
    getChild(name: string, namespace?: string): LibraryElement | undefined;
    getChildren(name: string, namespace?: string): LibraryElement[];
    getChildElements(): LibraryElement[];
    /** The text directly in it. */
    text(): string;
    toString(): string;
  }

  /** It emits `start` (stream header), `element` (child of the stream), `end` and `error`; `write` may throw. */
  export interface LibraryParser extends EventEmitter {
    write(text: string): void;
  }

  export type ParserClass = new () => LibraryParser;

  export interface Transport {
    readonly prototype: {
      readonly Parser: ParserClass;
      /** Undefined for addresses of another transport; some throw. */
      socketParameters(service: string): object | undefined;
    };
  }

  export interface ClientEntity extends EventEmitter {
    /** For the answer to the stream header. Milliseconds. */
    timeout: number;
    Parser: ParserClass;
    Transport: Transport;
    readonly transports: readonly Transport[];
    readonly reconnect: { stop(): void };
    /** One more way to log in. */
    readonly sasl: { use(name: string, mechanism: new () => object): unknown };
    /** Takes a socket that is connected, as the library does with those that it connects itself. */
    _attachSocket(socket: Socket): void;
    open(options: { domain: string; timeout: number }): Promise<unknown>;
    /** Rejects when the socket does. */
    write(text: string): Promise<void>;
  }

  export interface ClientSettings {
    readonly service: string;
    readonly domain: string;
    /** A character for each byte. */
    readonly username: string;
    /** The same. */
    readonly password: string;
    readonly resource: string;
  }

  export function client(settings: ClientSettings): ClientEntity;
  export function xml(
    name: string,
    attributes?: Readonly<Record<string, string | undefined>>,
    ...children: readonly (LibraryElement | string)[]
  ): LibraryElement;
}
