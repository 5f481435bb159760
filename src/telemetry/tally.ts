/**
 * A number that a hot path adds to; Prometheus sees it only when somebody asks. prom-client's own counters hash
 * their labels on every increment, which would be the dearest step of the pipeline.
 */
export class Tally {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** One tally per value of one label. Values must come from a fixed set (our notifiers, our kinds), never from a peer. */
export class TallyFamily {
  readonly #tallies = new Map<string, Tally>();

  of(labelValue: string): Tally {
    let tally = this.#tallies.get(labelValue);
    if (tally === undefined) {
      tally = new Tally();
      this.#tallies.set(labelValue, tally);
    }
    return tally;
  }

  entries(): IterableIterator<[string, Tally]> {
    return this.#tallies.entries();
  }

  total(): number {
    let sum = 0;
    for (const tally of this.#tallies.values()) sum += tally.value;
    return sum;
  }
}

/** As `TallyFamily`, for two labels. */
export class TallyTable {
  readonly #families = new Map<string, TallyFamily>();

  of(firstValue: string, secondValue: string): Tally {
    let family = this.#families.get(firstValue);
    if (family === undefined) {
      family = new TallyFamily();
      this.#families.set(firstValue, family);
    }
    return family.of(secondValue);
  }

  entries(): IterableIterator<[string, TallyFamily]> {
    return this.#families.entries();
  }
}

/** As `TallyFamily`, for three labels. */
export class TallyCube {
  readonly #tables = new Map<string, TallyTable>();

  of(firstValue: string, secondValue: string, thirdValue: string): Tally {
    let table = this.#tables.get(firstValue);
    if (table === undefined) {
      table = new TallyTable();
      this.#tables.set(firstValue, table);
    }
    return table.of(secondValue, thirdValue);
  }

  entries(): IterableIterator<[string, TallyTable]> {
    return this.#tables.entries();
  }
}
