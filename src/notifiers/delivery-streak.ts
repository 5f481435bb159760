/** So many such refusals with nothing delivered in between speak against us after all. */
const MAX_REFUSALS = 20;

/**
 * Some refusals do not say whose fault they are: a token of another app means a wrong topic or key file of ours — or
 * one client who subscribed with a foreign token; an exceeded quota may be ours or that of one device. The first must
 * stop the notifier, the second must not, or a single client could stop it for everybody at will. What tells them
 * apart is whether pushes to others are delivered meanwhile.
 */
export class DeliveryStreak {
  /** Refusals since the last delivery; infinite while nothing was ever delivered. */
  #refusals = Infinity;

  delivered(): void {
    this.#refusals = 0;
  }

  /** Counts one such refusal. True: others are delivered, so it is about this device. */
  refusalIsOfDevice(): boolean {
    this.#refusals += 1;
    return this.#refusals <= MAX_REFUSALS;
  }
}
