import { fail, ok, type Result } from '../domain/result.js';
import type { LegacyDeviceType } from './device.js';
import { pythonText, pythonType } from './python-text.js';
import { missing, refused, type LegacyAnswer } from './replies.js';

/** The arguments of a method: a JSON object, of which only own keys count. */
export type LegacyArguments = Readonly<Record<string, unknown>>;

type Checked<Value> = Result<Value, LegacyAnswer>;

/** Ids of clients have 66. */
export const ID_MAX_CHARACTERS = 512;
/** What the table holds of one. */
export const ID_MAX_BYTES = 1024;
export const TOKEN_MAX_BYTES = 999;
/** Data up to this is sent, longer data is left out. Characters. Source: spec session-push-v1, 4. */
export const DATA_MAX_CHARACTERS = 10_240;
/** A token of exactly so many characters is taken for one of Apple's. Source: spec session-push-v1, 3.1. */
const IOS_TOKEN_CHARACTERS = 64;

const deviceTypes: Readonly<Record<LegacyDeviceType, true>> = {
  ios: true,
  android: true,
  huawei: true,
  unknown: true,
};

export interface Registration {
  readonly token: string;
  readonly account: string;
  /** Null when the client did not say. */
  readonly type: LegacyDeviceType | null;
}

/** For `register` and `register_legacy_groups_only`. The device comes first, as in the original. */
export function readRegistration(args: LegacyArguments): Checked<Registration> {
  const type = readDeviceType(args);
  if (!type.ok) return type;
  const token = valueOf(args, 'token');
  // Without a device the original measures the token before it looks whether there is one.
  if (type.value === null && typeof token !== 'string' && !Array.isArray(token)) {
    return fail(refused(`object of type '${pythonType(token)}' has no len()`));
  }
  if (isMissing(token) || isMissing(valueOf(args, 'pubKey'))) return fail(missing);
  const checkedToken = readToken(args);
  if (!checkedToken.ok) return checkedToken;
  const account = readId(args, 'pubKey');
  if (!account.ok) return account;
  return ok({ token: checkedToken.value, account: account.value, type: type.value });
}

export function readToken(args: LegacyArguments): Checked<string> {
  const token = valueOf(args, 'token');
  if (isMissing(token)) return fail(missing);
  if (!isText(token)) return fail(refused('token is not a valid text'));
  if (Buffer.byteLength(token) > TOKEN_MAX_BYTES) return fail(refused('token is too long'));
  return ok(token);
}

export interface Membership {
  readonly group: string;
  readonly account: string;
}

export function readMembership(args: LegacyArguments): Checked<Membership> {
  if (isMissing(valueOf(args, 'closedGroupPublicKey')) || isMissing(valueOf(args, 'pubKey'))) {
    return fail(missing);
  }
  const group = readId(args, 'closedGroupPublicKey');
  if (!group.ok) return group;
  const account = readId(args, 'pubKey');
  return account.ok ? ok({ group: group.value, account: account.value }) : account;
}

/** The ids of `legacyGroupPublicKeys`, each once; none when it is absent. A `null` is an error, as in the original. */
export function readGroups(args: LegacyArguments, maxGroups: number): Checked<readonly string[]> {
  if (!Object.hasOwn(args, 'legacyGroupPublicKeys')) return ok([]);
  const list = args['legacyGroupPublicKeys'];
  if (!Array.isArray(list)) return fail(refused(`'${pythonType(list)}' object is not iterable`));
  if (list.length > maxGroups) return fail(refused('legacyGroupPublicKeys is too long'));
  const groups = new Set<string>();
  for (const id of list as readonly unknown[]) {
    const fault = isMissing(id) ? 'is empty' : faultOfId(id);
    if (fault !== null) return fail(refused(`an element of legacyGroupPublicKeys ${fault}`));
    groups.add(id as string);
  }
  return ok([...groups]);
}

export interface Notification {
  readonly recipient: string;
  /** Null when it is longer than what is sent. */
  readonly data: string | null;
}

export function readNotification(args: LegacyArguments): Checked<Notification> {
  const data = valueOf(args, 'data');
  if (isMissing(data) || isMissing(valueOf(args, 'send_to'))) return fail(missing);
  const recipient = readId(args, 'send_to');
  if (!recipient.ok) return recipient;
  if (typeof data !== 'string') return fail(refused('data is not a text'));
  return ok({
    recipient: recipient.value,
    data: isLongerThan(data, DATA_MAX_CHARACTERS) ? null : data,
  });
}

/** Of a token whose client did not say. */
export function guessDeviceType(token: string): LegacyDeviceType {
  const isIos = !isLongerThan(token, IOS_TOKEN_CHARACTERS) && isLongerThan(token, IOS_TOKEN_CHARACTERS - 1);
  return isIos ? 'ios' : 'android';
}

/** Null when it is absent; `null` itself is an error. */
function readDeviceType(args: LegacyArguments): Checked<LegacyDeviceType | null> {
  if (!Object.hasOwn(args, 'device')) return ok(null);
  const device = args['device'];
  if (typeof device === 'string' && isDeviceType(device)) return ok(device);
  const shown = pythonText(device) ?? `this ${pythonType(device)}`;
  return fail(refused(`${shown} is not a valid DeviceType`));
}

const isDeviceType = (text: string): text is LegacyDeviceType => Object.hasOwn(deviceTypes, text);

function readId(args: LegacyArguments, name: string): Checked<string> {
  const id = valueOf(args, name);
  const fault = faultOfId(id);
  return fault === null ? ok(id as string) : fail(refused(`${name} ${fault}`));
}

/** Null when it may be an id: a text that the table can hold. */
function faultOfId(id: unknown): string | null {
  if (!isText(id)) return 'is not a valid text';
  const isTooLong = id.length > ID_MAX_CHARACTERS || Buffer.byteLength(id) > ID_MAX_BYTES;
  return isTooLong ? 'is too long' : null;
}

/** Without zero characters, which PostgreSQL cannot hold, and halves of surrogate pairs, which UTF-8 cannot. */
const isText = (value: unknown): value is string => typeof value === 'string' && !/\0|\p{Cs}/u.test(value);

const valueOf = (args: LegacyArguments, name: string): unknown =>
  Object.hasOwn(args, name) ? args[name] : undefined;

/** Absent, or what Python takes for false. */
function isMissing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** In characters (code points), as the original counts; not more than need be. */
function isLongerThan(text: string, characters: number): boolean {
  if (text.length <= characters) return false;
  if (text.length > 2 * characters) return true;
  let count = 0;
  for (const _ of text) {
    count += 1;
    if (count > characters) return true;
  }
  return false;
}
