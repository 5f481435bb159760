import { randomBytes } from 'node:crypto';
import type { TestCertificate } from '../certificates.js';
import { createWebPushReceiver, type WebPushReceiver } from '../web-push-receiver.js';
import { Http1StandIn, type Http1Answer, type RecordedRequest } from './http1-stand-in.js';

/** An app that registered with the distributor of a push server. */
export interface TestApp {
  readonly endpoint: string;
  readonly path: string;
  /** Null: it registered without keys and reads plain bodies. */
  readonly receiver: WebPushReceiver | null;
  /** What the distributor handed to it, decrypted where it has keys. */
  readonly received: Buffer[];
  /** `service_info` of a subscribe. */
  serviceInfo(): Readonly<Record<string, string>>;
}

export const DISCOVERY = { unifiedpush: { version: 1 } };
const MAX_BODY_BYTES = 4096;

/** A push server as UnifiedPush's "Server" 1.2.0 wants it, over HTTP/1.1. */
export class UnifiedpushStandIn {
  discoveries = 0;
  readonly #apps = new Map<string, TestApp>();

  private constructor(
    readonly http: Http1StandIn,
    private readonly host: string,
  ) {}

  static async start(
    options: { readonly certificate?: TestCertificate; readonly host?: string } = {},
  ): Promise<UnifiedpushStandIn> {
    const { certificate, host = '127.0.0.1' } = options;
    let standIn: UnifiedpushStandIn | null = null;
    const http = await Http1StandIn.start(certificate === undefined ? {} : { certificate }, (request) =>
      standIn === null ? { status: 503 } : standIn.#judge(request),
    );
    standIn = new UnifiedpushStandIn(http, host);
    return standIn;
  }

  /** Endpoints look like ntfy's. */
  register({ withKeys }: { readonly withKeys: boolean }): TestApp {
    const path = `/up${randomBytes(20).toString('base64url')}?up=1`;
    const receiver = withKeys ? createWebPushReceiver() : null;
    const endpoint = this.http.endpointAt(this.host) + path;
    const app: TestApp = {
      endpoint,
      path,
      receiver,
      received: [],
      serviceInfo: () =>
        receiver === null
          ? { endpoint }
          : {
              endpoint,
              p256dh: receiver.p256dh.toString('base64url'),
              auth: receiver.auth.toString('base64url'),
            },
    };
    this.#apps.set(path, app);
    return app;
  }

  unregister(app: TestApp): void {
    this.#apps.delete(app.path);
  }

  /** A page of the same server that is no endpoint. */
  get ordinaryPage(): string {
    return `${this.http.endpointAt(this.host)}/an/ordinary/page/of/this/server`;
  }

  close(): Promise<void> {
    return this.http.close();
  }

  #judge({ method, path, body, headers }: RecordedRequest): Http1Answer {
    if (path.startsWith('/an/ordinary')) return { body: '<!doctype html><title>hello</title>' };
    const app = this.#apps.get(path);
    if (app === undefined) return { status: 404 };
    if (method === 'GET') {
      this.discoveries += 1;
      return { body: DISCOVERY };
    }
    if (method !== 'POST') return { status: 405 };
    if (body.length === 0) return { status: 400 };
    if (body.length > MAX_BODY_BYTES) return { status: 413 };
    const isEncrypted = headers['content-encoding'] === 'aes128gcm';
    if (isEncrypted !== (app.receiver !== null)) return { status: 400 };
    app.received.push(app.receiver === null ? body : app.receiver.open(body));
    return { status: 201, headers: { ttl: '0' } };
  }
}
