import type { Random } from '../domain/random.js';
import type { OxenmqOptions } from './options.js';
import { PatientTimer } from './patient-timer.js';

/**
 * Asks a remote now and then whether the way to it and back still works. Heartbeats prove only that its process lives;
 * a route that another client has taken over stays silent for ever, without any event (spec oxenmq, 1.2 and 4.1).
 */
export class HiProbe {
  readonly #timer = new PatientTimer();
  /** Anything at all came since the last probe. */
  #heard = false;
  #missed = 0;

  constructor(
    private readonly options: OxenmqOptions,
    private readonly random: Random,
    private readonly sendHi: () => void,
    private readonly onSilence: () => void,
  ) {}

  start(): void {
    this.#missed = 0;
    this.#awaitNext();
  }

  stop(): void {
    this.#timer.clear();
  }

  /** For every message of the remote. */
  heard(): void {
    this.#heard = true;
  }

  #awaitNext(): void {
    this.#timer.start(this.options.probeIntervalMs * (0.9 + 0.2 * this.random()), () => this.#probe());
  }

  #probe(): void {
    this.#heard = false;
    this.sendHi();
    this.#timer.start(this.options.probeTimeoutMs, () => this.#judge());
  }

  #judge(): void {
    this.#missed = this.#heard ? 0 : this.#missed + 1;
    if (this.#heard) this.#awaitNext();
    else if (this.#missed >= this.options.maxMissedProbes) this.onSilence();
    else this.#probe();
  }
}
