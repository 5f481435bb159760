import type { IncomingHttpHeaders } from 'node:http';
import type { TestCertificate } from '../certificates.js';
import { ClientCredentialsStandIn } from './client-credentials-stand-in.js';
import { Http1StandIn, type Http1Answer, type RecordedRequest } from './http1-stand-in.js';

export interface RecordedHmsPush {
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyText: string;
  /** The member `data`. */
  readonly dataText: string;
  /** The same, parsed; empty when it is no JSON object. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly android: Readonly<Record<string, unknown>>;
}

export interface HmsStandInOptions {
  readonly certificate: TestCertificate;
  /** `/v1/APP/messages:send`. */
  readonly path: string;
  readonly isAuthorizationGood: (authorization: string | undefined) => boolean;
  readonly record?: boolean;
  readonly port?: number;
}

/** Huawei's token endpoint. */
export const startHuaweiOauth = (
  certificate: TestCertificate,
  clientId: string,
  clientSecret: string,
): Promise<ClientCredentialsStandIn> =>
  ClientCredentialsStandIn.start({
    certificate,
    path: '/oauth2/v2/token',
    clientId,
    clientSecret,
    scope: null,
    refusal: hmsOauthError(1101, 12304),
    granted: { token_type: 'Bearer' },
  });

export const hmsOauthError = (error: number, subError: number): Http1Answer => ({
  status: 400,
  body: { error, sub_error: subError, error_description: 'no' },
});

/** An answer as Huawei writes it. */
export const hmsAnswer = (code: string, msg = 'no', status = 200): Http1Answer => ({
  status,
  body: { code, msg, requestId: '157000000000000006' },
});

/** HMS Push Kit's "Sending Downlink Messages" as far as a sender sees it. */
export class HmsStandIn {
  readonly pushes: RecordedHmsPush[] = [];
  accepted = 0;
  readonly #byToken = new Map<string, Http1Answer>();

  private constructor(
    private readonly options: HmsStandInOptions,
    readonly http: Http1StandIn,
  ) {}

  static async start(options: HmsStandInOptions): Promise<HmsStandIn> {
    const http = await Http1StandIn.start({ ...options, record: false }, (request) =>
      standIn.#judge(request),
    );
    const standIn = new HmsStandIn(options, http);
    return standIn;
  }

  get endpoint(): string {
    return this.http.endpoint;
  }

  /** Every message for the token, until told otherwise (null). */
  forToken(token: string, answer: Http1Answer | null): void {
    if (answer === null) this.#byToken.delete(token);
    else this.#byToken.set(token, answer);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  #judge({ method, path, headers, body }: RecordedRequest): Http1Answer {
    if (method !== 'POST' || path !== this.options.path) return { status: 404, body: '<html>404</html>' };
    if (!this.options.isAuthorizationGood(headers.authorization)) {
      return hmsAnswer('80200001', 'Oauth authentication error', 401);
    }
    const bodyText = body.toString('utf8');
    const push = parsePush(bodyText, headers);
    if (push === null) return hmsAnswer('80100003', 'Illegal payload', 400);
    if (Buffer.byteLength(bodyText) - push.token.length > 4096) return hmsAnswer('80300008', 'too long');
    const scripted = this.#byToken.get(push.token);
    if (scripted !== undefined) return scripted;
    this.accepted += 1;
    if (this.options.record ?? true) this.pushes.push(push);
    return hmsAnswer('80000000', 'Success');
  }
}

/** Null where HMS would find the structure illegal. */
function parsePush(bodyText: string, headers: IncomingHttpHeaders): RecordedHmsPush | null {
  try {
    const { validate_only: validateOnly, message } = JSON.parse(bodyText) as {
      validate_only: unknown;
      message: { data: string; android: Record<string, unknown>; token: string[] };
    };
    const [token = ''] = message.token;
    const { urgency, ttl } = message.android;
    const isLegal =
      validateOnly === false &&
      typeof message.data === 'string' &&
      message.token.length === 1 &&
      token !== '' &&
      (urgency === 'HIGH' || urgency === 'NORMAL') &&
      (ttl === undefined || (typeof ttl === 'string' && /^\d+s$/.test(ttl)));
    if (!isLegal) return null;
    const dataText = message.data;
    return { token, headers, bodyText, dataText, data: parseData(dataText), android: message.android };
  } catch {
    return null;
  }
}

/** As the library on the device does: `data` may be any string, and is a dict when it is JSON. */
function parseData(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
