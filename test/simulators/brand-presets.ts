import type { Brand } from '../../src/legacy/brand.js';

/** What an app's clients rely on. The rest of a brand is the installation's: its notifiers and its password. */
export type BrandPreset = Omit<Brand, 'services' | 'statisticsPassword'>;

const ALERT_BODY = "You've got a new message";

/** Source: spec session-push-v1, sections 2 to 6. */
export const sessionPreset: BrandPreset = {
  name: 'session',
  v2Path: '/loki/v2/lsrpc',
  v4Path: '/oxen/v4/lsrpc',
  salt: 'LOKI',
  accountPrefix: 0x05,
  appName: 'Session',
  alertTitle: 'Session',
  alertBody: ALERT_BODY,
  groupsOnlySilencesAccount: true,
  statisticsTotalKey: 'total_session_id_number',
};

/** Source: spec bchat-push, sections 2, 3.1 and 6. */
export const bchatPreset: BrandPreset = {
  name: 'bchat',
  v2Path: '/beldex/v2/lsrpc',
  v4Path: '/beldex/v4/lsrpc',
  salt: 'BELDEX',
  accountPrefix: 0xbd,
  appName: 'Bchat',
  alertTitle: 'Bchat',
  alertBody: ALERT_BODY,
  groupsOnlySilencesAccount: false,
  statisticsTotalKey: 'total_bchat_id_number',
};
