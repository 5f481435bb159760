import {
  flag,
  httpsOrigin,
  httpsUrl,
  path,
  secretWords,
  wholeNumber,
  words,
  type Option,
  type Plain,
} from './options.js';
import type { NotifierConfig, NotifierType } from './types.js';

type EntryOf<Type extends NotifierType> = Omit<Extract<NotifierConfig, { type: Type }>, 'type' | 'name'>;

export type NotifierSchemas = {
  readonly [Type in NotifierType]: {
    readonly [Key in keyof EntryOf<Type>]: Option<Plain<EntryOf<Type>[Key]>>;
  };
};

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
  doc: 'Requests at the provider at once; null = delivery.maxInFlight.',
  unit: 'requests',
  default: null,
  min: 1,
  max: 10_000,
});

const provider = (ownAddress: string) => ({
  endpoint: httpsOrigin({ doc: `https://HOST:PORT instead of ${ownAddress}.`, default: null }),
  caFile: path<string | null>({
    doc: 'PEM file with a further trust anchor for the endpoint.',
    default: null,
  }),
  requestTimeoutMs: wholeNumber({
    doc: 'A request that takes longer has failed and is repeated later.',
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
  }),
  maxInFlight,
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
  },
  firebase: {
    serviceAccountFile: path<string | null>({
      doc: "Google's JSON file of a service account; its token_uri is honoured.",
      default: null,
    }),
    ...provider('https://fcm.googleapis.com'),
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
