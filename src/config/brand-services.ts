import { SESSION_ALERT, SESSION_MARKERS } from './brand-schema.js';
import { entryNameKey } from './names.js';
import type { BrandConfig, Config } from './types.js';

/** What clients of every brand call the push services. */
export const clientServices = ['apns', 'firebase', 'huawei'] as const;
export type ClientServiceName = (typeof clientServices)[number];

type Services = Pick<Config, 'brands' | 'notifiers'>;

/** Those that are served, the standard ones first. */
export const enabledBrands = ({ brands }: Pick<Config, 'brands'>): readonly BrandConfig[] =>
  Object.values(brands).filter(({ enabled }) => enabled);

/**
 * The notifier that a brand's clients mean: the one that the brand names, else `NAME-apns` where there is such an
 * entry, else `apns`. Nobody says that there is an entry of the name that comes out.
 */
export function serviceOf(
  { notifiers }: Pick<Services, 'notifiers'>,
  brand: BrandConfig,
  client: ClientServiceName,
): string {
  const named = brand[client];
  if (named !== null) return named;
  const own = entryNameKey(`${brand.name}-${client}`);
  return Object.keys(notifiers).find((name) => entryNameKey(name) === own) ?? client;
}

/** The enabled brands whose clients mean this service by one of their words. */
export const brandsOf = (config: Services, service: string): readonly BrandConfig[] =>
  enabledBrands(config).filter((brand) =>
    clientServices.some((client) => serviceOf(config, brand, client) === service),
  );

/** First byte of accounts in the network that Session's push server v2 was made for. */
const SESSION_PREFIX = '05';

/**
 * What marks an encrypted push of this service, unless its entry says so itself. Session's clients get exactly what
 * they had before, so a brand of theirs that uses the service decides alone. Source: spec bchat-push, 4 and 5, no. 3.
 */
export function markersOf(config: Services, service: string): readonly string[] {
  const users = brandsOf(config, service);
  const session = users.find(isSession);
  if (session !== undefined) return session.markers;
  return users.length === 0 ? SESSION_MARKERS : [...new Set(users.flatMap(({ markers }) => markers))];
}

export type Alert = Pick<BrandConfig, 'alertTitle' | 'alertBody'>;

/**
 * What Apple shows of an encrypted push of this service that the app cannot decrypt, unless its entry says so itself.
 * There is one title: of several brands at one service Session's, else the first one's. Source: spec bchat-push, 4.
 */
export function alertOf(config: Services, service: string): Alert {
  const users = brandsOf(config, service);
  const { alertTitle, alertBody } = users.find(isSession) ?? users[0] ?? SESSION_ALERT;
  return { alertTitle, alertBody };
}

const isSession = ({ accountPrefix }: BrandConfig): boolean => accountPrefix === SESSION_PREFIX;
