import type { ParsedArguments } from './arguments.js';

export const importKinds = ['v1', 'bchat', 'spns-v2', 'mod_push_appserver', 'uwpx'] as const;
export type ImportKind = (typeof importKinds)[number];

export interface ImportWish {
  readonly kind: ImportKind;
  readonly parsed: ParsedArguments;
  /** Files, one address, or one directory. */
  readonly sources: readonly string[];
  readonly brand: string | null;
  readonly dryRun: boolean;
  /** Absolute. */
  readonly rejectedFile: string | null;
}
