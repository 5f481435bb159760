declare const brand: unique symbol;

/** A value that was checked where it came in; only the parsers of `domain/ids.ts` make one. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };
