import {
  flag,
  httpsOrigin,
  httpsUrl,
  path,
  secretWords,
  wholeNumber,
  words,
  type Option,
  type OptionsOf,
} from './options.js';
import type { NotifierConfig, NotifierType } from './types.js';

/** As written: whatever an entry leaves to a general option is null here. */
type EntryOf<Type extends NotifierType> = Omit<
  Extract<NotifierConfig, { type: Type }>,
  'type' | 'name' | 'maxInFlight'
> & { readonly maxInFlight: number | null };

export type NotifierSchemas = { readonly [Type in NotifierType]: OptionsOf<EntryOf<Type>> };

/** Types that the plan knows and this version has not; a complaint about them says so. */
export const laterNotifierTypes: readonly string[] = ['wns', 'webpush', 'unifiedpush'];

/** Types whose entries are understood but cannot be started by this version. */
export const sleepingNotifierTypes: readonly NotifierType[] = ['huawei'];

export const notifierDocs: Readonly<Record<NotifierType, string>> = {
  apns: 'Apple. Either a certificate (certFile, with keyFile unless the key is in the same file) or a token key (keyFile, keyId, teamId).',
  firebase: 'Google.',
  huawei: 'Huawei. Understood but not sent to by this version: an entry is skipped with a line in the log.',
  dummy: 'For tests: logs that it was called, sends nothing.',
};

const maxInFlight = wholeNumber<number | null>({
  doc: 'Requests at the provider at once, per connection; null = delivery.maxInFlight.',
  unit: 'requests',
  default: null,
  min: 1,
  max: 10_000,
});

const milliseconds = (doc: string, standard: number): Option<number> =>
  wholeNumber({ doc, unit: 'ms', default: standard, min: 100, max: 3_600_000 });

const provider = (ownAddress: string) => ({
  endpoint: httpsOrigin({ doc: `https://HOST:PORT instead of ${ownAddress}.`, default: null }),
  caFile: path<string | null>({
    doc: 'PEM file with a further trust anchor for the endpoint.',
    default: null,
  }),
  connections: wholeNumber({
    doc: 'Connections to the provider at most.',
    unit: 'connections',
    default: 1,
    min: 1,
    max: 100,
  }),
  maxInFlight,
  connectTimeoutMs: milliseconds('A connection attempt that takes longer has failed.', 10_000),
  requestTimeoutMs: milliseconds('A request that takes longer has failed and is repeated later.', 10_000),
  deadAfterTimeouts: wholeNumber({
    doc: 'Time-outs in a row, with nothing answered meanwhile, after which a connection is replaced.',
    unit: 'time-outs',
    default: 3,
    min: 1,
    max: 1000,
  }),
  pingIntervalMs: milliseconds('A connection on which nothing was answered for so long is probed.', 60_000),
  pingTimeoutMs: milliseconds('It is replaced when the probe is not answered for so long.', 10_000),
});

export const notifierSchemas: NotifierSchemas = {
  apns: {
    topic: words({ doc: "The app's bundle identifier.", default: 'com.loki-project.loki-messenger' }),
    sandbox: flag({ doc: "Apple's development environment.", default: false }),
    certFile: path<string | null>({ doc: 'PEM file with the client certificate.', default: null }),
    keyFile: path<string | null>({
      doc: "PEM file with the certificate's key, or the .p8 file of a token key.",
      default: null,
    }),
    keyId: words<string | null>({ doc: 'Token key: its identifier.', default: null }),
    teamId: words<string | null>({ doc: "Token key: the team's identifier.", default: null }),
    ...provider("Apple's"),
    alertTitle: words({ doc: 'Title that the user sees when the app cannot decrypt.', default: 'Session' }),
    alertBody: words({ doc: 'The same: the text.', default: "You've got a new message" }),
    badge: wholeNumber<number | null>({
      doc: "Number on the app's icon; null leaves it as it is.",
      unit: 'messages',
      default: 1,
      min: 0,
      max: 100_000,
    }),
    sound: words<string | null>({ doc: 'Sound of the alert; null plays none.', default: 'default' }),
    category: words<string | null>({ doc: 'Category of the alert; null sends none.', default: 'SECRET' }),
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
  },
  firebase: {
    serviceAccountFile: path<string | null>({
      doc: "Google's JSON file of a service account; its token_uri is honoured.",
      default: null,
    }),
    ...provider('https://fcm.googleapis.com'),
    tokenTimeoutMs: milliseconds('A request for an access token that takes longer has failed.', 10_000),
  },
  huawei: {
    appId: words<string | null>({ doc: "The app's identifier.", default: null }),
    appSecret: secretWords({ doc: "The app's secret. file:PATH reads it from a file.", default: null }),
    tokenEndpoint: httpsUrl({ doc: "Instead of Huawei's address for access tokens.", default: null }),
    ...provider("Huawei's"),
  },
  dummy: { maxInFlight },
};

export const notifierTypes = Object.keys(notifierSchemas) as readonly NotifierType[];

export const isNotifierType = (text: string): text is NotifierType => Object.hasOwn(notifierSchemas, text);
