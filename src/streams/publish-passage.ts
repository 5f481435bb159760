import { secretHashOf } from '../crypto/secret-keeper.js';
import { equalsConstantTime } from '../crypto/sodium.js';
import type { PublishOutcome, PublishTarget } from '../domain/publish.js';
import type { PublishRequest } from '../xmpp/port.js';

/** A publish on its way, and what its server will hear. */
export class PublishPassage {
  /** Somebody answers it later; otherwise it must have an answer when its stages are through. */
  isHandedOver = false;
  #secretHash: Buffer | null = null;
  #outcome: PublishOutcome | null = null;
  #resolve: ((outcome: PublishOutcome) => void) | null = null;

  constructor(
    readonly request: PublishRequest,
    /** Unix milliseconds. */
    readonly receivedAtMs: number,
  ) {}

  /** False: it was answered before. */
  settle(outcome: PublishOutcome): boolean {
    if (this.#outcome !== null) return false;
    this.#outcome = outcome;
    this.#resolve?.(outcome);
    return true;
  }

  /** A promise only where the answer is not known yet. To be called once. */
  answer(): PublishOutcome | Promise<PublishOutcome> {
    return this.#outcome ?? new Promise((resolve) => (this.#resolve = resolve));
  }

  /** The one of these that it is meant for and may wake; one that has a device before one that has lost it. */
  choose(targets: readonly PublishTarget[]): PublishTarget | null {
    let gone: PublishTarget | null = null;
    for (const target of targets) {
      if (!this.#mayWake(target)) continue;
      if (target.device !== null) return target;
      gone ??= target;
    }
    return gone;
  }

  #mayWake({ secretHash, domain }: PublishTarget): boolean {
    const { secret, senderDomain, isFromServer } = this.request;
    this.#secretHash ??= secretHashOf(secret);
    if (!equalsConstantTime(this.#secretHash, secretHash)) return false;
    return domain === null || (isFromServer && domain === senderDomain);
  }
}
