import type { LegacyNotice } from '../../../src/domain/notice.js';
import type { Brand } from '../../../src/legacy/brand.js';
import type { LegacyDevice } from '../../../src/legacy/device.js';
import { LegacyDirectory } from '../../../src/legacy/directory.js';
import { defaultLegacyLimits, type LegacyLimits } from '../../../src/legacy/limits.js';
import { createLegacyMethods, type NoticeVerdict } from '../../../src/legacy/methods.js';
import type { LegacyReply } from '../../../src/legacy/methods-port.js';
import { LegacyRegistry } from '../../../src/legacy/registry.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { sessionBrand } from '../../simulators/legacy-brands.js';
import { MemoryLegacyStore } from '../../simulators/memory-legacy-store.js';

export interface TestClock {
  now: number;
  nowMs(): number;
}

export interface SetUpOptions {
  readonly brand?: Brand;
  readonly store?: MemoryLegacyStore;
  readonly limits?: Partial<LegacyLimits>;
  readonly notify?: (notice: LegacyNotice) => NoticeVerdict | Promise<NoticeVerdict>;
}

/** Everything that one brand has, with the store in memory and a `notify` that remembers. Loaded and open. */
export async function setUpLegacy(options: SetUpOptions = {}) {
  const brand = options.brand ?? sessionBrand;
  const store = options.store ?? new MemoryLegacyStore();
  const limits = { ...defaultLegacyLimits, writeRetryMinMs: 1, writeRetryMaxMs: 5, ...options.limits };
  const clock: TestClock = { now: 1_700_000_000_000, nowMs: () => clock.now };
  const metrics = new Metrics();
  const directory = new LegacyDirectory(brand, limits);
  const log = silentLog();
  const registry = new LegacyRegistry({ brand, store, directory, clock, log, limits });
  await registry.load();
  const notices: LegacyNotice[] = [];
  const notify =
    options.notify ??
    ((notice: LegacyNotice): NoticeVerdict => {
      notices.push(notice);
      return 'taken';
    });
  const methods = createLegacyMethods({
    brand,
    registry,
    directory,
    notify,
    clock,
    metrics,
    log,
    limits,
  });
  return { brand, store, limits, clock, metrics, directory, registry, notices, methods };
}

export type LegacyUnderTest = Awaited<ReturnType<typeof setUpLegacy>>;

export const success: LegacyReply = { status: 200, body: { code: 1, message: 'Success' } };

export function device(token: string, account: string, changes: Partial<LegacyDevice> = {}): LegacyDevice {
  return { token, account, type: 'android', groupsOnly: false, registeredAtMs: 1000, ...changes };
}

export const sorted = (rows: readonly (readonly unknown[])[]): unknown[][] =>
  rows.map((row) => [...row]).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** What a directory holds, in the form of the vectors' `state`; an account is groups-only when all its tokens are. */
export function stateOf(directory: LegacyDirectory) {
  const tokens: Record<string, [string, string][]> = {};
  const groupsOnly: Record<string, boolean> = {};
  const groups: Record<string, string[]> = {};
  for (const { kind, id } of directory.empties()) {
    if (kind === 'group') groups[id] = [];
    else [tokens[id], groupsOnly[id]] = [[], false];
  }
  for (const { account, token, type, groupsOnly: flag } of directory.devices()) {
    (tokens[account] ??= []).push([token, type]);
    groupsOnly[account] = (groupsOnly[account] ?? true) && flag;
  }
  for (const { group, account } of directory.members()) (groups[group] ??= []).push(account);
  for (const list of Object.values(tokens)) list.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  for (const list of Object.values(groups)) list.sort();
  return { tokens, groups_only: groupsOnly, groups };
}
