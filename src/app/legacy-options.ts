import { enabledBrands, serviceOf } from '../config/brand-services.js';
import type { BrandConfig, Config } from '../config/types.js';
import type { Brand } from '../legacy/brand.js';
import { defaultLegacyLimits, type LegacyLimits } from '../legacy/limits.js';
import type { RecipientLimitOptions } from '../legacy/recipient-limit.js';
import type { LegacyStatisticsOptions } from '../legacy/statistics.js';

const HOUR_MS = 3_600_000;

/**
 * Every enabled brand, the standard ones first. Without older clients (`legacyOptions().enabled`) what is left of each
 * is its v4 path, for subscribe and unsubscribe, and a brand without one is none.
 */
export function brands(config: Config): readonly Brand[] {
  const all = enabledBrands(config).map((brand) => toBrand(config, brand));
  if (config.legacy.enabled) return all;
  return all
    .filter(({ v4Path }) => v4Path !== null)
    .map((brand) => ({ ...brand, v2Path: null, statisticsPassword: null }));
}

function toBrand(config: Config, brand: BrandConfig): Brand {
  const { name, v2Path, v4Path, appName, alertTitle, alertBody } = brand;
  return {
    name,
    v2Path,
    v4Path,
    salt: brand.onionSalt,
    accountPrefix: Number.parseInt(brand.accountPrefix, 16),
    appName,
    alertTitle,
    alertBody,
    groupsOnlySilencesAccount: brand.groupsOnlySilencesAccount,
    statisticsTotalKey: brand.statisticsTotalKey,
    statisticsPassword: brand.statisticsPassword?.reveal() ?? null,
    services: {
      apns: serviceOf(config, brand, 'apns'),
      firebase: serviceOf(config, brand, 'firebase'),
      huawei: serviceOf(config, brand, 'huawei'),
    },
  };
}

export interface LegacyOptions {
  /** Whether there are older clients at all. */
  readonly enabled: boolean;
  readonly limits: LegacyLimits;
  readonly recipients: RecipientLimitOptions;
  readonly pushLifetimeMs: number;
  readonly statistics: LegacyStatisticsOptions;
  readonly statisticsFlushMs: number;
}

/** What the parts for older clients are told. */
export function legacyOptions({ legacy }: Config): LegacyOptions {
  return {
    enabled: legacy.enabled,
    limits: {
      ...defaultLegacyLimits,
      maxTokensPerAccount: legacy.maxTokensPerAccount,
      maxMembersPerGroup: legacy.maxMembersPerGroup,
      maxGroupsPerRequest: legacy.maxGroupsPerRequest,
      maxDevices: legacy.maxDevices,
      maxMemberships: legacy.maxMemberships,
      maxDirectoryBytes: legacy.maxDirectoryBytes,
      maxRemembered: legacy.maxRemembered,
      writeQueueMaxChanges: legacy.writeQueueMaxChanges,
      writeBatchMaxChanges: legacy.writeBatchMaxChanges,
      writePatienceMs: legacy.writePatienceMs,
      quietRepeatMs: legacy.quietRepeatSeconds * 1000,
      answerTimeoutMs: legacy.answerTimeoutMs,
    },
    recipients: {
      perMinute: legacy.notifyPerRecipientPerMinute,
      burst: legacy.notifyBurst,
      maxRecipients: legacy.maxRecipientsTracked,
      maxKept: legacy.maxHeldNotices,
      maxKeptBytes: legacy.maxHeldBytes,
    },
    pushLifetimeMs: legacy.pushLifetimeHours * HOUR_MS,
    statistics: {
      periodMs: legacy.statisticsPeriodHours * HOUR_MS,
      historyMs: legacy.statisticsHistoryDays * 24 * HOUR_MS,
    },
    statisticsFlushMs: legacy.statisticsFlushSeconds * 1000,
  };
}
