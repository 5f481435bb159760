import { enabledBrands, serviceOf } from '../config/brand-services.js';
import type { BrandConfig, Config } from '../config/types.js';
import type { Brand } from '../legacy/brand.js';

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

/** What the parts for older clients are told. */
export function legacyOptions({ legacy }: Config) {
  return {
    enabled: legacy.enabled,
    limits: {
      tokensPerAccountMax: legacy.maxTokensPerAccount,
      membersPerGroupMax: legacy.maxMembersPerGroup,
      groupsPerAccountMax: legacy.maxGroupsPerAccount,
    },
    rate: {
      noticesPerMinute: legacy.notifyPerRecipientPerMinute,
      burst: legacy.notifyBurst,
      recipientsMax: legacy.maxRecipientsTracked,
      heldMax: legacy.maxHeldNotices,
    },
    writer: { maxQueued: legacy.writeQueueMaxChanges, maxBatch: legacy.writeBatchMaxChanges },
    pushLifetimeMs: legacy.pushLifetimeHours * HOUR_MS,
    answerTimeoutMs: legacy.answerTimeoutMs,
    statistics: {
      periodMs: legacy.statisticsPeriodHours * HOUR_MS,
      historyMs: legacy.statisticsHistoryDays * 24 * HOUR_MS,
      flushMs: legacy.statisticsFlushSeconds * 1000,
    },
  };
}
