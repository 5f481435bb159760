import { createHash } from 'node:crypto';
import pgPromise from 'pg-promise';

/*
 * Devices of XMPP users. All of it follows from their numbers, so that every process of the benchmark knows it, and
 * PostgreSQL makes it by itself, with the hashes of src/crypto/secret-keeper.ts.
 */

/** `apns`, `fcm`: of clients that chose their nodes (mod_push_appserver); `p2`: FCM, with nodes of ours. */
export type XmppPhoneKind = 'apns' | 'fcm' | 'p2';

export interface XmppPhone {
  readonly node: string;
  readonly secret: string;
  readonly token: string;
  /** p2: what the phone knows its account by; otherwise ''. */
  readonly device: string;
}

/** Of the server and of all its users. */
export const SERVER_DOMAIN = 'chat.example';
export const COMPONENT_DOMAIN = 'push.chat.example';
export const COMPONENT_SECRET = 'component-secret';

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
const hex = (text: string): string => sha256(text).toString('hex');
const base64 = (text: string): string => sha256(text).toString('base64');

export const apnsTokenOf = (index: number): string => hex(`apns token${index}`);
export const fcmTokenOf = (index: number): string =>
  `c${hex(`fcm token${index}`).slice(0, 21)}:APA91b${hex(`x${index}`)}${hex(`y${index}`)}`;

export function xmppPhoneOf(kind: XmppPhoneKind, index: number): XmppPhone {
  const isP2 = kind === 'p2';
  const name = `${kind}${index}`;
  return {
    node: isP2 ? base64(`node ${name}`).slice(0, 12) : hex(`node ${name}`).slice(0, 40),
    secret: isP2 ? base64(`secret ${name}`).slice(0, 24) : hex(`secret ${name}`),
    token: kind === 'apns' ? apnsTokenOf(index) : fcmTokenOf(isP2 ? 1_000_000_000 + index : index),
    device: isP2 ? hex(`device ${name}`).slice(0, 40) : '',
  };
}

const text = (expression: string): string => `encode(sha256((${expression})::bytea), 'hex')`;

/** What opens nothing: nobody asks for the secret of these. */
const SEALED = `decode(repeat('5a', 104), 'hex')`;

const insertOf = (kind: XmppPhoneKind): string => {
  const isP2 = kind === 'p2';
  const base64Of = (expression: string, length: number): string =>
    `left(encode(sha256((${expression})::bytea), 'base64'), ${length})`;
  const number = kind === 'apns' ? 'n' : isP2 ? '(1000000000 + n)' : 'n';
  const token =
    kind === 'apns'
      ? text(`'apns token' || n`)
      : `'c' || left(${text(`'fcm token' || ${number}`)}, 21) || ':APA91b' || ${text(`'x' || ${number}`)} || ` +
        text(`'y' || ${number}`);
  return `
WITH made AS (
  SELECT n,
    ${isP2 ? base64Of(`'node p2' || n`, 12) : `left(${text(`'node ${kind}' || n`)}, 40)`} AS node,
    ${isP2 ? base64Of(`'secret p2' || n`, 24) : text(`'secret ${kind}' || n`)} AS secret,
    ${isP2 ? `left(${text(`'device p2' || n`)}, 40)` : 'NULL::text'} AS device,
    ${token} AS token
  FROM generate_series($1::int, $2::int - 1) AS n
)
INSERT INTO xmpp_devices (key_hash, node, device, channel, type, token, secret_hash, sealed_secret, account_domain,
  registered_at_ms, revision)
SELECT sha256((${isP2 ? `'p2 ' || device || '/'` : `'v1 ' || node`})::bytea), node, device,
  ${isP2 ? `''` : 'NULL'}, '${kind === 'apns' ? 'apns' : 'fcm'}', token, sha256(secret::bytea), ${SEALED},
  '${SERVER_DOMAIN}', $3::bigint, nextval('xmpp_revisions')
FROM made`;
};

/** Numbers `first` to `end - 1`, into a table that is there already; how long it took, in seconds. */
export async function registerXmppPhones(
  databaseUrl: string,
  kind: XmppPhoneKind,
  first: number,
  end: number,
): Promise<number> {
  const pgp = pgPromise({ noWarnings: true });
  const db = pgp(databaseUrl);
  const startedAt = performance.now();
  await db.none(insertOf(kind), [first, end, Date.now()]);
  await db.none('ANALYZE xmpp_devices');
  pgp.end();
  return (performance.now() - startedAt) / 1000;
}
