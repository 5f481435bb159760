/** One value that somebody gave, with the place where it was said. */
export interface Setting {
  /** `['http', 'port']`, `['notifiers', 'apns', 'topic']`; longer or unknown ones become problems. */
  readonly path: readonly string[];
  /** `/etc/waggle.yaml:12`, `environment variable WAGGLE_HTTP__PORT`, `flag --http.port`. */
  readonly origin: string;
  readonly given: GivenValue;
}

export type GivenValue =
  /** From the environment or the command line: its meaning depends on the option. */
  | { readonly kind: 'text'; readonly text: string }
  /** A flag without a value: only a switch takes that. */
  | { readonly kind: 'bare' }
  | { readonly kind: 'scalar'; readonly scalar: YamlScalar }
  | { readonly kind: 'list'; readonly items: readonly YamlScalar[] }
  /** A YAML mapping where none belongs, or something else that no option takes. */
  | { readonly kind: 'other' };

/** `source` is the text as written: an identifier such as 0123 or 12E4 must not go through a number. */
export interface YamlScalar {
  readonly value: unknown;
  readonly source: string | null;
}
