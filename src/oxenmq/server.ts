import { randomBytes as systemRandomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Context, Router } from 'zeromq';
import type { Clock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { parseListenAddress, type ListenAddress } from './listen-address.js';
import { Listener, type ListenerSurroundings } from './listener.js';
import { defaultOxenmqListenerOptions, type OxenmqListenerOptions } from './options.js';
import type { OxenmqDoor, OxenmqServer, ServedCommand } from './port.js';
import { PublicGate, type PublicGateAddress } from './public-gate.js';
import { codeOf, socketFileProblem } from './socket-file.js';
import { ZapHandler, type ZapRule } from './zap.js';

export interface OxenmqServerDependencies {
  /** What every listener serves, by name; each command says which level may call it. */
  readonly commands: Readonly<Record<string, ServedCommand>>;
  /** Anything left out is as in `defaultOxenmqListenerOptions`. */
  readonly options?: Partial<OxenmqListenerOptions>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** For request tags; must be unpredictable. */
  readonly randomBytes?: (size: number) => Buffer;
}

/**
 * The listening side of OxenMQ: any number of doors, each a socket with one access level. They share a ZeroMQ context
 * of their own, in which one handler decides about every handshake (spec oxenmq, 5.1).
 */
export function createOxenmqServer(dependencies: OxenmqServerDependencies): OxenmqServer {
  const { clock, log, metrics } = dependencies;
  const options: OxenmqListenerOptions = { ...defaultOxenmqListenerOptions, ...dependencies.options };
  const sampledLog = new SampledLog(clock);
  const surroundings: ListenerSurroundings = {
    options,
    commands: new Map(Object.entries(dependencies.commands)),
    clock,
    randomBytes: dependencies.randomBytes ?? systemRandomBytes,
    log,
    sampledLog,
    metrics,
  };
  const rules = new Map<string, ZapRule>();
  const listeners: Listener[] = [];
  const gates: PublicGate[] = [];
  let zap: Promise<{ readonly context: Context; readonly handler: ZapHandler }> | null = null;
  let closed = false;

  const startZap = async () => {
    // `blocky: false`: no message that cannot be delivered keeps the process from ending.
    const context = new Context({ blocky: false });
    const handler = new ZapHandler(context, rules, (error) => {
      metrics.stageFailures.of('oxenmq-zap').add();
      sampledLog.note('zap', (occurrences) =>
        log.error({ fault: codeOf(error), occurrences }, 'an OxenMQ handshake could not be decided'),
      );
    });
    await handler.start();
    return { context, handler };
  };

  return {
    async listen(door) {
      const address = parseListenAddress(door.address);
      if (!address.ok) return address;
      if (closed) return fail('closed');
      if (address.value.path !== null) {
        const problem = await socketFileProblem(address.value.path);
        if (problem !== null) return fail(problem);
      }
      const { context } = await (zap ??= startZap());
      rules.set(door.name, {
        mechanism: door.curve === null ? 'NULL' : 'CURVE',
        keys: door.curve?.admits ? new Set(door.curve.admits.map((key) => key.toString('hex'))) : null,
      });
      const router = createRouter(context, door, address.value, options);
      const { tcp } = address.value;
      const gate = door.level === 'none' && tcp !== null ? new PublicGate(options.publicGate) : null;
      const bound =
        gate === null || tcp === null
          ? await bind(router, address.value, options.socketMode)
          : await bindBehind(router, gate, tcp);
      if (!bound.ok || closed) {
        router.close();
        await gate?.close();
        return bound.ok ? fail('closed') : bound;
      }
      listeners.push(new Listener(surroundings, door.name, door.level, router));
      if (gate !== null) gates.push(gate);
      return bound;
    },

    async close() {
      closed = true;
      await Promise.all(listeners.splice(0).map((listener) => listener.close()));
      await Promise.all(gates.splice(0).map((gate) => gate.close()));
      const started = await zap?.catch(() => null);
      started?.handler.close();
    },
  };
}

/** A ROUTER with every option of spec oxenmq, 5.1, not yet bound. */
function createRouter(
  context: Context,
  door: OxenmqDoor,
  address: ListenAddress,
  options: OxenmqListenerOptions,
): Router {
  return new Router({
    context,
    // A send to nobody must fail, not vanish; and it must fail at once, not wait for somebody to connect.
    mandatory: true,
    sendTimeout: 0,
    // The same peer after a half-open connection takes his route back.
    handover: true,
    linger: 0,
    handshakeInterval: options.handshakeIntervalMs,
    heartbeatInterval: options.heartbeatIntervalMs,
    heartbeatTimeout: options.heartbeatTimeoutMs,
    maxMessageSize: options.maxMessageBytes[door.level],
    receiveHighWaterMark: options.receiveHighWaterMark[door.level],
    sendHighWaterMark: options.sendHighWaterMark,
    ipv6: address.ipv6,
    zapDomain: door.name,
    zapEnforceDomain: true,
    ...(door.curve !== null && { curveServer: true, curveSecretKey: rawBytes(door.curve.keyPair.secretKey) }),
  });
}

/** zeromq.js takes a Buffer where its types say string. */
const rawBytes = (bytes: Buffer): string => bytes as unknown as string;

async function bind(
  router: Router,
  address: ListenAddress,
  socketMode: number,
): Promise<Result<string, string>> {
  try {
    await router.bind(address.endpoint);
    // Until here the umask decides, which is rarely wider than "only we may connect".
    if (address.path !== null) await chmod(address.path, socketMode);
  } catch (error) {
    return fail(bindProblems.get(codeOf(error)) ?? `cannot be bound (${codeOf(error)})`);
  }
  return ok(router.lastEndpoint ?? address.endpoint);
}

async function bindBehind(
  router: Router,
  gate: PublicGate,
  { host, port }: PublicGateAddress,
): Promise<Result<string, string>> {
  try {
    await router.bind(`ipc://${await gate.prepare()}`);
  } catch (error) {
    return fail(`cannot be bound behind a socket in ${tmpdir()} (${codeOf(error)})`);
  }
  const opened = await gate.open({ host, port });
  if (!opened.ok) return fail(bindProblems.get(opened.error) ?? `cannot be bound (${opened.error})`);
  return ok(`tcp://${host.includes(':') ? `[${host}]` : host}:${opened.value}`);
}

const bindProblems: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the address is in use'],
  ['EADDRNOTAVAIL', 'this machine has no such address'],
  ['ENODEV', 'this machine has no such address or interface'],
  ['EACCES', 'no right to bind this address'],
  ['EPERM', 'no right to bind this address'],
]);
