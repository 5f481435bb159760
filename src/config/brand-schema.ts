import {
  accountPrefix,
  choice,
  flag,
  markers,
  onionPath,
  secretWords,
  serviceName,
  words,
  type OptionsOf,
} from './options.js';
import type { BrandConfig } from './types.js';

/** What a brand of the operator's own has to name, or takes from another of its options, is null as long as nobody does. */
type Unnamed = 'accountPrefix' | 'appName' | 'alertTitle' | 'statisticsTotalKey';

export type WrittenBrand = {
  readonly [Key in keyof Omit<BrandConfig, 'name'>]: Key extends Unnamed
    ? BrandConfig[Key] | null
    : BrandConfig[Key];
};

type Standard = Omit<WrittenBrand, 'enabled' | 'statisticsPassword' | 'apns' | 'firebase' | 'huawei'>;

export const SESSION_MARKERS: readonly string[] = ['spns'];

const ALERT_BODY = "You've got a new message";
export const SESSION_ALERT = { alertTitle: 'Session', alertBody: ALERT_BODY } as const;

/** Source: spec session-push-v1, 2, 4.1 and 6; bchat-push, 2 to 4 and 6 (both markers: 5, no. 3). */
const presets = {
  session: {
    v2Path: '/loki/v2/lsrpc',
    v4Path: '/oxen/v4/lsrpc',
    onionSalt: 'LOKI',
    accountPrefix: '05',
    appName: 'Session',
    ...SESSION_ALERT,
    groupsOnlySilencesAccount: true,
    statisticsTotalKey: 'total_session_id_number',
    markers: SESSION_MARKERS,
  },
  bchat: {
    v2Path: '/beldex/v2/lsrpc',
    v4Path: '/beldex/v4/lsrpc',
    onionSalt: 'BELDEX',
    accountPrefix: 'bd',
    appName: 'Bchat',
    alertTitle: 'Bchat',
    alertBody: ALERT_BODY,
    groupsOnlySilencesAccount: false,
    statisticsTotalKey: 'total_bchat_id_number',
    markers: ['spns', 'pns'],
  },
} as const satisfies Record<string, Standard>;

/** A brand of the operator's own is as Session where nothing is to be said about it. */
const own: Standard = {
  v2Path: null,
  v4Path: null,
  onionSalt: 'LOKI',
  accountPrefix: null,
  appName: null,
  alertTitle: null,
  alertBody: ALERT_BODY,
  groupsOnlySilencesAccount: true,
  statisticsTotalKey: null,
  markers: SESSION_MARKERS,
};

/** They are there though nobody mentions them. */
export const standardBrands = ['session', 'bchat'] as const;

const isStandard = (name: string): name is (typeof standardBrands)[number] => Object.hasOwn(presets, name);

/** The options of one brand. `name`: one of `standardBrands`, or any other for the operator's own. */
export function brandSchema(name: string): OptionsOf<WrittenBrand> {
  const standard: Standard = isStandard(name) ? presets[name] : own;
  return {
    enabled: flag({ doc: 'Whether this app is served.', default: true }),
    v2Path: onionPath({
      doc: 'Route of onion requests in the form v2 (legacy.enabled); null = not served. The nodes of Session forward to /loki/... and /oxen/... only, those of Beldex to /beldex/....',
      default: standard.v2Path,
    }),
    v4Path: onionPath({
      doc: 'Route of onion requests in the form v4, for older clients and for subscribe and unsubscribe; null = not served.',
      default: standard.v4Path,
    }),
    onionSalt: choice<BrandConfig['onionSalt']>({
      doc: "Salt of the AES keys of onion requests: the network's.",
      default: standard.onionSalt,
      values: ['LOKI', 'BELDEX'],
    }),
    accountPrefix: accountPrefix({
      doc: "First byte of an account that is a user's key.",
      default: standard.accountPrefix,
    }),
    appName: words({
      doc: 'The app, in the answer for a token that nobody registered (APPNAME id was not registered before.).',
      default: standard.appName,
    }),
    alertTitle: words({
      doc: "Title that users of older clients see on Apple's devices when the app cannot decrypt; in a brand of your own: null = appName.",
      default: standard.alertTitle,
    }),
    alertBody: words({ doc: 'The same: the text.', default: standard.alertBody }),
    groupsOnlySilencesAccount: flag({
      doc: 'true: a token that was registered for groups only gets no pushes of its account, because its client gets those by subscribe. false: it gets them all the same; all Android clients of Bchat register so.',
      default: standard.groupsOnlySilencesAccount,
    }),
    statisticsTotalKey: words({
      doc: 'Name of the number of accounts in /get_statistics_data; in a brand of your own: null = total_NAME_id_number.',
      default: standard.statisticsTotalKey,
    }),
    statisticsPassword: secretWords({
      doc: 'Password for /get_statistics_data, which also says whose numbers are asked for: a different one for each brand. Null = nobody gets in. file:PATH reads it from a file.',
      default: null,
    }),
    markers: markers<readonly string[]>({
      doc: 'Keys beside enc_payload by which the app knows an encrypted push; see markers of the notifiers.',
      default: standard.markers,
    }),
    apns: serviceOption('apns'),
    firebase: serviceOption('firebase'),
    huawei: serviceOption('huawei'),
  };
}

const serviceOption = (client: string) =>
  serviceName({
    doc: `The notifier that this app's clients mean by ${client}; null = NAME-${client} (bchat-${client}) where there is such an entry, else ${client}.`,
    default: null,
  });

export const brandKeys: readonly string[] = Object.keys(brandSchema(''));
