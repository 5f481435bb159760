import type { LegacyDevice } from '../legacy/device.js';
import type { DirectoryChange } from '../legacy/port.js';
import { assertNever } from '../domain/assert-never.js';

/** What a device's row is afterwards, whatever it was before. */
export interface StoredDevice {
  readonly device: LegacyDevice;
  /** Unix milliseconds; null = it lives. */
  readonly removedAtMs: number | null;
}

/** A living device that was registered at `fromMs` or later, but before `untilMs`, died at `removedAtMs`. Unix ms. */
export interface StoredDeath {
  readonly token: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly removedAtMs: number;
}

export interface StoredMember {
  readonly group: string;
  readonly account: string;
}

/** One outcome for each row that a list of changes is about: no token and no member is in two of these lists. */
export interface FoldedChanges {
  readonly put: readonly StoredDevice[];
  /** Several of one token have ranges that do not touch: one of them at most is meant. */
  readonly died: readonly StoredDeath[];
  /** Tokens. */
  readonly removed: readonly string[];
  readonly joined: readonly StoredMember[];
  readonly left: readonly StoredMember[];
}

type TokenOutcome =
  | ({ readonly kind: 'put' } & StoredDevice)
  | { readonly kind: 'removed' }
  /** Nothing but reports of its death: then it depends on the row. */
  | { readonly kind: 'died'; readonly deaths: readonly StoredDeath[] };

interface MemberOutcome extends StoredMember {
  readonly isMember: boolean;
}

/**
 * Folds changes into what they amount to, so that they can be applied as a set: exactly what comes of applying them one
 * by one. A tombstone that died again stays the tombstone it was. Applying the result twice is applying it once.
 */
export function foldChanges(changes: readonly DirectoryChange[]): FoldedChanges {
  const tokens = new Map<string, TokenOutcome>();
  const members = new Map<string, MemberOutcome>();
  for (const change of changes) {
    switch (change.kind) {
      case 'set-device':
        tokens.set(change.device.token, { kind: 'put', device: change.device, removedAtMs: null });
        break;
      case 'remove-device':
        tokens.set(change.token, { kind: 'removed' });
        break;
      case 'device-died':
        tokens.set(change.token, afterDeath(tokens.get(change.token), change));
        break;
      case 'add-member':
      case 'remove-member': {
        const { group, account } = change;
        // An id holds no zero byte.
        members.set(`${group}\0${account}`, { group, account, isMember: change.kind === 'add-member' });
        break;
      }
      default:
        assertNever(change);
    }
  }
  return split([...tokens], [...members.values()]);
}

type Death = Extract<DirectoryChange, { kind: 'device-died' }>;

function afterDeath(before: TokenOutcome | undefined, { token, sinceMs, nowMs }: Death): TokenOutcome {
  switch (before?.kind) {
    case 'removed':
      return before;
    case 'put': {
      const isDead = before.removedAtMs !== null || before.device.registeredAtMs >= sinceMs;
      return isDead ? before : { ...before, removedAtMs: nowMs };
    }
    case 'died':
    case undefined: {
      const deaths = before?.deaths ?? [];
      // The first report of which it was not too young; what an earlier one covers is dead already.
      const fromMs = deaths.at(-1)?.untilMs ?? Number.MIN_SAFE_INTEGER;
      const untilMs = Math.ceil(sinceMs);
      if (untilMs <= fromMs && deaths.length > 0) return { kind: 'died', deaths };
      return { kind: 'died', deaths: [...deaths, { token, fromMs, untilMs, removedAtMs: nowMs }] };
    }
    default:
      return assertNever(before);
  }
}

function split(
  tokens: readonly (readonly [string, TokenOutcome])[],
  members: readonly MemberOutcome[],
): FoldedChanges {
  const put: StoredDevice[] = [];
  const died: StoredDeath[] = [];
  const removed: string[] = [];
  for (const [token, outcome] of tokens) {
    if (outcome.kind === 'put') put.push(outcome);
    else if (outcome.kind === 'died') died.push(...outcome.deaths);
    else removed.push(token);
  }
  return {
    put,
    died,
    removed,
    joined: members.filter(({ isMember }) => isMember),
    left: members.filter(({ isMember }) => !isMember),
  };
}
