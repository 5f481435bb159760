import type { TestCertificate } from '../certificates.js';
import { Http1StandIn, type Http1Answer, type RecordedRequest } from './http1-stand-in.js';

export interface ClientCredentialsOptions {
  readonly certificate: TestCertificate;
  readonly path: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What the form must ask for; null = nothing. */
  readonly scope: string | null;
  /** How a form with wrong credentials is refused. */
  readonly refusal: Http1Answer;
  /** Members of a success beside `access_token` and `expires_in`. */
  readonly granted: Readonly<Record<string, unknown>>;
  readonly port?: number;
}

/** An OAuth token endpoint for client credentials (RFC 6749, 4.4), as Huawei and Microsoft have one. */
export class ClientCredentialsStandIn {
  /** Tokens handed out and not revoked. */
  readonly good = new Set<string>();
  grants = 0;
  expiresIn: unknown = 3600;

  private constructor(
    private readonly options: ClientCredentialsOptions,
    /** To script answers on; everything else is granted or refused by the form. */
    readonly http: Http1StandIn,
  ) {}

  static async start(options: ClientCredentialsOptions): Promise<ClientCredentialsStandIn> {
    const http = await Http1StandIn.start(options, (request) => standIn.#judge(request));
    const standIn = new ClientCredentialsStandIn(options, http);
    return standIn;
  }

  get tokenEndpoint(): string {
    return `${this.http.endpoint}${this.options.path}`;
  }

  /** The value of an `authorization` header, in the spelling of the token type that was granted. */
  readonly isGood = (authorization: string | undefined): boolean => this.good.has(authorization ?? '');

  close(): Promise<void> {
    return this.http.close();
  }

  #judge({ method, path, headers, body }: RecordedRequest): Http1Answer {
    const { clientId, clientSecret, scope, refusal, granted } = this.options;
    const form = new URLSearchParams(body.toString('latin1'));
    const isGood =
      method === 'POST' &&
      path === this.options.path &&
      headers['content-type'] === 'application/x-www-form-urlencoded' &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === clientId &&
      form.get('client_secret') === clientSecret &&
      form.get('scope') === scope;
    if (!isGood) return refusal;
    this.grants += 1;
    const accessToken = `EgAd+stand/in-${this.grants}==`;
    const { token_type: tokenType = 'Bearer' } = granted;
    this.good.add(`${String(tokenType)} ${accessToken}`);
    return { body: { access_token: accessToken, expires_in: this.expiresIn, ...granted } };
  }
}
