import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DirectoryChange, LegacyStore, LegacyVisitor } from '../legacy/port.js';
import { bigintArray, booleanArray, textArray } from './binary-arrays.js';
import { againAfterCollision } from './collisions.js';
import type { Database } from './database.js';
import { foldChanges, type FoldedChanges } from './legacy-changes.js';
import { LegacyPages, type DevicePage, type MemberPage } from './legacy-pages.js';
import { commitChanges } from './legacy-statements.js';
import type { Parameter } from './statement.js';

/** Stands for none: the arrays hold no nulls. */
const NEVER_MS = -1;

/** Rows of a page: some milliseconds of the event loop. */
const PAGE_ROWS = 2000;

/** Devices, groups and members of older clients in PostgreSQL. Tombstones: `legacy-tombstones.ts`. */
export class PostgresLegacyStore implements LegacyStore {
  constructor(
    private readonly database: Pick<Database, 'rows' | 'execute' | 'transaction'>,
    private readonly pageRows = PAGE_ROWS,
  ) {}

  /**
   * One statement, and yet in a transaction with a COMMIT of its own: of a connection that was given up, the statement
   * may reach the database after later changes did, but nobody commits it then. Rejects with `StoreUnavailable`, or with `StoreQueryError` when the database
   * cannot hold one of them (a zero byte, an id that is too long): then none of them took place.
   */
  async commit(brand: string, changes: readonly DirectoryChange[]): Promise<void> {
    if (changes.length === 0) return;
    const values = parametersOf(brand, foldChanges(changes));
    await againAfterCollision(() =>
      this.database.transaction((transaction) => transaction.execute(commitChanges, values)),
    );
  }

  /**
   * Shows devices in the order of their first registration, then members group by group. While one page is visited the
   * database prepares the next; between pages the event loop turns. What the visitor throws rejects the load.
   */
  async load(brand: string, visitor: LegacyVisitor): Promise<void> {
    const pages = new LegacyPages(this.database, brand, this.pageRows);
    await eachPage<DevicePage>(
      (before) => pages.devices(before),
      ({ devices }) => {
        for (const device of devices) visitor.device(device);
      },
    );
    await eachPage<MemberPage>(
      (before) => pages.members(before),
      ({ groups, accounts }) => {
        for (const [index, group] of groups.entries()) visitor.member(group, accounts[index] ?? '');
      },
    );
  }
}

async function eachPage<Page>(
  ask: (before: Page | null) => Promise<Page | null>,
  visit: (page: Page) => void,
): Promise<void> {
  let page = await ask(null);
  while (page !== null) {
    const next = ask(page);
    // Its failure is met where it is awaited, after the visit of this page.
    next.catch(() => {});
    await nextTurn();
    visit(page);
    page = await next;
  }
}

/** As `commitChanges` takes them. */
function parametersOf(brand: string, { put, died, removed, joined, left }: FoldedChanges): Parameter[] {
  return [
    brand,
    textArray(put.map(({ device }) => device.token)),
    textArray(put.map(({ device }) => device.account)),
    textArray(put.map(({ device }) => device.type)),
    booleanArray(put.map(({ device }) => device.groupsOnly)),
    bigintArray(put.map(({ device }) => device.registeredAtMs)),
    bigintArray(put.map(({ removedAtMs }) => removedAtMs ?? NEVER_MS)),
    textArray(died.map(({ token }) => token)),
    bigintArray(died.map(({ fromMs }) => fromMs)),
    bigintArray(died.map(({ untilMs }) => untilMs)),
    bigintArray(died.map(({ removedAtMs }) => removedAtMs)),
    textArray(removed),
    textArray(joined.map(({ group }) => group)),
    textArray(joined.map(({ account }) => account)),
    textArray(left.map(({ group }) => group)),
    textArray(left.map(({ account }) => account)),
  ];
}
