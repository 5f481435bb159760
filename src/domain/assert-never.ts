/** The end of every switch over a discriminated union: a new kind that nobody handles does not compile. */
export function assertNever(value: never): never {
  throw new TypeError(`unhandled kind: ${JSON.stringify((value as { kind?: unknown }).kind)}`);
}
