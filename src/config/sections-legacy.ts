import { flag, wholeNumber, type OptionsOf } from './options.js';
import type { Config } from './types.js';

const HOUR_SECONDS = 3600;

export const legacySection: OptionsOf<Config['legacy']> = {
  enabled: flag({
    doc: 'Whether this process serves older clients (register, notify, ... by onion requests). When false, the v4 paths of brands stay, for subscribe and unsubscribe alone.',
    default: true,
  }),
  maxTokensPerAccount: wholeNumber({
    doc: 'Device tokens of one account at most; a further new one is refused. Nothing proves whose account it is, so without a limit anybody could add tokens to it for ever.',
    unit: 'tokens',
    default: 50,
    min: 1,
    max: 100_000,
  }),
  maxMembersPerGroup: wholeNumber({
    doc: 'Members of one group at most; a further one is refused. One notify reaches all of them.',
    unit: 'accounts',
    default: 1000,
    min: 1,
    max: 100_000,
  }),
  maxGroupsPerAccount: wholeNumber({
    doc: 'Groups that one account is a member of at most; a further one is refused.',
    unit: 'groups',
    default: 2000,
    min: 1,
    max: 100_000,
  }),
  notifyPerRecipientPerMinute: wholeNumber({
    doc: 'Notices for one account or group. Beyond this and notifyBurst, only the newest is kept, and sent as soon as this rate allows.',
    unit: 'notices/min',
    default: 600,
    min: 1,
    max: 1_000_000,
  }),
  notifyBurst: wholeNumber({
    doc: 'Notices for one account or group that may come at once.',
    unit: 'notices',
    default: 100,
    min: 1,
    max: 1_000_000,
  }),
  maxRecipientsTracked: wholeNumber({
    doc: 'Accounts and groups whose notices are counted for that; beyond this the longest unheard of is forgotten.',
    unit: 'recipients',
    default: 100_000,
    min: 100,
    max: 10_000_000,
  }),
  maxHeldNotices: wholeNumber({
    doc: 'Notices that are kept until their rate allows them, over all recipients; further ones are left out and counted.',
    unit: 'notices',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  }),
  pushLifetimeHours: wholeNumber({
    doc: 'How long the outbox keeps trying a push of an older client.',
    unit: 'h',
    default: 336,
    min: 1,
    max: 2160,
  }),
  writeQueueMaxChanges: wholeNumber({
    doc: 'Changes of one brand (registrations, members) that wait to be written at most; further requests are told to come back later.',
    unit: 'changes',
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
  writeBatchMaxChanges: wholeNumber({
    doc: 'Changes committed together at most.',
    unit: 'changes',
    default: 500,
    min: 1,
    max: 10_000,
  }),
  answerTimeoutMs: wholeNumber({
    doc: 'A method that is not done by then is answered with code 0. Storage nodes wait 25 s.',
    unit: 'ms',
    default: 15_000,
    min: 100,
    max: 24_000,
  }),
  statisticsPeriodHours: wholeNumber({
    doc: 'One row of /get_statistics_data; periods begin at midnight UTC, so this divides 24 or is a multiple of it.',
    unit: 'h',
    default: 24,
    min: 1,
    max: 744,
  }),
  statisticsHistoryDays: wholeNumber({
    doc: 'Rows of earlier periods are kept this long.',
    unit: 'days',
    default: 3650,
    min: 1,
    max: 36_500,
  }),
  statisticsFlushSeconds: wholeNumber({
    doc: 'How often the counters of the period are written; a crash loses what came since.',
    unit: 's',
    default: 60,
    min: 1,
    max: HOUR_SECONDS,
  }),
};
