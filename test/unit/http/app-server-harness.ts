import { createOnionOpener } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';
import type { LoopDelayMeter } from '../../../src/http/admission.js';
import type { AppServerAnswerKind, AppServerRequestKind } from '../../../src/http/app-server-serve.js';
import {
  defaultAppServerHttpOptions,
  defaultHttpServerOptions,
  type AppServerHttpOptions,
  type HttpServerOptions,
} from '../../../src/http/server-options.js';
import { createHttpServer, type HttpServer } from '../../../src/http/server.js';
import { createLog } from '../../../src/telemetry/log.js';
import type { Metrics } from '../../../src/telemetry/metrics.js';
import { MemoryAppServer } from '../../simulators/memory-app-server.js';
import { createTestService, post, vectorClock } from './harness.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface AppServerUnderTest {
  readonly url: string;
  readonly port: number;
  readonly server: HttpServer;
  readonly appServer: MemoryAppServer;
  readonly metrics: Metrics;
  readonly answered: { request: AppServerRequestKind; answer: AppServerAnswerKind; tookMs: number }[];
  /** Everything that was logged. */
  log(): string;
  /** POST of a form (text) or of JSON (anything else), without a content type. */
  ask(path: string, body: unknown): Promise<Answer>;
  get(path: string, init?: RequestInit): Promise<Answer>;
}

export async function startAppServer(
  setup: {
    readonly options?: Partial<HttpServerOptions>;
    readonly appServerOptions?: Partial<AppServerHttpOptions>;
    readonly loopDelayMeter?: LoopDelayMeter;
    readonly appServer?: MemoryAppServer;
  } = {},
): Promise<AppServerUnderTest> {
  const randomBytes = createRandomBytes();
  const { service, metrics } = createTestService();
  const appServer = setup.appServer ?? new MemoryAppServer();
  const answered: AppServerUnderTest['answered'] = [];
  let logged = '';
  const server = await createHttpServer(
    {
      ...defaultHttpServerOptions,
      port: 0,
      appServer: { ...defaultAppServerHttpOptions, ...setup.appServerOptions },
      ...setup.options,
    },
    {
      service,
      opener: createOnionOpener([keyPairFromSecret(randomBytes(32))], randomBytes),
      metrics,
      log: createLog({ level: 'debug' }, { write: (line: string) => (logged += line) }),
      clock: vectorClock,
      appServer,
      appServerReport: { answered: (request, answer, tookMs) => answered.push({ request, answer, tookMs }) },
      // How busy this machine is otherwise must not decide.
      loopDelayMeter: setup.loopDelayMeter ?? (() => 0),
    },
  );
  const { url, port } = await server.listen();
  return {
    url,
    port,
    server,
    appServer,
    metrics,
    answered,
    log: () => logged,
    async ask(path, body) {
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const answer = await post(`${url}${path}`, bytes);
      return { ...answer, text: answer.body.toString() };
    },
    async get(path, init) {
      const answer = await fetch(`${url}${path}`, init);
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    },
  };
}
