import { createHash } from 'node:crypto';
import type { Clock } from '../../domain/clock.js';
import type { TokenSigner } from './node-apn-connector.js';

/** Apple answers 429 to more than one new token in 20 minutes; one in between is for a key that was just changed. */
const FORCED_RENEWAL_INTERVAL_MS = 20 * 60_000;

/**
 * The provider token (JWT) of one key, as the value of the `authorization` header. Shared by all notifiers that use
 * the key, because Apple counts new tokens per key.
 */
export class ProviderToken {
  #authorization: string;
  #signedAtMs: number;
  #forcedAtMs: number | null = null;

  constructor(
    private readonly signer: TokenSigner,
    private readonly clock: Clock,
    private readonly lifetimeMs: number,
  ) {
    this.#authorization = `bearer ${signer.current}`;
    this.#signedAtMs = clock.nowMs();
  }

  authorization(): string {
    const ageMs = this.clock.nowMs() - this.#signedAtMs;
    if (ageMs >= this.lifetimeMs || ageMs < 0) this.#renew();
    return this.#authorization;
  }

  /**
   * Apple called `refused` expired. True: `authorization()` now gives another one, try again. False: a forced renewal
   * has not helped lately, so the fault lies elsewhere (our clock).
   */
  renewAfterRefusal(refused: string): boolean {
    if (refused !== this.#authorization) return true;
    const nowMs = this.clock.nowMs();
    if (this.#forcedAtMs !== null && nowMs - this.#forcedAtMs < FORCED_RENEWAL_INTERVAL_MS) return false;
    this.#forcedAtMs = nowMs;
    this.#renew();
    return true;
  }

  #renew(): void {
    this.signer.regenerate();
    this.#signedAtMs = this.clock.nowMs();
    this.#authorization = `bearer ${this.signer.current}`;
  }
}

/** One `ProviderToken` per key; made by the composition root, handed to every notifier of the type. */
export class ProviderTokens {
  readonly #tokens = new Map<string, ProviderToken>();

  constructor(private readonly clock: Clock) {}

  /** The first notifier of a key decides how long its tokens live. */
  of(
    key: { readonly key: string; readonly keyId: string; readonly teamId: string },
    signer: TokenSigner,
    lifetimeMs: number,
  ): ProviderToken {
    const name = createHash('sha256')
      .update(JSON.stringify([key.teamId, key.keyId, key.key]))
      .digest('hex');
    let token = this.#tokens.get(name);
    if (token === undefined) {
      token = new ProviderToken(signer, this.clock, lifetimeMs);
      this.#tokens.set(name, token);
    }
    return token;
  }
}
