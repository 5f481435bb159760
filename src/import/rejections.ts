/** Where rows that are not taken over are written down: by number, never by what is in them. */
export type RejectionList = (source: string, table: string, row: number, reason: string) => void;

/** What an import leaves out, counted by reason. */
export class Rejections {
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(private readonly list: RejectionList | null) {}

  /** `source`: the name of the file, or `database`; `row`: its number there (rowid, id). */
  add(source: string, table: string, row: number, reason: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.#total += 1;
    this.list?.(source, table, row, reason);
  }

  get total(): number {
    return this.#total;
  }

  /** The most frequent first. */
  counts(): readonly (readonly [reason: string, count: number])[] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }
}
