import type { IncomingHttpHeaders } from 'node:http';
import type { TestCertificate } from '../certificates.js';
import { ClientCredentialsStandIn } from './client-credentials-stand-in.js';
import { Http1StandIn, type Http1Answer, type RecordedRequest } from './http1-stand-in.js';

export interface RecordedWnsPush {
  /** Path and query of the channel URI. */
  readonly channel: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyText: string;
}

export interface WnsStandInOptions {
  readonly certificate: TestCertificate;
  readonly isAuthorizationGood: (authorization: string | undefined) => boolean;
  readonly record?: boolean;
  readonly port?: number;
}

/** Microsoft's token endpoint: that of an account, or with a tenant that of Entra ID. */
export const startMicrosoftOauth = (
  certificate: TestCertificate,
  clientId: string,
  clientSecret: string,
  tenantId: string | null = null,
): Promise<ClientCredentialsStandIn> =>
  ClientCredentialsStandIn.start({
    certificate,
    path: tenantId === null ? '/accesstoken.srf' : `/${tenantId}/oauth2/v2.0/token`,
    clientId,
    clientSecret,
    scope: tenantId === null ? 'notify.windows.com' : 'https://wns.windows.com/.default',
    refusal: { status: 400, body: { error: 'invalid_client', error_description: 'Invalid client id' } },
    granted: tenantId === null ? { token_type: 'bearer' } : { token_type: 'Bearer', expires_in: '86399' },
  });

/** An answer as WNS writes it: everything is in the headers. */
export const wnsAnswer = (
  status: number,
  headers: Readonly<Record<string, string>> = {},
  wnsStatus?: string,
): Http1Answer => ({
  status,
  headers: {
    'x-wns-msg-id': '331FA2FC1F350267',
    'x-wns-debug-trace': 'SG2PEPF0005589B',
    ...(wnsStatus === undefined ? {} : { 'x-wns-status': wnsStatus, 'x-wns-notificationstatus': wnsStatus }),
    ...headers,
  },
});

/** The Windows Notification Service as far as a sender sees it. */
export class WnsStandIn {
  readonly pushes: RecordedWnsPush[] = [];
  accepted = 0;
  readonly #byChannel = new Map<string, Http1Answer>();

  private constructor(
    private readonly options: WnsStandInOptions,
    readonly http: Http1StandIn,
  ) {}

  static async start(options: WnsStandInOptions): Promise<WnsStandIn> {
    const http = await Http1StandIn.start({ ...options, record: false }, (request) =>
      standIn.#judge(request),
    );
    const standIn = new WnsStandIn(options, http);
    return standIn;
  }

  get endpoint(): string {
    return this.http.endpoint;
  }

  /** Every notification for the channel URI, until told otherwise (null). */
  forChannel(channelUri: string, answer: Http1Answer | null): void {
    const { pathname, search } = new URL(channelUri);
    if (answer === null) this.#byChannel.delete(pathname + search);
    else this.#byChannel.set(pathname + search, answer);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  #judge({ method, path, headers, body }: RecordedRequest): Http1Answer {
    if (method !== 'POST') return wnsAnswer(405);
    if (!path.startsWith('/?token=')) return wnsAnswer(404);
    if (!this.options.isAuthorizationGood(headers.authorization)) {
      return wnsAnswer(401, { 'x-wns-error-description': 'The authentication ticket is invalid.' });
    }
    if (!isWellFormed(headers)) return wnsAnswer(400, { 'x-wns-error-description': 'Bad header.' });
    if (body.length > 5_000) return wnsAnswer(413);
    const scripted = this.#byChannel.get(path);
    if (scripted !== undefined) return scripted;
    this.accepted += 1;
    if (this.options.record ?? true) {
      this.pushes.push({ channel: path, headers, bodyText: body.toString('utf8') });
    }
    return wnsAnswer(200, { 'x-wns-deviceconnectionstatus': 'connected' }, 'received');
  }
}

/** What WNS answers 400 to: a type without its content type, chunks, a TTL that contradicts the cache policy. */
function isWellFormed(headers: IncomingHttpHeaders): boolean {
  const contentType = headers['x-wns-type'] === 'wns/raw' ? 'application/octet-stream' : 'text/xml';
  const ttl = headers['x-wns-ttl'];
  const cachePolicy = headers['x-wns-cache-policy'];
  return (
    ['wns/raw', 'wns/toast'].includes(String(headers['x-wns-type'])) &&
    headers['content-type'] === contentType &&
    headers['content-length'] !== undefined &&
    (ttl === undefined || /^[1-9]\d*$/.test(String(ttl))) &&
    (cachePolicy === undefined || (cachePolicy === 'cache' && contentType !== 'text/xml')) &&
    ['1', '2', '3', '4', undefined].includes(headers['x-wns-priority'] as string | undefined)
  );
}
