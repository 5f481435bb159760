import sodium from 'sodium-native';
import { dictsOfList, DictReader, StreamFault } from './bt-stream.js';

/** What one accepted entry of `monitor.messages` asks for. */
export interface MonitorEntry {
  /** 33 bytes. */
  readonly account: Buffer;
  readonly namespaces: readonly number[];
  readonly wantData: boolean;
}

export type MonitorVerdict =
  { readonly ok: true; readonly entry: MonitorEntry } | { readonly ok: false; readonly reply: string };

export interface MonitorRules {
  /** Signatures and subaccounts are verified; off for load, where the wire is of interest and not Ed25519. */
  readonly verify: boolean;
  readonly nowSeconds: () => number;
  /**
   * What stands before the X25519 form of an Ed25519 key: 05, also in the Beldex node that is published today; 0xbd in
   * one that is mended (spec bchat-push, section 5, 4).
   */
  readonly userPrefix: number;
  /** Ed25519 keys already turned into accounts: the dearest step, and the same for every node of a swarm. */
  readonly accountsByKey: Map<string, Buffer>;
}

export const SUCCESS = 'd7:successi1ee';
const FOURTEEN_DAYS = 14 * 24 * 3600;
const ONE_DAY = 24 * 3600;
const FLAG_READ = 1;
const FLAG_ANY_PREFIX = 8;

const pair = (errcode: number, text: string) =>
  `7:errcodei${errcode}e5:error${Buffer.byteLength(text)}:${text}`;
export const errorReply = (errcode: number, text: string): string => `d${pair(errcode, text)}e`;

export type MonitorRequest =
  | { readonly kind: 'failed'; readonly reply: string }
  | { readonly kind: 'single'; readonly dict: Buffer }
  | { readonly kind: 'list'; readonly dicts: readonly Buffer[] };

/** The parts behind the tag (spec storage-server, 4.2 and 4.3). */
export function parseMonitorRequest(parts: readonly Buffer[]): MonitorRequest {
  const [body] = parts;
  const isOpen = body !== undefined && parts.length === 1 && body.length >= 2 && body.at(-1) === 0x65;
  if (isOpen && body[0] === 0x64) return { kind: 'single', dict: body };
  if (isOpen && body[0] === 0x6c) {
    try {
      return { kind: 'list', dicts: dictsOfList(body) };
    } catch {
      return {
        kind: 'failed',
        reply: errorReply(1, 'Invalid arguments: Failed to parse monitor.messages data value'),
      };
    }
  }
  return {
    kind: 'failed',
    reply: errorReply(1, 'Invalid arguments: monitor request takes a single bencoded dict or list parameter'),
  };
}

/** One dict, checked in the original's order. */
export function checkMonitorEntry(dict: Buffer, rules: MonitorRules): MonitorVerdict {
  try {
    return readEntry(dict, rules);
  } catch (error) {
    if (!(error instanceof StreamFault)) throw error;
    return refused(1, `Invalid arguments: ${error.message}`);
  }
}

const refused = (errcode: number, text: string): MonitorVerdict => ({
  ok: false,
  reply: errorReply(errcode, text),
});

function readEntry(dict: Buffer, rules: MonitorRules): MonitorVerdict {
  const reader = new DictReader(dict);
  const sessionKey = reader.has('P') ? reader.string() : null;
  if (sessionKey !== null && sessionKey.length !== 32) {
    return refused(2, 'Provided P= Session Ed25519 pubkey must be 32 bytes');
  }
  let subaccount: { signature: Buffer; token: Buffer } | null = null;
  if (reader.has('S')) {
    const signature = reader.string();
    if (signature.length !== 64) return refused(2, 'Provided S subaccount signature must be 64 bytes');
    reader.require('T');
    const token = reader.string();
    if (token.length !== 36) return refused(2, 'Provided T subaccount token must be 36 bytes');
    subaccount = { signature, token };
  }
  const wantData = reader.has('d') && reader.integer(0n, 1n) === 1n;
  reader.require('n');
  const namespaces = reader.integers(-32768n, 32767n).map(Number);
  if (namespaces.some((namespace, index) => index > 0 && namespace <= (namespaces[index - 1] ?? 0))) {
    return refused(3, 'Invalid n= namespace list: namespaces must be ascending');
  }
  const account = reader.has('p') ? reader.string() : null;
  if (account !== null && sessionKey !== null) {
    throw new StreamFault('Cannot provide both p= and P= pubkey values');
  }
  if (account === null && sessionKey === null) throw new StreamFault('Either p= or P= must be given');
  // The original forgets to stop here, so its reply can hold two errors.
  const before =
    account !== null && account.length !== 33 ? pair(2, 'Provided p= pubkey must be 33 bytes') : '';
  const stop = (errcode: number, text: string): MonitorVerdict => ({
    ok: false,
    reply: `d${before}${pair(errcode, text)}e`,
  });

  reader.require('s');
  const signature = reader.string();
  if (signature.length !== 64) return stop(5, 'Provided s= signature must be 64 bytes');
  reader.require('t');
  const time = Number(reader.integer(-(2n ** 63n), 2n ** 63n - 1n));
  const now = rules.nowSeconds();
  if (time < now - FOURTEEN_DAYS) return stop(4, 'Invalid t= signature timestamp: timestamp is too old');
  if (time > now + ONE_DAY) return stop(4, 'Invalid t= signature timestamp: timestamp is in the future');

  const id = account ?? accountOf(sessionKey ?? Buffer.alloc(0), rules);
  if (id === null) return stop(2, 'Invalid P= ed25519 public key');
  if (rules.verify) {
    const accountKey = sessionKey ?? id.subarray(1);
    const text = `MONITOR${id.toString('hex')}${time}${wantData ? 1 : 0}${namespaces.join(',')}`;
    if (subaccount !== null) {
      const fault = subaccountFault(subaccount, id, accountKey);
      if (fault !== null) return stop(5, `Subaccount verification failed: ${fault}`);
    }
    if (!verifies(signature, text, subaccount?.token.subarray(4) ?? accountKey)) {
      return stop(5, 'Signature verification failed');
    }
  }
  if (before !== '') return { ok: false, reply: `d${before}e` };
  return { ok: true, entry: { account: id, namespaces, wantData } };
}

function subaccountFault(
  { signature, token }: { signature: Buffer; token: Buffer },
  account: Buffer,
  accountKey: Buffer,
): string | null {
  const flags = token[1] ?? 0;
  if (token[0] !== account[0] && (flags & FLAG_ANY_PREFIX) === 0) return 'subaccount network prefix mismatch';
  if ((flags & FLAG_READ) === 0) return 'subaccount is missing the required permissions';
  return verifies(signature, token, accountKey) ? null : 'subaccount token signature verification failed';
}

function verifies(signature: Buffer, message: string | Buffer, key: Buffer): boolean {
  if (key.length !== 32) return false;
  return sodium.crypto_sign_verify_detached(signature, Buffer.from(message), key);
}

/** The prefix and the X25519 form of an Ed25519 key; null when it is no point. */
function accountOf(sessionKey: Buffer, { userPrefix, accountsByKey: known }: MonitorRules): Buffer | null {
  const name = sessionKey.toString('latin1');
  const cached = known.get(name);
  if (cached !== undefined) return cached;
  const account = Buffer.alloc(33, userPrefix);
  try {
    sodium.crypto_sign_ed25519_pk_to_curve25519(account.subarray(1), sessionKey);
  } catch {
    return null;
  }
  known.set(name, account);
  return account;
}
