import type { OptionsOf } from './options.js';
import { deliverySection, logSection, shutdownSection } from './sections-delivery.js';
import { adminSection, httpSection } from './sections-http.js';
import { legacySection } from './sections-legacy.js';
import { sessionSection } from './sections-session.js';
import { databaseSection, keysSection, outboxSection } from './sections-storage.js';
import type { Config } from './types.js';

/** Every section but those whose entries have names and a schema each (notifier-schema.ts, brand-schema.ts). */
export type SectionName = Exclude<keyof Config, EntrySectionName>;

export type EntrySectionName = 'notifiers' | 'brands';

export type Sections = { readonly [Name in SectionName]: OptionsOf<Config[Name]> };

/** The options that every installation has, in the order of the documentation. */
export const sections: Sections = {
  http: httpSection,
  admin: adminSection,
  database: databaseSection,
  keys: keysSection,
  session: sessionSection,
  legacy: legacySection,
  delivery: deliverySection,
  outbox: outboxSection,
  shutdown: shutdownSection,
  log: logSection,
};

export const sectionDocs: Readonly<Record<keyof Config, string>> = {
  http: 'The listener that clients talk to.',
  admin: 'The listener for operators: health, metrics, statistics.',
  database: 'Where subscriptions and waiting pushes live.',
  keys: 'X25519 private keys: 32 raw bytes or 64 hex digits. Created with mode 0600 at the first start when missing.',
  session: 'The Session network: oxend, the storage nodes, and our own OxenMQ listeners.',
  legacy:
    "Older clients: those of Session's push server v1, and Bchat's. What each app has of its own is in brands.",
  brands:
    'The apps that are served, by name. `session` and `bchat` are there without being mentioned; change single options of them, or disable the one that you do not serve (`enabled: false`). A brand of your own (a name of 1 to 20 letters, digits, - and _, first a letter) must give appName, accountPrefix and a path. Paths and account prefixes of enabled brands must differ.',
  notifiers:
    'One entry per service; its name is the service name that clients ask for. An entry without credentials is not started and says so once.',
  delivery: 'How pushes go out, the same for every notifier.',
  outbox: 'Where pushes wait durably when they cannot be sent now.',
  shutdown: 'What happens at SIGTERM.',
  log: 'JSON lines on standard output.',
};
