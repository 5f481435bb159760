import type { Clock } from '../domain/clock.js';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import { fail, type Result } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { ApnsEntry } from './apns/apns-entry.js';
import { createApnsNotifier } from './apns/apns-notifier.js';
import { ProviderTokens } from './apns/provider-tokens.js';
import { createDummyNotifier, type DummyEntry } from './dummy/dummy-notifier.js';
import type { FirebaseEntry } from './firebase/firebase-entry.js';
import { createFirebaseNotifier } from './firebase/firebase-notifier.js';
import type { HuaweiEntry } from './huawei/huawei-entry.js';
import { createHuaweiNotifier } from './huawei/huawei-notifier.js';
import type { Notifier } from './port.js';
import type { UnifiedpushEntry } from './unifiedpush/unifiedpush-entry.js';
import { createUnifiedpushNotifier } from './unifiedpush/unifiedpush-notifier.js';
import type { WebpushEntry } from './webpush/webpush-entry.js';
import { createWebpushNotifier } from './webpush/webpush-notifier.js';
import type { WnsEntry } from './wns/wns-entry.js';
import { createWnsNotifier } from './wns/wns-notifier.js';

/** One entry of `notifiers` in the configuration; the key is the service name that clients ask for. */
export type NotifierEntry =
  ApnsEntry | FirebaseEntry | HuaweiEntry | WnsEntry | WebpushEntry | UnifiedpushEntry | DummyEntry;

export interface NotifierDependencies {
  readonly clock: Clock;
  readonly log: Log;
}

interface SharedDependencies extends NotifierDependencies {
  readonly providerTokens: ProviderTokens;
}

type Factory<Entry> = (
  service: ServiceName,
  entry: Entry,
  dependencies: SharedDependencies,
) => Result<Notifier, string>;

/** Every type of notifier. A new one is a folder and a line here. */
const factories: {
  readonly [Type in NotifierEntry['type']]: Factory<Extract<NotifierEntry, { type: Type }>>;
} = {
  apns: createApnsNotifier,
  firebase: createFirebaseNotifier,
  huawei: createHuaweiNotifier,
  wns: createWnsNotifier,
  webpush: createWebpushNotifier,
  unifiedpush: createUnifiedpushNotifier,
  dummy: createDummyNotifier,
};

export const notifierTypes: readonly string[] = Object.keys(factories);

export interface SkippedNotifier {
  readonly service: string;
  /** For the operator: which option is missing or wrong; never what is in a file. */
  readonly reason: string;
}

export interface Notifiers {
  readonly notifiers: ReadonlyMap<ServiceName, Notifier>;
  /** Entries that cannot be started; a subscribe for them gets error 2. */
  readonly skipped: readonly SkippedNotifier[];
}

/**
 * Builds a notifier for every entry; nothing is sent yet. Reads the files that the entries name. Never throws for what
 * is in an entry or a file: such an entry is skipped.
 */
export function createNotifiers(
  entries: Readonly<Record<string, NotifierEntry>>,
  dependencies: NotifierDependencies,
): Notifiers {
  const shared = { ...dependencies, providerTokens: new ProviderTokens(dependencies.clock) };
  const notifiers = new Map<ServiceName, Notifier>();
  const skipped: SkippedNotifier[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const service = parseServiceName(name);
    const built = service === null ? fail('the name must have 1 to 32 bytes') : build(service, entry, shared);
    if (built.ok) notifiers.set(built.value.service, built.value);
    else skipped.push({ service: name, reason: built.error });
  }
  return { notifiers, skipped };
}

function build(
  service: ServiceName,
  entry: NotifierEntry,
  shared: SharedDependencies,
): Result<Notifier, string> {
  if (!Object.hasOwn(factories, entry.type)) return fail('unknown type');
  // The table pairs each type with the factory of its entries, which the compiler checks there but cannot follow here.
  const factory = factories[entry.type] as Factory<NotifierEntry>;
  return factory(service, entry, shared);
}
