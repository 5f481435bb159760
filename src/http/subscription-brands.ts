import { badValue, type ClientError } from '../domain/errors.js';
import { USER_PREFIX, type AccountId, type UserPrefixes } from '../domain/ids.js';
import type { Brand } from '../legacy/brand.js';

/** What of a brand concerns its subscriptions. */
export type SubscriptionBrandSettings = Pick<Brand, 'name' | 'accountPrefix' | 'services' | 'appName'>;

/** One brand, as the check of every request wants it. */
export interface SubscriptionBrand {
  /** Clients' words for push services, such as `apns`, to our names; any other word is a name of ours already. */
  readonly services: ReadonlyMap<string, string>;
  /** First byte of its users' accounts. */
  readonly accountPrefix: number;
  /** For a user's account of another brand. */
  readonly foreignUser: ClientError;
}

/**
 * Whose subscription it is: the brand of the onion route that the request came by, and where all brands share a door,
 * the brand whose users' accounts begin as this one does. Other accounts (groups) do not tell their brand: there they
 * are taken as those of Session v2, whose prefix is 05. Source: spec bchat-push, section 4.
 */
export class SubscriptionBrands {
  /** With 05 in any case: the rules of Session v2 hold whether or not a brand has older clients of it. */
  readonly userPrefixes: UserPrefixes;
  readonly #byName = new Map<string, SubscriptionBrand>();
  readonly #byPrefix = new Map<number, SubscriptionBrand>();
  readonly #others: SubscriptionBrand;

  /** Of several brands with the same prefix, the first is taken for what does not come by a brand's own route. */
  constructor(settings: readonly SubscriptionBrandSettings[]) {
    this.userPrefixes = new Set([USER_PREFIX, ...settings.map(({ accountPrefix }) => accountPrefix)]);
    for (const each of settings) {
      const brand = toBrand(each);
      this.#byName.set(each.name, brand);
      if (!this.#byPrefix.has(each.accountPrefix)) this.#byPrefix.set(each.accountPrefix, brand);
    }
    this.#others = this.#byPrefix.get(USER_PREFIX) ?? plainV2;
  }

  /** Throws for a name that was not among the settings. */
  named(name: string): SubscriptionBrand {
    const brand = this.#byName.get(name);
    if (brand === undefined) throw new TypeError(`there is no brand called ${name}`);
    return brand;
  }

  ofAccount(account: AccountId): SubscriptionBrand {
    return this.#byPrefix.get(account[0] ?? -1) ?? this.#others;
  }
}

/** Null unless the account is the user's of another brand than the one whose route it came by. */
export function prefixProblem(
  brand: SubscriptionBrand,
  account: AccountId,
  ed25519Key: Buffer | null,
): ClientError | null {
  return ed25519Key !== null && account[0] !== brand.accountPrefix ? brand.foreignUser : null;
}

function toBrand({
  accountPrefix,
  services,
  appName,
}: Omit<SubscriptionBrandSettings, 'name'>): SubscriptionBrand {
  const prefix = accountPrefix.toString(16).padStart(2, '0');
  return {
    services: new Map(Object.entries(services)),
    accountPrefix,
    foreignUser: badValue(
      `session_ed25519 may only be used with ${prefix}-prefixed ${appName.toLowerCase()} IDs`,
    ),
  };
}

const plainV2: SubscriptionBrand = {
  services: new Map(),
  accountPrefix: USER_PREFIX,
  foreignUser: badValue('session_ed25519 may only be used with 05-prefixed session IDs'),
};
