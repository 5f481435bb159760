import { createHash } from 'node:crypto';
import pgPromise from 'pg-promise';

/*
 * Who is registered: accounts with a device each, iPhones the even ones, Android the others, and groups. All of it follows
 * from numbers, so that every process of the benchmark knows it, and PostgreSQL makes it by itself.
 */

export const GROUP_MEMBERS = 30;

export type GroupKind = 'mixed' | 'ios' | 'android';

export interface People {
  readonly devices: number;
  readonly groups: number;
}

export interface LegacyPhone {
  readonly type: 'ios' | 'android';
  readonly token: string;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

export const accountId = (index: number): string => `05${hash(`account${index}`)}`;
export const groupId = (index: number): string => `05${hash(`group${index}`)}`;
/** Nobody registers for these. */
export const strangerId = (index: number): string => `05${hash(`stranger${index}`)}`;

export function phoneOf(index: number): LegacyPhone {
  return index % 2 === 0
    ? { type: 'ios', token: hash(`phone${index}`) }
    : {
        type: 'android',
        token: `c${hash(`phone${index}`).slice(0, 21)}:APA91b${hash(`x${index}`)}${hash(`y${index}`)}`,
      };
}

/** Eight of ten are mixed, one of ten is iPhones only, one Android only. */
export function groupsOf(
  kind: GroupKind,
  { groups }: People,
): { readonly first: number; readonly count: number } {
  const tenth = Math.floor(groups / 10);
  const mixed = groups - 2 * tenth;
  switch (kind) {
    case 'mixed':
      return { first: 0, count: mixed };
    case 'ios':
      return { first: mixed, count: tenth };
    case 'android':
      return { first: mixed + tenth, count: tenth };
  }
}

export function kindOf(group: number, people: People): GroupKind {
  if (group < groupsOf('ios', people).first) return 'mixed';
  return group < groupsOf('android', people).first ? 'ios' : 'android';
}

/** The accounts of a group: neighbours, or every other. */
export function membersOf(group: number, people: People): number[] {
  const kind = kindOf(group, people);
  return Array.from({ length: GROUP_MEMBERS }, (_, member) => {
    const at = group * 10 + member;
    return (kind === 'mixed' ? at : 2 * at + (kind === 'ios' ? 0 : 1)) % people.devices;
  });
}

const DEVICES = `
INSERT INTO legacy_devices (brand, token, account, type, groups_only, registered_at_ms)
SELECT 'session',
  CASE WHEN n % 2 = 0 THEN encode(sha256(('phone' || n)::bytea), 'hex')
    ELSE 'c' || left(encode(sha256(('phone' || n)::bytea), 'hex'), 21) || ':APA91b' ||
      encode(sha256(('x' || n)::bytea), 'hex') || encode(sha256(('y' || n)::bytea), 'hex') END,
  '05' || encode(sha256(('account' || n)::bytea), 'hex'),
  CASE WHEN n % 2 = 0 THEN 'ios' ELSE 'android' END, false, $2::bigint
FROM generate_series(0, $1::int - 1) AS n`;

const MEMBERS = `
INSERT INTO legacy_members (brand, group_id, account)
SELECT 'session', '05' || encode(sha256(('group' || g)::bytea), 'hex'),
  '05' || encode(sha256(('account' || (CASE WHEN g < $2::int THEN g * 10 + m
    WHEN g < $3::int THEN 2 * (g * 10 + m) ELSE 2 * (g * 10 + m) + 1 END) % $4::int)::bytea), 'hex')
FROM generate_series(0, $1::int - 1) AS g, generate_series(0, ${GROUP_MEMBERS - 1}) AS m`;

/** Into tables that are there already; how long it took, in seconds. */
export async function registerPeople(databaseUrl: string, people: People): Promise<number> {
  const pgp = pgPromise({ noWarnings: true });
  const db = pgp(databaseUrl);
  const startedAt = performance.now();
  await db.none(DEVICES, [people.devices, Date.now()]);
  await db.none(MEMBERS, [
    people.groups,
    groupsOf('ios', people).first,
    groupsOf('android', people).first,
    people.devices,
  ]);
  await db.none('ANALYZE legacy_devices, legacy_members');
  pgp.end();
  return (performance.now() - startedAt) / 1000;
}
