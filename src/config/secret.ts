import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * A value that is not to be seen. Printing it, logging it or turning it into JSON shows only what may be shown; only
 * `reveal()` gives the value, so every use is easy to find.
 */
export class Secret {
  readonly #value: string;
  readonly #shown: string;
  readonly #file: string | null;

  /** `shown` is what takes the value's place wherever it is printed; `file`: where it was read from, absolute. */
  constructor(value: string, shown: string = REDACTED, file: string | null = null) {
    this.#value = value;
    this.#shown = shown;
    this.#file = file;
  }

  /** Null: it was written in the configuration itself. */
  get file(): string | null {
    return this.#file;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}

/**
 * A database address without its password: operators need to see where they connect to. Whatever does not parse, and
 * every query parameter (`?password=` is one), is left out.
 */
export function redactDatabaseUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return REDACTED;
  }
  const user = url.username === '' ? '' : `${url.username}${url.password === '' ? '' : `:${REDACTED}`}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}${url.search === '' ? '' : `?${REDACTED}`}`;
}
