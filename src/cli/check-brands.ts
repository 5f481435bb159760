import {
  brandsOf,
  clientServices,
  enabledBrands,
  serviceOf,
  type ClientServiceName,
} from '../config/brand-services.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import { notifierSchemas } from '../config/notifier-schema.js';
import type { BrandConfig, Config, NotifierConfig } from '../config/types.js';
import { warning, type Finding } from './finding.js';

/** Brands that nobody can reach, that reach nobody, or whose pushes would go to another app's devices. */
export function* checkBrands(config: Config): Iterable<Finding> {
  const brands = enabledBrands(config);
  if (brands.length === 0) yield warning('brands', 'none is enabled: onion requests are not served');
  yield* checkSilentBrands(config, brands);
  yield* checkSharedServices(config, brands);
  for (const brand of brands) {
    for (const client of clientServices) yield* checkService(config, brand, client);
    yield* checkRoutes(brand);
    if (!config.legacy.enabled && brand.v4Path === null) {
      const message = 'nobody can reach it: legacy.enabled is false, and v4Path is null';
      yield warning(`brands.${brand.name}`, message);
    }
  }
  yield* checkPasswords(config, brands);
}

function entryOf({ notifiers }: Config, service: string): NotifierConfig | null {
  return Object.hasOwn(notifiers, service) ? (notifiers[service] ?? null) : null;
}

function isReady(config: Config, service: string): boolean {
  const entry = entryOf(config, service);
  return entry !== null && notifierReadiness(entry).kind === 'ready';
}

const servicesOf = (config: Config, brand: BrandConfig): readonly string[] =>
  clientServices.map((client) => serviceOf(config, brand, client));

/** One line for all that mean the same services: mostly, nothing is configured at all. */
function* checkSilentBrands(config: Config, brands: readonly BrandConfig[]): Iterable<Finding> {
  if (!config.legacy.enabled) return;
  const silent = new Map<string, string[]>();
  for (const brand of brands) {
    const services = servicesOf(config, brand);
    if (services.some((service) => isReady(config, service))) continue;
    const key = services.join(', ');
    silent.set(key, [...(silent.get(key) ?? []), brand.name]);
  }
  for (const [services, names] of silent) {
    const message = `none of ${services} is a notifier with credentials: older clients of ${names.join(' and ')} get no pushes (legacy.enabled: false if you serve none)`;
    yield warning(`brands.${names[0] ?? ''}`, message);
  }
}

/** Apple's topic, Google's project, Huawei's app: a device token is good for one app only. */
function* checkSharedServices(config: Config, brands: readonly BrandConfig[]): Iterable<Finding> {
  for (const [index, brand] of brands.entries()) {
    const earlier = brands.slice(0, index);
    const shared = clientServices.flatMap((client) => {
      const service = serviceOf(config, brand, client);
      const other = earlier.find((each) => servicesOf(config, each).includes(service));
      return other !== undefined && isOfOneApp(config, service) ? [{ client, service, other }] : [];
    });
    if (shared.length === 0) continue;
    const services = [...new Set(shared.map(({ service }) => service))].join(', ');
    const others = [...new Set(shared.map(({ other }) => other.name))].join(' and ');
    const wanted = shared.map(({ client }) => `${brand.name}-${client}`).join(', ');
    const message = `shares ${services} with ${others}, yet providers refuse the devices of another app: give it notifiers of its own (${wanted}), or disable the brand that you do not serve (enabled: false)`;
    yield warning(`brands.${brand.name}`, message);
  }
}

const isOfOneApp = (config: Config, service: string): boolean =>
  isReady(config, service) && entryOf(config, service)?.type !== 'dummy';

function* checkService(config: Config, brand: BrandConfig, client: ClientServiceName): Iterable<Finding> {
  const service = serviceOf(config, brand, client);
  const key = `brands.${brand.name}.${client}`;
  const entry = entryOf(config, service);
  if (entry === null) {
    if (brand[client] !== null && !config.session.notifiersExpected.includes(service))
      yield warning(key, `there is no notifier ${service}`);
    return;
  }
  if (entry.type !== client && entry.type !== 'dummy')
    yield warning(key, `${service} is a notifier of type ${entry.type}, and gets device tokens of ${client}`);
  if (entry.type === 'apns' && entry.topic === SESSION_TOPIC && !servesSession(config, service)) {
    const message = `is Session's, yet the entry serves ${brand.name}: Apple refuses device tokens of another app`;
    yield warning(`notifiers.${service}.topic`, message);
  }
}

const SESSION_TOPIC = notifierSchemas.apns.topic.default;

const servesSession = (config: Config, service: string): boolean =>
  brandsOf(config, service).some(({ name }) => name === 'session');

/** Source: spec onion-requests, 7; bchat-push, 2. */
function* checkRoutes(brand: BrandConfig): Iterable<Finding> {
  for (const key of ['v2Path', 'v4Path'] as const) {
    const path = brand[key];
    if (path === null) continue;
    const salt = path.startsWith('/beldex/') ? 'BELDEX' : /^\/(loki|oxen)\//.test(path) ? 'LOKI' : null;
    if (salt === null) {
      const message = `nodes of Session forward to /loki/... and /oxen/... only, those of Beldex to /beldex/...`;
      yield warning(`brands.${brand.name}.${key}`, message);
    } else if (salt !== brand.onionSalt) {
      const message = `${brand.onionSalt}, yet clients that come by ${path} use ${salt}`;
      yield warning(`brands.${brand.name}.onionSalt`, message);
      return;
    }
  }
}

function* checkPasswords({ legacy }: Config, brands: readonly BrandConfig[]): Iterable<Finding> {
  const seen = new Map<string, string>();
  for (const { name, statisticsPassword } of brands) {
    if (statisticsPassword === null) continue;
    const key = `brands.${name}.statisticsPassword`;
    const earlier = seen.get(statisticsPassword.reveal());
    seen.set(statisticsPassword.reveal(), earlier ?? name);
    if (!legacy.enabled) yield warning(key, 'without effect: legacy.enabled is false');
    else if (earlier !== undefined)
      yield warning(key, `without effect: the same as that of ${earlier}, whose numbers it gives`);
  }
}
