import { createPublicKey, randomBytes, verify } from 'node:crypto';
import type { TestCertificate } from '../certificates.js';
import { createWebPushReceiver, type WebPushReceiver } from '../web-push-receiver.js';
import { Http1StandIn, type Http1Answer, type RecordedRequest } from './http1-stand-in.js';

/** A browser that has subscribed with the stand-in. */
export interface TestBrowser extends WebPushReceiver {
  readonly endpoint: string;
  readonly path: string;
  /** What its service worker got, decrypted. */
  readonly received: Buffer[];
  /** As `PushSubscription.toJSON()` gives it. */
  toJSON(): {
    readonly endpoint: string;
    readonly expirationTime: null;
    readonly keys: { readonly p256dh: string; readonly auth: string };
  };
}

interface Subscription {
  readonly browser: TestBrowser;
  /** 65 bytes in base64url. */
  readonly applicationServerKey: string;
}

interface VapidClaims {
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly sub?: unknown;
}

/**
 * A push service with its browsers: RFC 8030, RFC 8291, RFC 8292, with the error bodies of Mozilla's. It checks what a
 * real one checks (signature, audience, expiry, the key of the subscription, TTL, Topic, size), and its browsers open
 * the messages.
 */
export class PushServiceStandIn {
  /** Accepted messages. */
  delivered = 0;
  /** Every token that came with a good signature. */
  readonly tokens = new Set<string>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #gone = new Set<string>();

  private constructor(
    readonly http: Http1StandIn,
    /** Under which name it is reached; browsers get endpoints with it. */
    private readonly host: string,
  ) {}

  static async start(
    options: { readonly certificate?: TestCertificate; readonly host?: string } = {},
  ): Promise<PushServiceStandIn> {
    const { certificate, host = '127.0.0.1' } = options;
    let standIn: PushServiceStandIn | null = null;
    const http = await Http1StandIn.start(certificate === undefined ? {} : { certificate }, (request) =>
      standIn === null ? { status: 503 } : standIn.#judge(request),
    );
    standIn = new PushServiceStandIn(http, host);
    return standIn;
  }

  get origin(): string {
    return this.http.endpointAt(this.host);
  }

  /** `applicationServerKey`: 65 bytes in base64url. */
  subscribe(applicationServerKey: string, origin = this.origin): TestBrowser {
    const receiver = createWebPushReceiver();
    const path = `/wpush/v2/${randomBytes(60).toString('base64url')}`;
    const endpoint = origin + path;
    const keys = { p256dh: receiver.p256dh.toString('base64url'), auth: receiver.auth.toString('base64url') };
    const browser: TestBrowser = {
      ...receiver,
      endpoint,
      path,
      received: [],
      toJSON: () => ({ endpoint, expirationTime: null, keys }),
    };
    this.#subscriptions.set(path, { browser, applicationServerKey });
    return browser;
  }

  unsubscribe(browser: TestBrowser): void {
    this.#subscriptions.delete(browser.path);
    this.#gone.add(browser.path);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  #judge(request: RecordedRequest): Http1Answer {
    const { method, path, headers, body } = request;
    if (this.#gone.has(path)) return mozillaError(410, 103);
    const subscription = this.#subscriptions.get(path);
    if (subscription === undefined) return mozillaError(404, 102);
    if (method !== 'POST') return { status: 405 };
    const refusal = this.#vapidRefusal(headers.authorization ?? '', subscription.applicationServerKey);
    if (refusal !== null) return refusal;
    if (!/^\d{1,7}$/.test(headerOf(request, 'ttl'))) return mozillaError(400, 112);
    const topic = headers['topic'];
    if (topic !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(String(topic))) return mozillaError(400, 113);
    if (!/^(very-low|low|normal|high)$/.test(headerOf(request, 'urgency'))) return mozillaError(400, 111);
    if (headers['content-encoding'] !== 'aes128gcm') return mozillaError(400, 110);
    if (body.length > 4096) return mozillaError(413, 104);
    try {
      subscription.browser.received.push(subscription.browser.open(body));
    } catch {
      return mozillaError(400, 110); // a real one cannot look inside; here nobody else would notice
    }
    this.delivered += 1;
    return { status: 201, headers: { location: `${this.origin}/m/${randomBytes(16).toString('hex')}` } };
  }

  /** RFC 8292, sections 2 to 4. */
  #vapidRefusal(authorization: string, applicationServerKey: string): Http1Answer | null {
    const match = /^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$/.exec(authorization);
    if (match === null)
      return mozillaError(401, 109, 'Request did not validate missing authorization header');
    const [, head = '', claims = '', signature = '', key = ''] = match;
    if (key !== applicationServerKey) return mozillaError(401, 109, 'VAPID public key mismatch');
    const point = Buffer.from(key, 'base64url');
    const publicKey = createPublicKey({
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: point.subarray(1, 33).toString('base64url'),
        y: point.subarray(33).toString('base64url'),
      },
      format: 'jwk',
    });
    const isGood =
      (JSON.parse(Buffer.from(head, 'base64url').toString()) as { alg?: unknown }).alg === 'ES256' &&
      verify(
        'sha256',
        Buffer.from(`${head}.${claims}`),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      );
    const { aud, exp, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as VapidClaims;
    const nowSeconds = Date.now() / 1000;
    const isCurrent = typeof exp === 'number' && exp > nowSeconds && exp <= nowSeconds + 24 * 3600;
    const isContact = typeof sub === 'string' && /^(mailto:|https:)/.test(sub);
    if (!isGood || !isCurrent || !isContact || aud !== this.origin) {
      return mozillaError(401, 109, 'Request did not validate Invalid Authorization Header');
    }
    this.tokens.add(`${head}.${claims}.${signature}`);
    return null;
  }
}

const headerOf = (request: RecordedRequest, name: string): string => String(request.headers[name] ?? '');

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  410: 'Gone',
  413: 'Payload Too Large',
};

/** As Mozilla's service words its refusals. */
export function mozillaError(
  status: number,
  errno: number,
  message = 'Request did not validate',
): Http1Answer {
  const more = 'http://autopush.readthedocs.io/en/latest/http.html#error-codes';
  return {
    status,
    body: { code: status, errno, error: reasons[status] ?? 'Error', message, more_info: more },
  };
}
