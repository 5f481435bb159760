import type { Brand } from '../legacy/brand.js';
import type { LegacyMethods } from '../legacy/methods-port.js';
import { subscriptionEndpoints, type SubscriptionEndpointOptions } from './client-endpoints.js';
import { createOnionV2 } from './onion-v2.js';
import { createOnionV4 } from './onion-v4.js';
import type { OnionDialect } from './serve-onion.js';
import type { SubscriptionService } from './subscription-service.js';

export interface BrandServices {
  readonly brand: Brand;
  /** Null: no older clients; the brand's v4 path is there for subscriptions. */
  readonly methods: LegacyMethods | null;
}

/** One onion route. */
export interface OnionDoor {
  readonly path: string;
  readonly dialect: OnionDialect;
}

export interface BrandDoorOptions extends SubscriptionEndpointOptions {
  readonly retryAfterSeconds: number;
}

/** Of a server that serves no older clients. */
const ONION_V4_PATH = '/oxen/v4/lsrpc';

/**
 * The onion routes of all brands. Their paths differ, for the path is what says whose request it is: the same path
 * twice is a fault of the configuration, and throws.
 */
export function brandDoors(
  brands: readonly BrandServices[] | undefined,
  service: SubscriptionService,
  options: BrandDoorOptions,
): readonly OnionDoor[] {
  const { retryAfterSeconds } = options;
  if (brands === undefined) {
    const services = { endpoints: subscriptionEndpoints(service, options), methods: null };
    return [{ path: ONION_V4_PATH, dialect: createOnionV4('LOKI', services, retryAfterSeconds) }];
  }
  const doors = brands.flatMap(({ brand, methods }) => {
    const endpoints = subscriptionEndpoints(service, options, brand.name);
    return [
      ...(methods === null ? [] : doorAt(brand.v2Path, createOnionV2(brand.salt, methods))),
      ...doorAt(brand.v4Path, createOnionV4(brand.salt, { endpoints, methods }, retryAfterSeconds)),
    ];
  });
  const paths = doors.map((door) => door.path);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new RangeError(`two onion routes have the path ${twice}`);
  return doors;
}

const doorAt = (path: string | null, dialect: OnionDialect): readonly OnionDoor[] =>
  path === null ? [] : [{ path, dialect }];
