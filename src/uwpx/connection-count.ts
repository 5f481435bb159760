import type { UwpxSender } from './port.js';

export type Admission = 'admitted' | 'full' | 'address-full' | 'limited';

/** How many connections there are, of all and of each address. */
export class ConnectionCount {
  #total = 0;
  readonly #byAddress = new Map<string, number>();

  constructor(
    private readonly limits: { readonly connectionsMax: number; readonly connectionsPerAddress: number },
  ) {}

  get total(): number {
    return this.#total;
  }

  /** Everybody admitted is to be released. */
  admit({ key, isExempt }: UwpxSender): Admission {
    if (this.#total >= this.limits.connectionsMax) return 'full';
    const ofAddress = this.#byAddress.get(key) ?? 0;
    if (!isExempt && ofAddress >= this.limits.connectionsPerAddress) return 'address-full';
    this.#total += 1;
    this.#byAddress.set(key, ofAddress + 1);
    return 'admitted';
  }

  release({ key }: UwpxSender): void {
    this.#total -= 1;
    const left = (this.#byAddress.get(key) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(key, left);
    else this.#byAddress.delete(key);
  }
}
