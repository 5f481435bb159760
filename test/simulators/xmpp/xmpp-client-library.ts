import { createRequire } from 'node:module';
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/** An element of @xmpp/xml. */
export interface LibraryElement {
  readonly name: string;
  readonly attrs: Readonly<Record<string, string | undefined>>;
  readonly children: readonly (LibraryElement | string)[];
  /** Its namespace, declared here or further up. */
  getNS(): string | undefined;
}

/** Exactly what the tests use of a client of @xmpp/client 0.13.1, which brings no types. */
export interface LibraryClient extends EventEmitter {
  /** For opening and closing the stream. Milliseconds. */
  timeout: number;
  readonly status: string;
  readonly socket: Socket | null;
  readonly reconnect: { stop(): void };
  /** Resolves with the full address when logged in and bound to a resource. */
  start(): Promise<{ toString(): string }>;
  /** Ends the stream, then the connection. */
  stop(): Promise<unknown>;
  send(element: LibraryElement): Promise<void>;
}

interface Library {
  readonly client: (settings: {
    readonly service: string;
    readonly domain: string;
    readonly username: string;
    readonly password: string;
    readonly resource: string | undefined;
  }) => LibraryClient;
  readonly xml: (
    name: string,
    attributes: Readonly<Record<string, string | undefined>>,
    ...children: readonly (LibraryElement | string | undefined)[]
  ) => LibraryElement;
}

export const { client, xml } = createRequire(import.meta.url)('@xmpp/client') as Library;
