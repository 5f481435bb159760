/** Exactly what we use of @xmpp/component 0.13.1, which brings no types. */
declare module '@xmpp/component' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  /** A parser as the library drives one: it emits `start` (stream header) and `element`. */
  export interface StreamParser extends EventEmitter {
    write(text: string): void;
  }

  /** An element as the library sees it. */
  export interface LibraryElement {
    readonly name: string;
    readonly attrs: Readonly<Record<string, string>>;
  }

  export interface ComponentEntity extends EventEmitter {
    /** For the answer to the stream header and to the handshake. Milliseconds. */
    timeout: number;
    Parser: new () => StreamParser;
    readonly socket: Socket | null;
    readonly reconnect: { stop(): void };
    socketParameters(service: string): { host: string; port: number };
    connect(service: string): Promise<unknown>;
    open(options: { domain: string; timeout: number }): Promise<unknown>;
    /** Rejects when the socket does, and when the stream is closing. */
    write(text: string): Promise<void>;
  }

  export interface ComponentSettings {
    readonly service: string;
    readonly domain: string;
    /** Called with the stream open; hands the secret to the handshake. */
    readonly password: (authenticate: (secret: string) => Promise<void>) => Promise<void>;
  }

  export function component(settings: ComponentSettings): ComponentEntity;
  export function xml(name: string, attributes: Readonly<Record<string, string>>): LibraryElement;
}
