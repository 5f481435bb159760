import type { Brand } from '../../src/legacy/brand.js';

/** First byte of users' accounts in Beldex's network. */
export const BELDEX_PREFIX = 0xbd;

/** The two brands of the golden vectors, written out: tests must not take their expectations from the program. */
export const sessionBrand: Brand = {
  name: 'session',
  v2Path: '/loki/v2/lsrpc',
  v4Path: '/oxen/v4/lsrpc',
  salt: 'LOKI',
  accountPrefix: 0x05,
  appName: 'Session',
  alertTitle: 'Session',
  alertBody: "You've got a new message",
  groupsOnlySilencesAccount: true,
  statisticsTotalKey: 'total_session_id_number',
  statisticsPassword: null,
  services: { apns: 'apns', firebase: 'firebase', huawei: 'huawei' },
};

export const bchatBrand: Brand = {
  name: 'bchat',
  v2Path: '/beldex/v2/lsrpc',
  v4Path: '/beldex/v4/lsrpc',
  salt: 'BELDEX',
  accountPrefix: BELDEX_PREFIX,
  appName: 'Bchat',
  alertTitle: 'Bchat',
  alertBody: "You've got a new message",
  groupsOnlySilencesAccount: false,
  statisticsTotalKey: 'total_bchat_id_number',
  statisticsPassword: null,
  services: { apns: 'bchat-apns', firebase: 'bchat-firebase', huawei: 'bchat-huawei' },
};
