import { common, guardedEndpoints, http1Provider, http2Provider, tokenTimeoutMs } from './notifier-common.js';
import {
  choice,
  flag,
  httpsUrl,
  markers,
  numberChoice,
  path,
  secretWords,
  wholeNumber,
  words,
  type OptionsOf,
} from './options.js';
import type { NotifierConfig, NotifierType } from './types.js';

/** As written: whatever an entry leaves to a general option is null here. */
type EntryOf<Type extends NotifierType> = Omit<
  Extract<NotifierConfig, { type: Type }>,
  'type' | 'name' | 'maxInFlight'
> & { readonly maxInFlight: number | null };

export type NotifierSchemas = { readonly [Type in NotifierType]: OptionsOf<EntryOf<Type>> };

export const notifierDocs: Readonly<Record<NotifierType, string>> = {
  apns: 'Apple. A token key (keyFile, keyId, teamId), or a certificate: as PEM (certFile, with keyFile unless the key is in the same file) or PKCS #12 (pfxFile).',
  firebase: 'Google.',
  huawei: 'Huawei (HMS Push Kit). Needs appId and appSecret; version v2 of the API also projectId.',
  wns: 'Microsoft (WNS). Needs packageSid and clientSecret; for an app that is registered with Entra ID also tenantId.',
  webpush:
    'Browsers (Web Push). Needs keys that `waggle keygen vapid` makes, and a subject. The endpoint is what the client names.',
  unifiedpush:
    'UnifiedPush distributors (ntfy, NextPush, ...). Needs nothing. The endpoint is what the client names.',
  dummy: 'For tests: logs that it was called, sends nothing.',
};

const brandMarkers = markers<readonly string[] | null>({
  doc: 'Keys beside enc_payload by which the app knows an encrypted push; null = those of the brands whose service this is (session: spns; bchat: spns and pns).',
  default: null,
});

export const notifierSchemas: NotifierSchemas = {
  apns: {
    topic: words({ doc: "The app's bundle identifier.", default: 'com.loki-project.loki-messenger' }),
    sandbox: flag({ doc: "Apple's development environment.", default: false }),
    keyFile: path<string | null>({
      doc: "The .p8 file of a token key, or the PEM file with the certificate's key.",
      default: null,
    }),
    keyId: words<string | null>({ doc: 'Token key: its identifier.', default: null }),
    teamId: words<string | null>({ doc: "Token key: the team's identifier.", default: null }),
    certFile: path<string | null>({ doc: 'PEM file with the client certificate.', default: null }),
    pfxFile: path<string | null>({
      doc: 'PKCS #12 file (.p12) with the client certificate and its key.',
      default: null,
    }),
    pfxPassphrase: secretWords({ doc: 'Of the pfxFile. file:PATH reads it from a file.', default: null }),
    ...http2Provider("Apple's"),
    alertTitle: words<string | null>({
      doc: 'Title that the user sees when the app cannot decrypt; null = that of the brand whose service this is (session: Session; bchat: Bchat).',
      default: null,
    }),
    alertBody: words<string | null>({ doc: "The same: the text; null = the brand's.", default: null }),
    badge: wholeNumber<number | null>({
      doc: "Number on the app's icon; null leaves it as it is.",
      unit: 'messages',
      default: 1,
      min: 0,
      max: 100_000,
    }),
    sound: words<string | null>({ doc: 'Sound of the alert; null plays none.', default: 'default' }),
    category: words<string | null>({ doc: 'Category of the alert; null sends none.', default: 'SECRET' }),
    mutableContent: flag({
      doc: "Let the app's notification service extension run, which decrypts the push.",
      default: true,
    }),
    pushType: choice({
      doc: 'apns-push-type. background and voip carry no alert: the app itself decides what the user sees. background is sent with priority 5, and voip needs a topic that ends in .voip.',
      default: 'alert',
      values: ['alert', 'background', 'voip'],
    }),
    priority: numberChoice<10 | 5 | 1 | null>({
      doc: 'apns-priority of every push; null takes that of the push: 10 for high, 5 for normal (pushType background: always 5).',
      default: null,
      values: ['10', '5', '1'],
    }),
    collapseRepeats: flag({
      doc: 'Send apns-collapse-id, so that a push that was repeated after a lost answer shows once.',
      default: false,
    }),
    tokenLifetimeMs: wholeNumber({
      doc: 'Token key: a token is used for this long. Apple takes 20 to 60 minutes.',
      unit: 'ms',
      default: 3_000_000,
      min: 1_200_000,
      max: 3_600_000,
    }),
    markers: brandMarkers,
  },
  firebase: {
    serviceAccountFile: path<string | null>({
      doc: "Google's JSON file of a service account; its token_uri is honoured.",
      default: null,
    }),
    ...http2Provider('https://fcm.googleapis.com'),
    tokenTimeoutMs,
    markers: brandMarkers,
  },
  huawei: {
    appId: words<string | null>({ doc: "The app's identifier (the OAuth client id).", default: null }),
    appSecret: secretWords({ doc: "The app's secret. file:PATH reads it from a file.", default: null }),
    apiVersion: choice({
      doc: 'Version of the HMS push API: v1 names the app in the address, v2 the project.',
      default: 'v1',
      values: ['v1', 'v2'],
    }),
    projectId: words<string | null>({ doc: "apiVersion v2: the project's identifier.", default: null }),
    tokenEndpoint: httpsUrl({
      doc: 'Address for access tokens instead of https://oauth-login.cloud.huawei.com/oauth2/v2/token.',
      default: null,
    }),
    ...http1Provider('https://push-api.cloud.huawei.com'),
    markers: brandMarkers,
  },
  wns: {
    packageSid: words<string | null>({
      doc: "The app's package SID (ms-app://...), or, with tenantId, its application (client) id: the OAuth client id.",
      default: null,
    }),
    clientSecret: secretWords({ doc: "The app's secret. file:PATH reads it from a file.", default: null }),
    tenantId: words<string | null>({
      doc: 'Entra ID: the directory (tenant) id. Null: a Microsoft account, as the Partner Center gives it.',
      default: null,
    }),
    tokenEndpoint: httpsUrl({
      doc: 'Address for access tokens; null = https://login.live.com/accesstoken.srf, or with tenantId https://login.microsoftonline.com/TENANT/oauth2/v2.0/token.',
      default: null,
    }),
    tokenScope: words<string | null>({
      doc: 'OAuth scope; null = notify.windows.com, or with tenantId https://wns.windows.com/.default.',
      default: null,
    }),
    notificationType: choice({
      doc: 'raw: the sealed payload, for the app to decrypt; toast: a text that Windows shows by itself, without the payload.',
      default: 'raw',
      values: ['raw', 'toast'],
    }),
    toastTitle: words({ doc: 'notificationType toast: the title.', default: 'Session' }),
    toastBody: words({ doc: 'The same: the text.', default: "You've got a new message" }),
    cache: flag({
      doc: 'Ask WNS to keep the last push for a device that is offline (X-WNS-Cache-Policy).',
      default: true,
    }),
    ...http1Provider("the channel's host"),
  },
  webpush: {
    ...guardedEndpoints(
      'Files with VAPID keys that `waggle keygen vapid` made. The first is the one that new clients are to use; subscriptions made with any of them are served.',
    ),
    maxTtlSeconds: wholeNumber({
      doc: 'Longest time that a push server is asked to keep a push (TTL); a push that expires earlier asks for less.',
      unit: 's',
      default: 2_419_200,
      min: 0,
      max: 2_419_200,
    }),
    topic: flag({
      doc: 'Send Topic, so that a push that was repeated after a lost answer replaces the first while it waits.',
      default: true,
    }),
  },
  unifiedpush: {
    ...guardedEndpoints(
      'Files with VAPID keys that `waggle keygen vapid` made, for distributors that ask for signed requests; then subject is needed too. Empty = requests are not signed.',
    ),
    discovery: flag({
      doc: 'At a subscribe, ask the endpoint whether it is a UnifiedPush server, and refuse it when it is none.',
      default: true,
    }),
  },
  dummy: common,
};

export const notifierTypes = Object.keys(notifierSchemas) as readonly NotifierType[];

export const isNotifierType = (text: string): text is NotifierType => Object.hasOwn(notifierSchemas, text);
