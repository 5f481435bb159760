import type { ParsedArguments } from './arguments.js';

export const importKinds = ['v1', 'bchat', 'spns-v2'] as const;
export type ImportKind = (typeof importKinds)[number];

export interface ImportWish {
  readonly kind: ImportKind;
  readonly parsed: ParsedArguments;
  /** Files, or one address. */
  readonly sources: readonly string[];
  readonly brand: string | null;
  readonly dryRun: boolean;
  /** Absolute. */
  readonly rejectedFile: string | null;
}
