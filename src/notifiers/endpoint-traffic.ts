import { RETRY_AFTER_MAX_MS } from '../delivery-rules/retry-after.js';
import type { Clock } from '../domain/clock.js';
import { SERVICE_ID_MAX_BYTES, type ServiceId } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import { fail, ok, type Result } from '../domain/result.js';
import { readOptionalFile } from './credential-files.js';
import { trustAnchors } from './endpoint.js';
import { EndpointGuard, invalidNetwork } from './endpoint-guard.js';
import type { ResolveName } from './endpoint-names.js';
import { EndpointPauses } from './endpoint-pauses.js';
import type { Verdict } from './endpoint-verdict.js';
import { httpOptionsOf, type HttpClientOptions } from './http-client.js';
import { OriginGates, type GateResult } from './origin-gates.js';
import { isKnownOrigin } from './push-services.js';

/** Options of the notifiers whose endpoints clients name. */
export interface EndpointsEntry {
  /** Takes endpoints with http:// as well. */
  readonly allowHttp?: boolean;
  /** Networks that endpoints may lie in although they are not public. */
  readonly allowNetworks?: readonly string[];
  /** Ports of endpoints; empty = any. */
  readonly ports?: readonly number[];
  /** PEM: a trust anchor beside the usual ones. */
  readonly caFile?: string | null;
  /** To one push service. */
  readonly connections?: number;
  /** Requests at once, to all push services together. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}

const MAX_IN_FLIGHT = 256;
const CONNECTIONS_PER_ORIGIN = 8;
/** Requests that one push service may have waiting for each of its connections, so that these are never idle. */
const REQUESTS_PER_CONNECTION = 4;
/** Share of the requests that servers may have together that nobody knows yet: see `OriginGates`. */
const STRANGERS_SHARE = 1 / 4;

/** What stands between a notifier and the servers of strangers. */
export interface EndpointTools {
  readonly guard: EndpointGuard;
  /** For the client that the pushes go through. */
  readonly http: HttpClientOptions;
  readonly maxInFlight: number;
  readonly retryAfterMaxMs: number;
  readonly traffic: EndpointTraffic;
}

/** The error is for the operator: which option is wrong. */
export function openEndpointTools(
  entry: EndpointsEntry,
  clock: Clock,
  resolve?: ResolveName,
): Result<EndpointTools, string> {
  const allowNetworks = entry.allowNetworks ?? [];
  if (invalidNetwork(allowNetworks) !== null) return fail('allowNetworks: expected ADDRESS/BITS');
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const guard = new EndpointGuard({
    allowHttp: entry.allowHttp ?? false,
    allowNetworks,
    ports: entry.ports ?? [443],
    maxUrlLength: SERVICE_ID_MAX_BYTES,
    ...(resolve === undefined ? {} : { resolve }),
  });
  const connections = entry.connections ?? CONNECTIONS_PER_ORIGIN;
  const maxInFlight = entry.maxInFlight ?? MAX_IN_FLIGHT;
  const retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
  const gates = new OriginGates({
    maxInFlight: connections * REQUESTS_PER_CONNECTION,
    strangersInFlight: Math.ceil(maxInFlight * STRANGERS_SHARE),
    isKnown: isKnownOrigin,
    pauseMaxMs: retryAfterMaxMs,
  });
  return ok({
    guard,
    http: httpOptionsOf({ ...entry, connections }, { trustAnchors: trustAnchors(ca.value), guard }),
    maxInFlight,
    retryAfterMaxMs,
    traffic: new EndpointTraffic(clock, gates),
  });
}

/** Lets a push through to its endpoint unless that, or its origin, is to be left alone now. */
export class EndpointTraffic {
  readonly #pauses = new EndpointPauses();

  constructor(
    private readonly clock: Clock,
    private readonly gates: OriginGates,
  ) {}

  /** `request` is made at once or never; what it finds out counts for the pushes that follow. */
  async pass(endpoint: ServiceId, origin: string, request: () => Promise<Verdict>): Promise<Outcome> {
    const nowMs = this.clock.nowMs();
    const pausedMs = this.#pauses.leftMs(endpoint, nowMs);
    if (pausedMs > 0) return { kind: 'postponed', reason: 'endpoint-paused', afterMs: pausedMs };
    const refusal = this.gates.enter(origin, nowMs);
    if (refusal !== null) {
      return { kind: 'postponed', reason: refusal.reason, afterMs: refusal.postponeMs };
    }
    let learnt: GateResult = { kind: 'unknown' };
    try {
      const verdict = await request();
      learnt = verdict.origin;
      const { pauseEndpointMs } = verdict;
      if (pauseEndpointMs > 0) this.#pauses.pause(endpoint, pauseEndpointMs, this.clock.nowMs());
      return verdict.outcome;
    } finally {
      this.gates.leave(origin, this.clock.nowMs(), learnt, endpoint);
    }
  }
}
