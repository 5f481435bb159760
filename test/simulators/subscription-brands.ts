import type { SubscriptionBrandSettings } from '../../src/http/subscription-brands.js';

/** First byte of users' accounts in Beldex's network. */
export const BELDEX_PREFIX = 0xbd;

export const sessionBrand: SubscriptionBrandSettings = {
  name: 'session',
  accountPrefix: 0x05,
  appName: 'Session',
  services: { apns: 'apns', firebase: 'firebase', huawei: 'huawei' },
};

export const bchatBrand: SubscriptionBrandSettings = {
  name: 'bchat',
  accountPrefix: BELDEX_PREFIX,
  appName: 'Bchat',
  services: { apns: 'bchat-apns', firebase: 'bchat-firebase', huawei: 'bchat-huawei' },
};
