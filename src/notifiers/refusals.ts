/** Devices whose deliveries are remembered at most. */
const MAX_SERVED = 10_000;
/** So many devices that were served before and are refused now, with nothing delivered in between, speak against us. */
const WITNESSES = 3;

/**
 * Devices that something was delivered to, in two generations: at least the last half of `max` are remembered. One is
 * added with every delivery, so nothing is kept in order.
 */
export class ServedDevices {
  #recent = new Set<string>();
  #older = new Set<string>();

  constructor(private readonly max: number = MAX_SERVED) {}

  add(device: string): void {
    if (this.#recent.has(device)) return;
    if (this.#recent.size * 2 >= this.max) {
      this.#older = this.#recent;
      this.#recent = new Set();
    }
    this.#recent.add(device);
  }

  has(device: string): boolean {
    return this.#recent.has(device) || this.#older.has(device);
  }
}

/**
 * Some refusals do not say whose fault they are: a token of another app means a wrong app id or key file of ours, or one
 * client who subscribed with foreign tokens. The first must stop the notifier, the second must not, or a single client
 * could stop it for everybody at will, however many such devices he brings.
 *
 * What tells them apart is who is refused. A foreign token was never served. So while nothing was delivered yet, it is
 * taken for our fault; afterwards only refusals of devices that were served before speak against us: each by itself,
 * and a few of them, with nothing delivered in between, make every refusal ours.
 */
export class Refusals {
  #hasDelivered = false;
  /** Since the last delivery; no more than count. */
  readonly #witnesses = new Set<string>();

  constructor(private readonly served: ServedDevices = new ServedDevices()) {}

  /** Whether what is refused now would be refused to anybody. */
  get isOurs(): boolean {
    return !this.#hasDelivered || this.#witnesses.size >= WITNESSES;
  }

  delivered(device: string): void {
    this.#hasDelivered = true;
    this.#witnesses.clear();
    this.served.add(device);
  }

  /** Notes that this device was refused. True: it is about the device; false: it is about us. */
  isOfDevice(device: string): boolean {
    const wasServed = this.served.has(device);
    if (wasServed && this.#witnesses.size < WITNESSES) this.#witnesses.add(device);
    return !wasServed && !this.isOurs;
  }
}
