import type { EntrySectionName } from './entry-sections.js';
import type { OptionsOf } from './options.js';
import { deliverySection, logSection, shutdownSection } from './sections-delivery.js';
import { adminSection, httpSection } from './sections-http.js';
import { legacySection } from './sections-legacy.js';
import { sessionSection } from './sections-session.js';
import { databaseSection, keysSection, outboxSection } from './sections-storage.js';
import { uwpxSection } from './sections-uwpx.js';
import { xmppSection } from './sections-xmpp.js';
import type { Config } from './types.js';

/** Every section but those whose entries have names, and a schema each (notifier-schema.ts, brand-schema.ts). */
export type SectionName = Exclude<keyof Config, EntrySectionName>;

/** What of a section has names itself is not among its options (xmpp-schema.ts). */
type Nested<Name> = EntrySectionName extends infer Entries
  ? Entries extends `${Name & string}.${infer Key}`
    ? Key
    : never
  : never;

export type Sections = { readonly [Name in SectionName]: OptionsOf<Omit<Config[Name], Nested<Name>>> };

/** The options that every installation has, in the order of the documentation. */
export const sections: Sections = {
  http: httpSection,
  admin: adminSection,
  database: databaseSection,
  keys: keysSection,
  session: sessionSection,
  legacy: legacySection,
  xmpp: xmppSection,
  uwpx: uwpxSection,
  delivery: deliverySection,
  outbox: outboxSection,
  shutdown: shutdownSection,
  log: logSection,
};

export const sectionDocs: Readonly<Record<SectionName | EntrySectionName, string>> = {
  http: 'The listener that clients talk to.',
  admin: 'The listener for operators: health, metrics, statistics.',
  database: 'Where subscriptions and waiting pushes live.',
  keys: 'Private keys (X25519, but for registrations): 32 raw bytes or 64 hex digits. Created with mode 0600 at the first start when missing.',
  session: 'The Session network: oxend, the storage nodes, and our own OxenMQ listeners.',
  legacy:
    "Older clients: those of Session's push server v1, and Bchat's. What each app has of its own is in brands.",
  brands:
    'The apps that are served, by name. `session` and `bchat` are there without being mentioned; change single options of them, or disable the one that you do not serve (`enabled: false`). A brand of your own (a name of 1 to 20 letters, digits, - and _, first a letter) must give appName, accountPrefix and a path. Paths and account prefixes of enabled brands must differ.',
  notifiers:
    'One entry per service; its name is the service name that clients ask for. An entry without credentials is not started and says so once.',
  xmpp: 'An app server for XMPP servers (XEP-0357), as a component of theirs (XEP-0114) and over HTTP.',
  'xmpp.components':
    'One entry per domain at an XMPP server; its name is the domain, unless domain says otherwise. Without any, clients and servers come over HTTP only. In the environment - and . of a name are written _: WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__SECRET; domain must be given where the file does not name the entry.',
  'xmpp.types':
    'What clients call the way to their device when they register, and the notifier that it means. `apns`, `fcm`, `webpush`, `unifiedpush`, `huawei` and `wns` are there without being mentioned; `enabled: false` switches one off. A type of your own (a name of 1 to 32 letters, digits, - and _, first a letter) is there when it is mentioned. Nobody can register for a type whose notifier is not configured.',
  uwpx: 'The push server of the UWPX client for Windows. Needs a notifier of type wns, a certificate, and a component in xmpp (or an account).',
  delivery: 'How pushes go out, the same for every notifier.',
  outbox: 'Where pushes wait durably when they cannot be sent now.',
  shutdown: 'What happens at SIGTERM.',
  log: 'JSON lines on standard output.',
};
