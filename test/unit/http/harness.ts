import { createOnionOpener } from '../../../src/crypto/onion.js';
import { createRandomBytes, type RandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret, type X25519KeyPair } from '../../../src/crypto/x25519.js';
import { badInput, badValue } from '../../../src/domain/errors.js';
import { parseServiceId, parseServiceName } from '../../../src/domain/ids.js';
import { fail, ok } from '../../../src/domain/result.js';
import type { Subscription, SubscriptionKey } from '../../../src/domain/subscription.js';
import type { LoopDelayMeter } from '../../../src/http/admission.js';
import type { BrandServices } from '../../../src/http/brand-doors.js';
import type { StatisticsData } from '../../../src/http/routes/statistics-data.js';
import { defaultHttpServerOptions, type HttpServerOptions } from '../../../src/http/server-options.js';
import { createHttpServer, type HttpServer } from '../../../src/http/server.js';
import type { DeviceValidator } from '../../../src/http/subscription-check.js';
import {
  createSubscriptionService,
  defaultSubscriptionLimits,
  type SubscriptionService,
  type SubscriptionServiceDeps,
} from '../../../src/http/subscription-service.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';

/** The clock of the golden vectors. */
export const VECTOR_NOW_SECONDS = 1_700_000_000;
export const vectorClock = { nowMs: () => VECTOR_NOW_SECONDS * 1000 };

/** Subscriptions in a Map, with the rules of the real store: one per key, the newer signature stays. */
export class MapSubscriptions {
  readonly held = new Map<string, Subscription>();

  subscribe = async (subscription: Subscription): Promise<'added' | 'updated' | 'stale'> => {
    const key = keyOf(subscription);
    const before = this.held.get(key);
    if (
      before !== undefined &&
      before.authorisation.signedAtSeconds > subscription.authorisation.signedAtSeconds
    ) {
      return 'stale';
    }
    this.held.set(key, subscription);
    return before === undefined ? 'added' : 'updated';
  };

  unsubscribe = async (key: SubscriptionKey): Promise<boolean> => this.held.delete(keyOf(key));
}

const keyOf = (key: SubscriptionKey): string =>
  `${key.account.toString('hex')} ${key.service} ${key.serviceId}`;

/** Takes `{ token }` of 32 to 999 bytes, as the notifiers do. */
export function tokenValidator(name: string): DeviceValidator {
  const service = parseServiceName(name);
  if (service === null) throw new Error(`${name} is no service name`);
  return {
    service,
    validate(serviceInfo) {
      const token = (serviceInfo as { token?: unknown } | null)?.token;
      if (token === undefined) return fail(badInput("Error: missing required key 'token'"));
      const serviceId = typeof token === 'string' ? parseServiceId(token) : null;
      return serviceId === null ? fail(badValue('Invalid token')) : ok({ serviceId, serviceData: null });
    },
  };
}

const services = new Map(
  ['test', 'apns', 'firebase', 'huawei', 'bchat-apns', 'bchat-firebase'].map((name) => [
    name,
    tokenValidator(name),
  ]),
);

export function createTestService(overrides: Partial<SubscriptionServiceDeps> = {}): {
  readonly service: SubscriptionService;
  readonly subscriptions: MapSubscriptions;
  readonly metrics: Metrics;
} {
  const subscriptions = new MapSubscriptions();
  const metrics = overrides.metrics ?? new Metrics();
  const service = createSubscriptionService({
    clock: vectorClock,
    notifier: (name) => services.get(name),
    brands: [sessionBrand, bchatBrand],
    refusal: () => null,
    subscribe: subscriptions.subscribe,
    unsubscribe: subscriptions.unsubscribe,
    metrics,
    log: silentLog(),
    limits: defaultSubscriptionLimits,
    ...overrides,
  });
  return { service, subscriptions, metrics };
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly server: HttpServer;
  readonly subscriptions: MapSubscriptions;
  readonly metrics: Metrics;
  readonly onionKey: X25519KeyPair;
}

/** A real listening server on a free port of 127.0.0.1. */
export async function startTestServer(
  setup: {
    readonly options?: Partial<HttpServerOptions>;
    readonly deps?: Partial<SubscriptionServiceDeps>;
    readonly onionKeys?: readonly X25519KeyPair[];
    readonly onionKeysByHost?: ReadonlyMap<string, X25519KeyPair>;
    /** Of the nonces of onion replies. */
    readonly nonces?: RandomBytes;
    readonly brands?: readonly BrandServices[];
    readonly statistics?: StatisticsData;
    readonly loopDelayMeter?: LoopDelayMeter;
  } = {},
): Promise<TestServer> {
  const randomBytes = createRandomBytes();
  const onionKeys = setup.onionKeys ?? [keyPairFromSecret(randomBytes(32))];
  const [onionKey] = onionKeys;
  if (onionKey === undefined) throw new Error('a server has at least one onion key');
  const { service, subscriptions, metrics } = createTestService({
    ...(setup.brands === undefined ? {} : { brands: setup.brands.map(({ brand }) => brand) }),
    ...setup.deps,
  });
  const server = await createHttpServer(
    { ...defaultHttpServerOptions, port: 0, ...setup.options },
    {
      service,
      opener: createOnionOpener(onionKeys, setup.nonces ?? randomBytes, setup.onionKeysByHost),
      metrics,
      log: silentLog(),
      clock: vectorClock,
      ...(setup.brands === undefined ? {} : { brands: setup.brands }),
      ...(setup.statistics === undefined ? {} : { statistics: setup.statistics }),
      ...(setup.loopDelayMeter === undefined ? {} : { loopDelayMeter: setup.loopDelayMeter }),
    },
  );
  const { url, port } = await server.listen();
  return { url, port, server, subscriptions, metrics, onionKey };
}

export async function post(
  url: string,
  body: Buffer | string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: Buffer }> {
  const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(Buffer.from(body)) });
  return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
}
