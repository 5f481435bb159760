import { assertNever } from '../domain/assert-never.js';
import type { DirectoryChange } from './port.js';

/**
 * What is on its way into the table and not yet in the directory, by what it touches: so that nobody decides by a state
 * that is about to change. Counts too many rather than too few.
 */
export class PendingChanges {
  /** Changes of each token. */
  readonly #tokens = new Counts();
  /** Changes of each group's members. */
  readonly #groups = new Counts();
  /** Devices that each account may get. */
  readonly #devicesOf = new Counts();
  #size = 0;

  /** All changes. */
  get size(): number {
    return this.#size;
  }

  ofToken(token: string): number {
    return this.#tokens.of(token);
  }

  ofGroup(group: string): number {
    return this.#groups.of(group);
  }

  devicesOf(account: string): number {
    return this.#devicesOf.of(account);
  }

  add(changes: readonly DirectoryChange[]): void {
    for (const change of changes) this.#count(change, 1);
  }

  remove(changes: readonly DirectoryChange[]): void {
    for (const change of changes) this.#count(change, -1);
  }

  #count(change: DirectoryChange, by: 1 | -1): void {
    this.#size += by;
    switch (change.kind) {
      case 'set-device':
        this.#tokens.add(change.device.token, by);
        this.#devicesOf.add(change.device.account, by);
        return;
      case 'remove-device':
      case 'device-died':
        this.#tokens.add(change.token, by);
        return;
      case 'add-member':
      case 'remove-member':
        this.#groups.add(change.group, by);
        return;
      default:
        assertNever(change);
    }
  }
}

/** Numbers by name; a zero takes no room. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, by: number): void {
    const count = this.of(name) + by;
    if (count === 0) this.#counts.delete(name);
    else this.#counts.set(name, count);
  }
}
