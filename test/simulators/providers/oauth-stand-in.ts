import { verify, type KeyObject } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestCertificate } from '../certificates.js';
import type { ScriptedAnswer } from './scripted-answers.js';

export interface OauthStandInOptions {
  /** https with it, http without. */
  readonly certificate?: TestCertificate;
  readonly port?: number;
}

/** Google's token endpoint for the JWT bearer grant. The account is told afterwards, as its file names our port. */
export class OauthStandIn {
  /** Tokens handed out and not revoked. */
  readonly granted = new Set<string>();
  grants = 0;
  requests = 0;
  expiresInSeconds = 3599;
  /** For all requests until set back to null. */
  standing: ScriptedAnswer | null = null;
  #account: { readonly publicKey: KeyObject; readonly clientEmail: string } | null = null;
  readonly #server: Server;

  private constructor(private readonly options: OauthStandInOptions) {
    const listener: RequestListener = (request, response) => {
      this.requests += 1;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const answer =
          this.standing ?? this.#judge(request.url ?? '', Buffer.concat(chunks).toString('utf8'));
        if (answer.instead === 'hang') return;
        if (answer.instead !== undefined) return void request.socket.destroy();
        const body = typeof answer.body === 'object' ? JSON.stringify(answer.body) : (answer.body ?? '');
        response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
        response.end(body);
      });
    };
    this.#server =
      options.certificate === undefined
        ? createHttpServer(listener)
        : createHttpsServer({ cert: options.certificate.certPem, key: options.certificate.keyPem }, listener);
  }

  static async start(options: OauthStandInOptions = {}): Promise<OauthStandIn> {
    const standIn = new OauthStandIn(options);
    await new Promise<void>((resolve) => standIn.#server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return standIn;
  }

  get tokenUri(): string {
    const scheme = this.options.certificate === undefined ? 'http' : 'https';
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  trust(account: { readonly publicKey: KeyObject; readonly clientEmail: string }): void {
    this.#account = account;
  }

  readonly isAccessTokenGood = (accessToken: string): boolean => this.granted.has(accessToken);

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #judge(url: string, body: string): ScriptedAnswer {
    const form = new URLSearchParams(body);
    const goodForm = form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    if (url !== '/token' || !goodForm || !this.#isGood(form.get('assertion') ?? '')) {
      return { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } };
    }
    this.grants += 1;
    const accessToken = `ya29.stand-in-${this.grants}`;
    this.granted.add(accessToken);
    return { body: { access_token: accessToken, expires_in: this.expiresInSeconds, token_type: 'Bearer' } };
  }

  #isGood(assertion: string): boolean {
    const [head = '', claims = '', signature = ''] = assertion.split('.');
    if (this.#account === null) return false;
    const signed = Buffer.from(`${head}.${claims}`);
    const good = verify('RSA-SHA256', signed, this.#account.publicKey, Buffer.from(signature, 'base64url'));
    if (!good) return false;
    const { iss, aud, scope, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as {
      readonly [claim: string]: unknown;
    };
    return (
      iss === this.#account.clientEmail &&
      aud === this.tokenUri &&
      scope === 'https://www.googleapis.com/auth/firebase.messaging' &&
      typeof iat === 'number' &&
      typeof exp === 'number' &&
      exp - iat <= 3600
    );
  }
}
