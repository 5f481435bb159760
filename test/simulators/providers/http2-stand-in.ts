import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TestCertificate } from '../certificates.js';
import { ScriptedAnswers, type ScriptedAnswer } from './scripted-answers.js';

export interface StandInOptions {
  readonly certificate: TestCertificate;
  /** Keep every push for the test to look at; benchmarks turn it off. Default true. */
  readonly record?: boolean;
  /** What the SETTINGS of the stand-in say. */
  readonly maxConcurrentStreams?: number;
  /** Asks clients for a certificate of this CA. */
  readonly clientCaPem?: string;
  /** Default: any free port. */
  readonly port?: number;
}

/** A request that was found good, or the refusal that the provider would send. */
export type Judgement<Recorded> =
  | { readonly ok: true; readonly token: string; readonly push: Recorded }
  | { readonly ok: false; readonly token: string; readonly answer: ScriptedAnswer };

export interface StandInJudge<Recorded> {
  /** `certificateGiven`: the client showed a certificate that the CA vouches for. */
  judge(headers: IncomingHttpHeaders, body: Buffer, certificateGiven: boolean): Judgement<Recorded>;
  /** The headers and body of a success. */
  success(headers: IncomingHttpHeaders): { headers: Readonly<Record<string, string>>; body: string };
}

/** A real TLS + HTTP/2 server on 127.0.0.1 that answers as a provider would, or as a test tells it to. */
export class Http2StandIn<Recorded> {
  readonly answers = new ScriptedAnswers();
  /** Accepted pushes in order of arrival. */
  readonly pushes: Recorded[] = [];
  /** Requests that were refused because they are not as the provider wants them: a fault of ours. */
  readonly refusals: ScriptedAnswer[] = [];
  accepted = 0;
  /** Sees the headers of every request, whatever becomes of it. */
  onRequest: ((headers: IncomingHttpHeaders) => void) | null = null;
  /** Sees every accepted push, recorded or not. */
  onAccepted: ((push: Recorded) => void) | null = null;
  /** Bodies of scripted answers go out one byte at a time, so far apart. */
  byteEveryMs: number | null = null;
  requests = 0;
  connections = 0;
  maxStreamsSeen = 0;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2SecureServer;
  #streams = 0;

  private constructor(
    private readonly options: StandInOptions,
    private readonly judge: StandInJudge<Recorded>,
  ) {
    this.#server = createSecureServer({
      cert: options.certificate.certPem,
      key: options.certificate.keyPem,
      settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 1000 },
      maxSessionMemory: 256,
      ...(options.clientCaPem === undefined
        ? {}
        : { ca: options.clientCaPem, requestCert: true, rejectUnauthorized: false }),
    });
    this.#server.on('session', (session) => this.#onSession(session));
    this.#server.on('stream', (stream, headers) => this.#onStream(stream, headers));
    this.#server.on('sessionError', ignore);
    this.#server.on('tlsClientError', ignore);
  }

  static async start<Recorded>(
    options: StandInOptions,
    judge: StandInJudge<Recorded>,
  ): Promise<Http2StandIn<Recorded>> {
    const standIn = new Http2StandIn(options, judge);
    await new Promise<void>((resolve, reject) => {
      standIn.#server.once('error', reject);
      standIn.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return standIn;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For the option `endpoint`. */
  get endpoint(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get openSessions(): number {
    return this.#sessions.size;
  }

  /** Says GOAWAY on every connection; requests under way are still answered. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway(constants.NGHTTP2_NO_ERROR);
  }

  /** Breaks every connection. */
  destroyConnections(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async close(): Promise<void> {
    this.destroyConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onSession(session: ServerHttp2Session): void {
    this.connections += 1;
    this.#sessions.add(session);
    session.on('error', ignore);
    session.on('close', () => this.#sessions.delete(session));
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.requests += 1;
    this.onRequest?.(headers);
    this.#streams += 1;
    if (this.#streams > this.maxStreamsSeen) this.maxStreamsSeen = this.#streams;
    const chunks: Buffer[] = [];
    stream.on('error', ignore);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('close', () => (this.#streams -= 1));
    stream.on('end', () => {
      const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      this.#answer(stream, headers, body);
    });
  }

  #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer): void {
    // The client has given up between its last byte and now.
    if (stream.destroyed) return;
    const judgement = this.judge.judge(headers, body, isAuthorised(stream));
    if (!judgement.ok) {
      this.refusals.push(judgement.answer);
      return this.#perform(stream, judgement.answer);
    }
    const scripted = this.answers.take(judgement.token);
    if (scripted !== null) return this.#perform(stream, scripted);
    this.accepted += 1;
    this.onAccepted?.(judgement.push);
    if (this.options.record ?? true) this.pushes.push(judgement.push);
    const success = this.judge.success(headers);
    if (success.body === '') stream.respond({ ':status': 200, ...success.headers }, { endStream: true });
    else {
      stream.respond({ ':status': 200, ...success.headers });
      stream.end(success.body);
    }
  }

  #perform(stream: ServerHttp2Stream, answer: ScriptedAnswer): void {
    if (answer.delayMs !== undefined) {
      const { delayMs, ...rest } = answer;
      setTimeout(() => this.#perform(stream, rest), delayMs);
      return;
    }
    if (stream.destroyed) return;
    switch (answer.instead) {
      case 'hang':
        return;
      case 'reset':
        return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      case 'refuse':
        return stream.close(constants.NGHTTP2_REFUSED_STREAM);
      case 'goaway':
        return stream.session?.goaway(constants.NGHTTP2_NO_ERROR, Math.max(0, (stream.id ?? 1) - 2));
      case 'destroy':
        return stream.session?.destroy();
      case undefined:
        break;
    }
    const body = typeof answer.body === 'object' ? JSON.stringify(answer.body) : (answer.body ?? '');
    const headers = { ':status': answer.status ?? 200, ...answer.headers };
    if (body === '') stream.respond(headers, { endStream: true });
    else {
      stream.respond(headers);
      if (this.byteEveryMs === null) stream.end(body);
      else trickle(stream, body, this.byteEveryMs);
    }
  }
}

function trickle(stream: ServerHttp2Stream, body: string, everyMs: number): void {
  if (stream.destroyed) return;
  if (body === '') stream.end();
  else {
    stream.write(body.slice(0, 1));
    setTimeout(() => trickle(stream, body.slice(1), everyMs), everyMs);
  }
}

function isAuthorised(stream: ServerHttp2Stream): boolean {
  return (stream.session?.socket as TLSSocket | undefined)?.authorized === true;
}

function ignore(): void {}
