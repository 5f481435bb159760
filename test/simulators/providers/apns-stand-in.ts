import { verify, type KeyObject } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http2';
import { Http2StandIn, type Judgement, type StandInOptions } from './http2-stand-in.js';

export interface RecordedApnsPush {
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyText: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ApnsStandInOptions extends StandInOptions {
  readonly topic: string;
  /** The key that provider tokens are checked with; without it a client certificate is wanted. */
  readonly tokenKey?: { readonly publicKey: KeyObject; readonly keyId: string; readonly teamId: string };
}

export type ApnsStandIn = Http2StandIn<RecordedApnsPush>;

/** Apple's service as far as a provider sees it: requests are judged as "Sending notification requests" says. */
export function startApnsStandIn(options: ApnsStandInOptions): Promise<ApnsStandIn> {
  return Http2StandIn.start(options, new ApnsJudge(options));
}

const MAX_BODY_BYTES = 4096;
const MAX_VOIP_BODY_BYTES = 5120;
const TOKEN_MAX_AGE_SECONDS = 3600;
const canonicalUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

class ApnsJudge {
  /** Checking a signature costs more than everything else here; a good one stays good for a while. */
  readonly #knownTokens = new Map<string, number>();

  constructor(private readonly options: ApnsStandInOptions) {}

  judge(headers: IncomingHttpHeaders, body: Buffer, certificateGiven: boolean): Judgement<RecordedApnsPush> {
    const [, token = ''] = /^\/3\/device\/([0-9a-fA-F]+)$/.exec(headers[':path'] ?? '') ?? [];
    const reason = this.#refusal(headers, token, certificateGiven) ?? bodyRefusal(headers, body);
    if (reason !== null) return refuse(token, reason);
    if (!(this.options.record ?? true)) {
      return { ok: true, token, push: { token, headers, bodyText: '', body: {} } };
    }
    const bodyText = body.toString('utf8');
    let parsed: Readonly<Record<string, unknown>>;
    try {
      parsed = JSON.parse(bodyText) as Readonly<Record<string, unknown>>;
    } catch {
      return refuse(token, '400 PayloadEmpty');
    }
    return { ok: true, token, push: { token, headers, bodyText, body: parsed } };
  }

  success(headers: IncomingHttpHeaders): { headers: Readonly<Record<string, string>>; body: string } {
    return { headers: { 'apns-id': String(headers['apns-id']) }, body: '' };
  }

  #refusal(headers: IncomingHttpHeaders, token: string, certificateGiven: boolean): string | null {
    if (headers[':method'] !== 'POST') return '405 MethodNotAllowed';
    if (token === '') return '404 BadPath';
    if (headers['apns-topic'] === undefined) return '400 MissingTopic';
    if (headers['apns-topic'] !== this.options.topic) return '400 BadTopic';
    const reason = pushTypeRefusal(headers, this.options.topic);
    if (reason !== null) return reason;
    if (!/^\d{1,12}$/.test(String(headers['apns-expiration'] ?? '0'))) return '400 BadExpirationDate';
    const id = headers['apns-id'];
    if (id !== undefined && !canonicalUuid.test(String(id))) return '400 BadMessageId';
    if (Buffer.byteLength(String(headers['apns-collapse-id'] ?? '')) > 64) return '400 BadCollapseId';
    if (token.length % 2 !== 0 || token.length < 64) return '400 BadDeviceToken';
    if (this.options.tokenKey === undefined) return certificateGiven ? null : '403 BadCertificate';
    return this.#tokenRefusal(headers.authorization);
  }

  #tokenRefusal(authorization: string | undefined): string | null {
    const jwt = /^bearer (\S+)$/i.exec(authorization ?? '')?.[1];
    if (jwt === undefined) return '403 MissingProviderToken';
    let issuedAt = this.#knownTokens.get(jwt);
    if (issuedAt === undefined) {
      const claims = this.#verify(jwt);
      if (claims === null) return '403 InvalidProviderToken';
      issuedAt = claims;
      this.#knownTokens.set(jwt, issuedAt);
    }
    return Date.now() / 1000 - issuedAt > TOKEN_MAX_AGE_SECONDS ? '403 ExpiredProviderToken' : null;
  }

  /** The time of issue, null when anything is wrong. */
  #verify(jwt: string): number | null {
    const { tokenKey } = this.options;
    const [head = '', claims = '', signature = ''] = jwt.split('.');
    if (tokenKey === undefined) return null;
    const good = verify(
      'sha256',
      Buffer.from(`${head}.${claims}`),
      { key: tokenKey.publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    if (!good) return null;
    const { alg, kid } = decode(head);
    const { iss, iat } = decode(claims);
    const fits = alg === 'ES256' && kid === tokenKey.keyId && iss === tokenKey.teamId;
    return fits && typeof iat === 'number' ? iat : null;
  }
}

function pushTypeRefusal(headers: IncomingHttpHeaders, topic: string): string | null {
  const priority = String(headers['apns-priority']);
  if (!['1', '5', '10'].includes(priority)) return '400 BadPriority';
  switch (headers['apns-push-type']) {
    case 'alert':
      return null;
    case 'background':
      return priority === '5' ? null : '400 BadPriority';
    case 'voip':
      return topic.endsWith('.voip') ? null : '400 BadTopic';
    default:
      return '400 InvalidPushType';
  }
}

function bodyRefusal(headers: IncomingHttpHeaders, body: Buffer): string | null {
  if (body.length === 0) return '400 PayloadEmpty';
  const maxBytes = headers['apns-push-type'] === 'voip' ? MAX_VOIP_BODY_BYTES : MAX_BODY_BYTES;
  return body.length > maxBytes ? '413 PayloadTooLarge' : null;
}

function refuse(token: string, statusAndReason: string): Judgement<never> {
  const [status = '', reason = ''] = statusAndReason.split(' ');
  return { ok: false, token, answer: { status: Number(status), body: { reason } } };
}

function decode(part: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Readonly<Record<string, unknown>>;
}
