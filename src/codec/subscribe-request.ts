import { badInput, badValue, type ClientError } from '../domain/errors.js';
import {
  ACCOUNT_BYTES,
  ENCRYPTION_KEY_BYTES,
  isUserAccount,
  parseAccountId,
  parseEncryptionKey,
  type AccountId,
  type EncryptionKey,
  type UserPrefixes,
} from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import {
  isSignatureExpired,
  SIGNATURE_TOLERANCE_AHEAD_SECONDS,
  type Subaccount,
} from '../domain/subscription.js';
import { decodeByteField } from './byte-field.js';

/**
 * The JSON of subscribe and unsubscribe, read in steps, because the order of the checks is part of the interface and
 * checks of others (key conversion, registered services) stand between them.
 * Source: spec session-push-v2, 4.1, 4.2 and 5; the numbers below are the steps of 4.2. Shape errors have code 1 and
 * texts of our own (section 21, 29); numbers are not bent into range (section 21, 30).
 */
export type JsonObject = Readonly<Record<string, unknown>>;

const ED25519_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const SUBACCOUNT_TAG_BYTES = 36;
const NAMESPACE_MIN = -32_768;
const NAMESPACE_MAX = 32_767;
const UNSUBSCRIBE_WINDOW_SECONDS = 24 * 3600;

/** Whose subscription it is and what the request is signed with (steps 2 to 5). */
export interface RequestIdentity {
  readonly account: AccountId;
  /** 32 bytes, present exactly for users' accounts. */
  readonly ed25519Key: Buffer | null;
  readonly subaccount: Subaccount | null;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/** Step 7. */
export interface RequestTarget {
  /** Unix seconds, not yet compared with the clock. */
  readonly signedAtSeconds: number;
  /** As the client wrote it; whether such a service is registered is step 8. */
  readonly service: string;
  /** Any JSON value; only the notifier knows its shape. */
  readonly serviceInfo: unknown;
}

/** Steps 9 and 10; only of subscribe. */
export interface SubscribeDetails {
  readonly encryptionKey: EncryptionKey;
  /** Strictly ascending, each -32768..32767, at least one. */
  readonly namespaces: readonly number[];
  readonly wantData: boolean;
}

/** Step 1. */
export function parseElement(element: unknown): Result<JsonObject, ClientError> {
  return typeof element === 'object' && element !== null && !Array.isArray(element)
    ? ok(element as JsonObject)
    : fail(badInput('Invalid request: expected object'));
}

/** Steps 2 to 5. For an account that is no user's, `session_ed25519` is not even looked at. */
export function parseIdentity(
  request: JsonObject,
  userPrefixes: UserPrefixes,
): Result<RequestIdentity, ClientError> {
  const accountBytes = byteField(request, 'pubkey', ACCOUNT_BYTES);
  if (!accountBytes.ok) return accountBytes;
  const account = parseAccountId(accountBytes.value);
  if (account === null) return fail(invalidBytes);

  let ed25519Key: Buffer | null = null;
  if (isUserAccount(account, userPrefixes)) {
    const key = byteField(request, 'session_ed25519', ED25519_KEY_BYTES);
    if (!key.ok) return key;
    ed25519Key = key.value;
  }

  const subaccount = parseSubaccount(request);
  if (!subaccount.ok) return subaccount;

  const signature = byteField(request, 'signature', SIGNATURE_BYTES);
  if (!signature.ok) return signature;
  return ok({ account, ed25519Key, subaccount: subaccount.value, signature: signature.value });
}

/** Step 4. A signature without a tag is ignored; a tag that is there, even null, wants its signature. */
function parseSubaccount(request: JsonObject): Result<Subaccount | null, ClientError> {
  if (request['subaccount'] === undefined) return ok(null);
  if (request['subaccount_sig'] === undefined) {
    return fail(badValue('Cannot specify subaccount without subaccount_sig'));
  }
  const tag = byteField(request, 'subaccount', SUBACCOUNT_TAG_BYTES);
  if (!tag.ok) return tag;
  const signature = byteField(request, 'subaccount_sig', SIGNATURE_BYTES);
  if (!signature.ok) return signature;
  return ok({ tag: tag.value, signature: signature.value });
}

/** Step 7. */
export function parseTarget(request: JsonObject): Result<RequestTarget, ClientError> {
  const signedAtSeconds = request['sig_ts'];
  if (signedAtSeconds === undefined) return fail(missing('sig_ts'));
  if (typeof signedAtSeconds !== 'number' || !Number.isSafeInteger(signedAtSeconds)) {
    return fail(wrongType('sig_ts', 'an integer'));
  }
  const service = request['service'];
  if (service === undefined) return fail(missing('service'));
  if (typeof service !== 'string') return fail(wrongType('service', 'a string'));
  const serviceInfo = request['service_info'];
  if (serviceInfo === undefined) return fail(missing('service_info'));
  return ok({ signedAtSeconds, service, serviceInfo });
}

/**
 * Steps 9 and 10. `maxNamespaces` is a limit of ours (section 21, 27): the original takes as many as fit the body,
 * and every one of them is kept in memory and repeated to the storage nodes.
 */
export function parseSubscribeDetails(
  request: JsonObject,
  maxNamespaces: number,
): Result<SubscribeDetails, ClientError> {
  const keyBytes = byteField(request, 'enc_key', ENCRYPTION_KEY_BYTES);
  if (!keyBytes.ok) return keyBytes;
  const encryptionKey = parseEncryptionKey(keyBytes.value);
  if (encryptionKey === null) return fail(invalidBytes);

  const list = request['namespaces'];
  if (list === undefined) return fail(missing('namespaces'));
  if (!Array.isArray(list)) return fail(wrongType('namespaces', 'an array of integers'));
  const namespaces: number[] = [];
  for (const entry of list as unknown[]) {
    if (typeof entry !== 'number' || !Number.isInteger(entry)) {
      return fail(wrongType('namespaces', 'an array of integers'));
    }
    if (entry < NAMESPACE_MIN || entry > NAMESPACE_MAX) {
      return fail(badInput('Invalid parameter: namespaces must lie between -32768 and 32767'));
    }
    // JSON has a negative zero, and so has JavaScript.
    namespaces.push(entry === 0 ? 0 : entry);
  }

  const wantData = request['data'];
  if (wantData === undefined) return fail(missing('data'));
  if (typeof wantData !== 'boolean') return fail(wrongType('data', 'a boolean'));

  const problem = namespaceProblem(namespaces, maxNamespaces);
  return problem === null ? ok({ encryptionKey, namespaces, wantData }) : fail(badValue(problem));
}

/** Step 10, in its order: a list that is both unsorted and has duplicates is called unsorted. */
function namespaceProblem(namespaces: readonly number[], maxNamespaces: number): string | null {
  if (namespaces.length === 0) return 'Subscription: namespaces missing or empty';
  let hasDuplicates = false;
  let previous = -Infinity;
  for (const namespace of namespaces) {
    if (namespace < previous) return 'Subscription: namespaces are not sorted numerically';
    if (namespace === previous) hasDuplicates = true;
    previous = namespace;
  }
  if (hasDuplicates) return 'Subscription: namespaces contains duplicates';
  if (namespaces.length > maxNamespaces) return `Subscription: more than ${maxNamespaces} namespaces`;
  return null;
}

/** Step 11. */
export function subscribeTimeProblem(signedAtSeconds: number, nowSeconds: number): ClientError | null {
  if (signedAtSeconds === 0) return badValue('Subscription: signature timestamp is missing');
  if (isSignatureExpired(signedAtSeconds, nowSeconds)) {
    return badValue('Subscription: sig_ts timestamp is too old');
  }
  if (signedAtSeconds >= nowSeconds + SIGNATURE_TOLERANCE_AHEAD_SECONDS) {
    return badValue('Subscription: sig_ts timestamp is too far in the future');
  }
  return null;
}

/**
 * Section 5: a day back or ahead, both inclusive. The original says "An error occured while processing your request";
 * section 21, 29 asks for clear words.
 */
export function unsubscribeTimeProblem(signedAtSeconds: number, nowSeconds: number): ClientError | null {
  if (signedAtSeconds < nowSeconds - UNSUBSCRIBE_WINDOW_SECONDS) {
    return badValue('Unsubscribe: sig_ts timestamp is too old');
  }
  if (signedAtSeconds > nowSeconds + UNSUBSCRIBE_WINDOW_SECONDS) {
    return badValue('Unsubscribe: sig_ts timestamp is too far in the future');
  }
  return null;
}

function byteField(request: JsonObject, name: string, byteCount: number): Result<Buffer, ClientError> {
  const value = request[name];
  if (value === undefined) return fail(missing(name));
  if (typeof value !== 'string') return fail(wrongType(name, 'a string'));
  const bytes = decodeByteField(value, byteCount);
  return bytes === null ? fail(invalidBytes) : ok(bytes);
}

const invalidBytes = badValue('Invalid value: expected bytes, hex, or base64');
const missing = (name: string): ClientError => badInput(`Missing required parameter: ${name}`);
const wrongType = (name: string, wanted: string): ClientError =>
  badInput(`Invalid parameter: ${name} must be ${wanted}`);
