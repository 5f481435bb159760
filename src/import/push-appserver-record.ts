import { parseAnyServiceId, type ServiceId } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import { isNode, isTokenText, isTypeName } from '../xmpp-devices/device-text.js';
import { utf8Of, type LuaTable, type LuaValue } from './lua-value.js';

/** What mod_push_appserver keeps of a device. Times in unix milliseconds. Source: spec xmpp-push, section 8. */
export interface PushAppserverRecord {
  readonly node: string;
  readonly type: string;
  readonly token: ServiceId;
  readonly secret: string;
  readonly registeredAtMs: number;
  readonly renewedAtMs: number | null;
  readonly lastPushAtMs: number | null;
  readonly lastErrorAtMs: number | null;
}

/** `empty`: nothing is registered there. `other-node`: the file is another device's. */
export type RecordFault =
  'empty' | 'no-record' | 'other-node' | 'bad-node' | 'bad-type' | 'bad-token' | 'bad-secret';

/** As the table has room for; the original's have 64 digits. In UTF-8. */
const SECRET_MAX_BYTES = 512;
const NODE_MAX_BYTES = 4096;
const TYPE_MAX_BYTES = 100;

/**
 * The record of `node`, which is what its file is named after. It is taken over even when a time in it is none: that costs
 * nobody anything, but without the secret a user's server could not publish any more. A time that is to come is none.
 */
export function readPushAppserverRecord(
  node: string,
  value: LuaValue,
  nowMs: number,
): Result<PushAppserverRecord, RecordFault> {
  if (value === null || typeof value !== 'object') return fail('no-record');
  if (value.size === 0) return fail('empty');
  const { type, token, secret } = {
    type: textIn(value, 'type'),
    token: textIn(value, 'token'),
    secret: textIn(value, 'secret'),
  };
  if (textIn(value, 'node') !== node) return fail('other-node');
  if (!isNode(node) || Buffer.byteLength(node) > NODE_MAX_BYTES) return fail('bad-node');
  if (type === null || !isTypeName(type) || Buffer.byteLength(type) > TYPE_MAX_BYTES) return fail('bad-type');
  const serviceId = token === null || !isTokenText(token) ? null : parseAnyServiceId(token);
  if (serviceId === null) return fail('bad-token');
  if (secret === null || !isSecretText(secret)) return fail('bad-secret');
  const time = (name: string): number | null => timeIn(value, name, nowMs);
  const [registered, renewed, lastPush, lastError] = [
    time('registered'),
    time('renewed'),
    time('last_successful_push'),
    time('last_push_error'),
  ];
  const registeredAtMs = registered ?? renewed ?? lastPush ?? lastError ?? 0;
  return ok({
    node,
    type,
    token: serviceId,
    secret,
    registeredAtMs,
    // One from before is of a record of another type, which this one has replaced (spec xmpp-push, 5.3).
    renewedAtMs: renewed !== null && renewed >= registeredAtMs ? renewed : null,
    lastPushAtMs: lastPush,
    lastErrorAtMs: lastError,
  });
}

const isSecretText = (text: string): boolean =>
  text !== '' && !text.includes('\0') && Buffer.byteLength(text) <= SECRET_MAX_BYTES;

function textIn(table: LuaTable, name: string): string | null {
  const value = table.get(name);
  return typeof value === 'string' ? utf8Of(value) : null;
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

function timeIn(table: LuaTable, name: string, nowMs: number): number | null {
  const text = table.get(name);
  const ms = typeof text === 'string' && DATE_TIME.test(text) ? Date.parse(text) : NaN;
  return ms >= 0 && ms <= nowMs ? Math.floor(ms) : null;
}
