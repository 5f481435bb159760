import type { Clock } from '../../domain/clock.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { BoundedMap } from '../bounded-map.js';
import { parseVapidKey, signEs256Token, type VapidKey } from '../../crypto/vapid-key.js';
import { readCredentialFile } from '../credential-files.js';

/** The keys of one server: subscriptions made with any of them are served, new clients are told the first. */
export class VapidKeys {
  readonly #byPublicText: ReadonlyMap<string, VapidKey>;
  readonly #byId: ReadonlyMap<string, VapidKey>;

  constructor(
    readonly preferred: VapidKey,
    others: readonly VapidKey[] = [],
  ) {
    const all = [preferred, ...others];
    this.#byPublicText = new Map(all.map((key) => [key.publicText, key]));
    this.#byId = new Map(all.map((key) => [key.id.toString('hex'), key]));
  }

  /** In base64url, the preferred one first. */
  get publicTexts(): readonly string[] {
    return [...this.#byPublicText.keys()];
  }

  /** `publicKey`: 65 bytes. */
  ofPublicKey(publicKey: Buffer): VapidKey | null {
    return this.#byPublicText.get(publicKey.toString('base64url')) ?? null;
  }

  ofId(id: Buffer): VapidKey | null {
    return this.#byId.get(id.toString('hex')) ?? null;
  }
}

/** Reads the files of the option `vapidKeyFiles`. The error names the option, never what is in a file. */
export function loadVapidKeys(files: readonly string[]): Result<VapidKeys, string> {
  const keys: VapidKey[] = [];
  for (const file of files) {
    const text = readCredentialFile('vapidKeyFiles', file);
    if (!text.ok) return text;
    const key = parseVapidKey(text.value);
    if (key === null) return fail('vapidKeyFiles: not a secret key on P-256 (waggle keygen vapid makes one)');
    keys.push(key);
  }
  const [preferred, ...others] = keys;
  return preferred === undefined ? fail('vapidKeyFiles is missing') : ok(new VapidKeys(preferred, others));
}

/** How a push service reaches us: RFC 8292, 2.1. Null = it is one; otherwise what is wrong. */
export function subjectProblem(subject: string): string | null {
  const isContact = /^mailto:[^\s@]+@[^\s@]+$/.test(subject) || isHttpsUrl(subject);
  return isContact ? null : 'subject: expected mailto:ADDRESS or an https:// address';
}

const isHttpsUrl = (text: string): boolean => /^https:\/\/[^\s/]/.test(text) && URL.canParse(text);

/** 24 hours are the most that services take (RFC 8292, 2); half of it leaves room for clocks that differ. */
const TOKEN_LIFETIME_SECONDS = 12 * 3600;
/** Renewed when half of it is over; Apple wants no new token within an hour. */
const RENEW_WITH_LEFT_SECONDS = TOKEN_LIFETIME_SECONDS / 2;
const TOKENS_MAX = 4096;

interface SignedToken {
  readonly header: string;
  readonly expiresAtSeconds: number;
}

/** The `authorization` header of every key and push service, signed when first asked for and kept for hours. */
export class VapidTokens {
  readonly #tokens: BoundedMap<SignedToken>;

  constructor(
    private readonly subject: string,
    private readonly clock: Clock,
    /** Anybody can name a new push service with every subscription. */
    maxTokens: number = TOKENS_MAX,
  ) {
    this.#tokens = new BoundedMap(maxTokens);
  }

  get size(): number {
    return this.#tokens.size;
  }

  /** `vapid t=JWT, k=KEY` for requests to the push service with this origin (RFC 8292, 3). */
  authorization(key: VapidKey, origin: string): string {
    const name = `${key.publicText} ${origin}`;
    const nowSeconds = Math.floor(this.clock.nowMs() / 1000);
    const known = this.#tokens.get(name);
    const token =
      known !== undefined && isFresh(known, nowSeconds) ? known : this.#sign(key, origin, nowSeconds);
    this.#tokens.set(name, token);
    return token.header;
  }

  #sign(key: VapidKey, origin: string, nowSeconds: number): SignedToken {
    const expiresAtSeconds = nowSeconds + TOKEN_LIFETIME_SECONDS;
    const token = signEs256Token({ aud: origin, exp: expiresAtSeconds, sub: this.subject }, key);
    return { header: `vapid t=${token}, k=${key.publicText}`, expiresAtSeconds };
  }
}

/** Also false when the clock was put back meanwhile: the token would live longer than services take. */
function isFresh({ expiresAtSeconds }: SignedToken, nowSeconds: number): boolean {
  const leftSeconds = expiresAtSeconds - nowSeconds;
  return leftSeconds > RENEW_WITH_LEFT_SECONDS && leftSeconds <= TOKEN_LIFETIME_SECONDS;
}
