import { CHANNEL_URI_MAX_LENGTH } from '../../codec/wns-channel-uri.js';
import type { Clock } from '../../domain/clock.js';
import type { ServiceName } from '../../domain/ids.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { atFourFifths } from '../access-tokens.js';
import { parseTokenEndpoint, type ClientCredentials } from '../client-credentials-grant.js';
import { readOptionalFile } from '../credential-files.js';
import { EndpointGuard } from '../endpoint-guard.js';
import { parseOptionalEndpoint, trustAnchors } from '../endpoint.js';
import { HttpClient, httpOptionsOf } from '../http-client.js';
import type { Notifier } from '../port.js';
import { openTokenSource } from '../token-source.js';
import { toastBody } from './body.js';
import { ChannelNotifier } from './channel-notifier.js';
import type { WnsEntry } from './wns-entry.js';

export interface WnsDependencies {
  readonly clock: Clock;
}

const ACCOUNT_TOKEN_ENDPOINT = 'https://login.live.com/accesstoken.srf';
const ACCOUNT_SCOPE = 'notify.windows.com';
const ENTRA_SCOPE = 'https://wns.windows.com/.default';
const DEFAULT_CONNECTIONS = 32;
/** Requests that may wait for each connection of a host: at 100 ms each they are through long before their time limit. */
const REQUESTS_PER_CONNECTION = 8;
/** Hosts of WNS whose connections are kept. */
const MAX_HOSTS = 64;

/**
 * Makes a notifier for Microsoft's service; spec uwpx-push, 6.2 to 6.4. The error is a text for the operator: which
 * option is missing or wrong.
 */
export function createWnsNotifier(
  service: ServiceName,
  entry: WnsEntry,
  { clock }: WnsDependencies,
): Result<Notifier, string> {
  const credentials = readCredentials(entry);
  if (!credentials.ok) return credentials;
  const endpoint = parseOptionalEndpoint(entry.endpoint);
  if (!endpoint.ok) return endpoint;
  const toast =
    entry.notificationType === 'toast'
      ? toastBody(entry.toastTitle ?? 'Session', entry.toastBody ?? "You've got a new message")
      : ok(null);
  if (!toast.ok) return toast;
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const anchors = trustAnchors(ca.value);
  const source = openTokenSource({
    credentials: credentials.value,
    clock,
    timeoutMs: entry.tokenTimeoutMs,
    trustAnchors: anchors,
    renewal: atFourFifths,
  });
  const client = new HttpClient(
    httpOptionsOf(entry, {
      connectionsPerOrigin: DEFAULT_CONNECTIONS,
      maxOrigins: MAX_HOSTS,
      trustAnchors: anchors,
      // The operator's own endpoint may be anywhere; what clients name must resolve to the internet.
      guard: endpoint.value === null ? publicHostsOnly() : null,
    }),
  );
  const most = (entry.connections ?? DEFAULT_CONNECTIONS) * REQUESTS_PER_CONNECTION;
  const settings = {
    origin: endpoint.value?.origin ?? null,
    toast: toast.value,
    cache: entry.cache ?? true,
    maxInFlight: Math.min(entry.maxInFlight ?? most, most),
    retryAfterMaxMs: entry.retryAfterMaxMs,
  };
  return ok(new ChannelNotifier(service, settings, clock, source, client));
}

const publicHostsOnly = (): EndpointGuard =>
  new EndpointGuard({
    allowHttp: false,
    allowNetworks: [],
    ports: [443],
    maxUrlLength: CHANNEL_URI_MAX_LENGTH,
  });

/** A directory's id or one of its domain names; it becomes part of a path. */
const tenant = /^(?!\.)[A-Za-z0-9.-]{1,255}$/;

function readCredentials(entry: WnsEntry): Result<ClientCredentials, string> {
  const clientId = entry.packageSid ?? '';
  if (clientId === '') return fail('packageSid is missing');
  const clientSecret = entry.clientSecret ?? '';
  if (clientSecret === '') return fail('clientSecret is missing');
  const tenantId = entry.tenantId ?? null;
  if (tenantId !== null && !tenant.test(tenantId)) return fail('tenantId is malformed');
  const standard =
    tenantId === null
      ? { tokenEndpoint: ACCOUNT_TOKEN_ENDPOINT, scope: ACCOUNT_SCOPE }
      : {
          tokenEndpoint: `https://login.microsoftonline.com/${tenantId}/oauth2/v2.0/token`,
          scope: ENTRA_SCOPE,
        };
  const tokenEndpoint = parseTokenEndpoint(entry.tokenEndpoint ?? standard.tokenEndpoint);
  if (!tokenEndpoint.ok) return tokenEndpoint;
  return ok({
    tokenEndpoint: tokenEndpoint.value,
    clientId,
    clientSecret,
    scope: entry.tokenScope ?? standard.scope,
  });
}
