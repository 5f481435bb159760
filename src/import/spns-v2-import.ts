import { nowSeconds, type Clock } from '../domain/clock.js';
import {
  isUserAccount,
  parseAccountId,
  parseEncryptionKey,
  parseServiceId,
  parseServiceName,
  SERVICE_DATA_MAX_BYTES,
  type AccountId,
  type UserPrefixes,
} from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import {
  isSignatureExpired,
  SIGNATURE_TOLERANCE_AHEAD_SECONDS,
  type Subscription,
} from '../domain/subscription.js';
import { addCounts, NOTHING, type ImportCounts } from '../store/import-counts.js';
import type { SpnsV2Row, SpnsV2Source } from '../store/spns-v2-source.js';
import type { SubscriptionImport } from '../store/subscription-import.js';
import type { OnProgress } from './legacy-import.js';
import type { Rejections } from './rejections.js';

export interface SpnsV2ImportDeps {
  readonly source: Pick<SpnsV2Source, 'count' | 'page' | 'counters'>;
  /** Null: there is no database yet, so everything would be new. */
  readonly target: Pick<SubscriptionImport, 'subscriptions' | 'counters'> | null;
  readonly userPrefixes: UserPrefixes;
  /** Our name for a service of theirs; `account` is null for what is about no account. */
  readonly serviceOf: (account: AccountId | null, service: string) => string;
  readonly rejections: Rejections;
  readonly clock: Clock;
  readonly pageRows: number;
  readonly onProgress: OnProgress;
}

export interface SpnsV2Report {
  readonly read: number;
  readonly subscriptions: ImportCounts;
  /** Those that could be taken, by our names. */
  readonly byService: ReadonlyMap<string, number>;
  /** All-time counters that were taken over. */
  readonly counters: number;
}

const SIGNATURE_BYTES = 64;
const ED25519_KEY_BYTES = 32;
const SUBACCOUNT_TAG_BYTES = 36;

/**
 * Copies page by page in the order of the ids, while the next page is read; each page is committed by itself, and all
 * of them may be copied again.
 */
export async function importSpnsV2(deps: SpnsV2ImportDeps): Promise<SpnsV2Report> {
  const { source, target, clock, pageRows, onProgress } = deps;
  const all = await source.count();
  const byService = new Map<string, number>();
  let counts = NOTHING;
  let read = 0;
  const ask = (afterId: number): Promise<readonly SpnsV2Row[]> => {
    const page = source.page(afterId, pageRows);
    // Its failure is met where it is awaited, after the page before was written.
    page.catch(() => {});
    return page;
  };
  let next = ask(0);
  for (;;) {
    const rows = await next;
    const last = rows.at(-1);
    if (last === undefined) break;
    next = ask(last.id);
    const subscriptions = takeable(rows, deps);
    for (const { service } of subscriptions) byService.set(service, (byService.get(service) ?? 0) + 1);
    const written =
      target === null
        ? { ...NOTHING, added: subscriptions.length }
        : await target.subscriptions(subscriptions, clock.nowMs());
    counts = addCounts(counts, written);
    read += rows.length;
    onProgress('subscriptions', read, all);
  }
  return { read, subscriptions: counts, byService, counters: await copyCounters(deps) };
}

function takeable(
  rows: readonly SpnsV2Row[],
  { userPrefixes, serviceOf, rejections, clock }: SpnsV2ImportDeps,
): Subscription[] {
  const seconds = nowSeconds(clock);
  const subscriptions: Subscription[] = [];
  for (const row of rows) {
    const read = readSubscription(row, { userPrefixes, serviceOf }, seconds);
    if (read.ok) subscriptions.push(read.value);
    else rejections.add('database', 'subscriptions', row.id, read.error);
  }
  return subscriptions;
}

async function copyCounters({ source, target, serviceOf }: SpnsV2ImportDeps): Promise<number> {
  if (target === null) return 0;
  const counters = await source.counters();
  return target.counters(
    counters.map((counter) => ({ ...counter, service: serviceOf(null, counter.service) })),
  );
}

/** Why a row cannot be one of ours. */
export type RowFault =
  | 'expired'
  | 'bad-time'
  | 'bad-account'
  | 'bad-ed25519-key'
  | 'bad-subaccount'
  | 'bad-signature'
  | 'bad-encryption-key'
  | 'bad-service'
  | 'bad-service-id'
  | 'bad-service-data'
  | 'no-namespaces';

/**
 * A row to a subscription, by the rules that a subscribe goes by (spec session-push-v2, 4.1, 4.2 and 8.2). Signatures
 * are not verified: the old server did, and the storage nodes do at every registration.
 */
export function readSubscription(
  row: SpnsV2Row,
  { userPrefixes, serviceOf }: Pick<SpnsV2ImportDeps, 'userPrefixes' | 'serviceOf'>,
  nowSeconds: number,
): Result<Subscription, RowFault> {
  const { signedAtSeconds, signature, serviceData, namespaces, wantData } = row;
  if (signedAtSeconds < 0) return fail('bad-time');
  if (isSignatureExpired(signedAtSeconds, nowSeconds)) return fail('expired');
  if (signedAtSeconds >= nowSeconds + SIGNATURE_TOLERANCE_AHEAD_SECONDS) return fail('bad-time');

  const account = parseAccountId(row.account);
  if (account === null) return fail('bad-account');
  const isUser = isUserAccount(account, userPrefixes);
  if (isUser && row.ed25519Key?.length !== ED25519_KEY_BYTES) return fail('bad-ed25519-key');
  if (signature.length !== SIGNATURE_BYTES) return fail('bad-signature');

  const subaccount = readSubaccount(row);
  if (!subaccount.ok) return subaccount;
  const encryptionKey = parseEncryptionKey(row.encryptionKey);
  if (encryptionKey === null) return fail('bad-encryption-key');
  const service = parseServiceName(serviceOf(account, row.service));
  if (service === null) return fail('bad-service');
  const serviceId = parseServiceId(row.serviceId);
  if (serviceId === null) return fail('bad-service-id');
  if (serviceData !== null && serviceData.length > SERVICE_DATA_MAX_BYTES) return fail('bad-service-data');
  if (namespaces.length === 0) return fail('no-namespaces');
  return ok({
    account,
    service,
    serviceId,
    namespaces,
    wantData,
    encryptionKey,
    serviceData,
    authorisation: {
      ed25519Key: isUser ? row.ed25519Key : null,
      subaccount: subaccount.value,
      signature,
      signedAtSeconds,
    },
  });
}

function readSubaccount({
  subaccountTag: tag,
  subaccountSignature: signature,
}: SpnsV2Row): Result<Subscription['authorisation']['subaccount'], 'bad-subaccount'> {
  if (tag === null && signature === null) return ok(null);
  return tag?.length === SUBACCOUNT_TAG_BYTES && signature?.length === SIGNATURE_BYTES
    ? ok({ tag, signature })
    : fail('bad-subaccount');
}
