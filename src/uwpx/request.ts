import { fail, ok, type Result } from '../domain/result.js';
import { accountIdOfBareJid, domainOfBareJid } from './identifiers.js';
import type { ProtocolVersion, UwpxAccountId, UwpxDeviceId } from './port.js';

export type RequestedAccount =
  | { readonly kind: 'account-id'; readonly accountId: UwpxAccountId }
  /** First generation; `accountId` is made from the JID. */
  | {
      readonly kind: 'bare-jid';
      readonly accountId: UwpxAccountId;
      readonly bareJid: string;
      readonly domain: string;
    };

export type UwpxRequest =
  | {
      readonly kind: 'set-channel';
      readonly version: ProtocolVersion;
      readonly deviceId: UwpxDeviceId;
      /** Not checked yet: it has an error text of its own. */
      readonly channelUri: string;
    }
  | {
      readonly kind: 'set-accounts';
      readonly version: ProtocolVersion;
      readonly deviceId: UwpxDeviceId;
      /** As the client listed them, up to the limit; may name one twice. */
      readonly accounts: readonly RequestedAccount[];
    }
  | { readonly kind: 'test-push'; readonly deviceId: UwpxDeviceId }
  | { readonly kind: 'response' };

export type RequestKind = UwpxRequest['kind'];

/** `malformed`: no message at all, or a member of another type; `invalid`: a member missing, empty or out of range. */
export type RequestFault = 'malformed' | 'invalid';

export interface RequestLimits {
  /** Device and account ids, in bytes of UTF-8. */
  readonly idMaxBytes: number;
  /** What a list has beyond is not looked at. */
  readonly accountsPerDevice: number;
}

export interface RefusedRequest {
  /** As far as it was understood. */
  readonly kind: RequestKind | 'unknown';
  readonly fault: RequestFault;
}

/** By the name on the wire. `set_accounts` is what the original's README says and its program refuses. */
const kinds: ReadonlyMap<unknown, RequestKind> = new Map([
  ['set_channel_uri', 'set-channel'],
  ['set_push_accounts', 'set-accounts'],
  ['set_accounts', 'set-accounts'],
  ['request_test_push', 'test-push'],
  ['response', 'response'],
]);

const BARE_JID_MAX_BYTES = 2047; // RFC 7622, 3.1: 1023 bytes on either side of the @

const utf8 = new TextDecoder('utf-8', { fatal: true });

type Members = Readonly<Record<string, unknown>>;
type Read<Value> = Result<Value, RequestFault>;

const MALFORMED = fail('malformed' as const);
const INVALID = fail('invalid' as const);

/**
 * Reads one message, without its NUL, never throws. Which fault is answered how is that of the release build of the C++
 * server; source: spec uwpx-push, sections 2 and 3.
 */
export function parseRequest(
  message: Uint8Array,
  limits: RequestLimits,
): Result<UwpxRequest, RefusedRequest> {
  const members = parseObject(message);
  const kind = kinds.get(members?.['action']);
  if (members === null || kind === undefined) return fail({ kind: 'unknown', fault: 'malformed' });
  const request = readMembers(kind, members, limits);
  return request.ok ? request : fail({ kind, fault: request.error });
}

/** Whether these bytes are a whole JSON text, which a client that ends no message by NUL may have meant as one. */
export const isWholeJson = (bytes: Uint8Array): boolean => parseJson(bytes) !== undefined;

function readMembers(kind: RequestKind, members: Members, limits: RequestLimits): Read<UwpxRequest> {
  const version = readVersion(members);
  if (kind === 'response') {
    const status = members['status'];
    if (!version.ok || typeof status !== 'number') return worst(version, readNumber(status));
    return ok({ kind });
  }
  const deviceId = readText(members['device_id'], limits.idMaxBytes) as Read<UwpxDeviceId>;
  switch (kind) {
    case 'set-channel': {
      const channelUri = readText(members['channel_uri'], Infinity);
      if (!version.ok || !deviceId.ok || !channelUri.ok) return worst(version, deviceId, channelUri);
      return ok({ kind, version: version.value, deviceId: deviceId.value, channelUri: channelUri.value });
    }
    case 'set-accounts': {
      const list = members['accounts'];
      // The only member whose wrong type the original calls invalid.
      const accounts = Array.isArray(list) ? readAccounts(list, deviceId, limits) : INVALID;
      if (!version.ok || !deviceId.ok || !accounts.ok) return worst(version, deviceId, accounts);
      return ok({ kind, version: version.value, deviceId: deviceId.value, accounts: accounts.value });
    }
    case 'test-push':
      return version.ok && deviceId.ok ? ok({ kind, deviceId: deviceId.value }) : worst(version, deviceId);
  }
}

/** The form is told by the key, not by the version: spec uwpx-push, 2.3. */
function readAccounts(
  list: readonly unknown[],
  deviceId: Read<UwpxDeviceId>,
  { idMaxBytes, accountsPerDevice }: RequestLimits,
): Read<readonly RequestedAccount[]> {
  const accounts: RequestedAccount[] = [];
  for (const item of list.slice(0, accountsPerDevice)) {
    if (typeof item !== 'object' || item === null) return INVALID;
    const members = item as Members;
    const byJid = !Object.hasOwn(members, 'account_id');
    const id = byJid
      ? readText(members['bare_jid'], BARE_JID_MAX_BYTES)
      : readText(members['account_id'], idMaxBytes);
    if (!id.ok) return id;
    if (!byJid) accounts.push({ kind: 'account-id', accountId: id.value as UwpxAccountId });
    else if (deviceId.ok) accounts.push(accountOfBareJid(deviceId.value, id.value));
  }
  return ok(accounts);
}

const accountOfBareJid = (deviceId: UwpxDeviceId, bareJid: string): RequestedAccount => ({
  kind: 'bare-jid',
  accountId: accountIdOfBareJid(deviceId, bareJid),
  bareJid,
  domain: domainOfBareJid(bareJid),
});

function readVersion(members: Members): Read<ProtocolVersion> {
  const version = readNumber(members['version']);
  if (!version.ok) return version;
  return version.value === 1 || version.value === 2 ? ok(version.value) : INVALID;
}

function readNumber(value: unknown): Read<number> {
  if (value === undefined) return INVALID;
  return typeof value === 'number' ? ok(value) : MALFORMED;
}

/** No NUL, which PostgreSQL cannot store, and no half of a surrogate pair, which UTF-8 has no form for. */
const unstorable = /[\0\p{Surrogate}]/u;

function readText(value: unknown, maxBytes: number): Read<string> {
  if (value === undefined || value === '') return INVALID;
  if (typeof value !== 'string') return MALFORMED;
  return Buffer.byteLength(value) > maxBytes || unstorable.test(value) ? INVALID : ok(value);
}

/** A wrong type is noticed before a wrong value, wherever it stands. */
function worst(...results: readonly Read<unknown>[]): { readonly ok: false; readonly error: RequestFault } {
  return results.some((result) => !result.ok && result.error === 'malformed') ? MALFORMED : INVALID;
}

function parseObject(message: Uint8Array): Members | null {
  const value = parseJson(message);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Members) : null;
}

/** Undefined: no JSON, or no UTF-8. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
