import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { DeletedLegacyDevices } from '../legacy/deleted-devices.js';

export interface UndeleteRequest {
  /** Null = of every service. */
  readonly service: ServiceName | null;
  /** Unix milliseconds: only what was removed then or later. */
  readonly removedSinceMs: number;
  /** Only count. */
  readonly dryRun: boolean;
}

export interface UndeleteReport {
  /** Subscriptions. */
  readonly restored: number;
  readonly skipped: number;
  /** Devices of older clients. */
  readonly legacyRestored: number;
  /** Devices of XMPP users. */
  readonly xmppRestored: number;
}

/** Devices of XMPP users. */
export interface DeletedXmppDevices {
  readonly service: string;
  readonly devices: number;
}

/** What went because a provider called a device dead. All reject while the database is away. */
export interface DeletedDevices {
  /** How many subscriptions can still be brought back, of each service. */
  countByService(): Promise<ReadonlyMap<string, number>>;
  /** Devices of older clients, of each brand and service. */
  countLegacy(): Promise<readonly DeletedLegacyDevices[]>;
  /** Devices of XMPP users, of each service. */
  countXmpp(): Promise<readonly DeletedXmppDevices[]>;
  undelete(request: UndeleteRequest): Promise<UndeleteReport>;
}

const AWAY = 'the database did not answer; what was restored until then stays, and the same request goes on';

/**
 * GET /devices/deleted → `{"services": {"apns": 12}, "legacy": [{"brand": "session", "service": "apns", "devices": 3}],
 * "xmpp": [{"service": "apns", "devices": 5}]}`: subscriptions of each service, devices of older clients and of XMPP users.
 * POST /devices/undelete with a JSON object of `service`, `sinceMs`, `dryRun`, all optional → `{"restored", "skipped",
 * "legacyRestored", "xmppRestored"}`: numbers of subscriptions, then of older clients' and XMPP users' devices. One
 * undelete at a time; it may take minutes.
 */
export function addDeviceRoutes(
  server: FastifyInstance,
  guarded: onRequestAsyncHookHandler,
  devices: DeletedDevices,
): void {
  let isBusy = false;

  server.get('/devices/deleted', { onRequest: guarded }, async (_request, reply) => {
    try {
      const services = Object.fromEntries(await devices.countByService());
      const legacy = await devices.countLegacy();
      const xmpp = await devices.countXmpp();
      return {
        services,
        legacy: legacy.map(({ brand, service, devices }) => ({ brand, service, devices })),
        xmpp: xmpp.map(({ service, devices }) => ({ service, devices })),
      };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return reply.code(503).send({ error: 'the database does not answer' });
    }
  });

  server.post('/devices/undelete', { onRequest: guarded }, async (request, reply) => {
    const parsed = parseUndelete(request.body);
    if (!parsed.ok) return reply.code(400).send({ error: parsed.error });
    if (isBusy) return reply.code(409).send({ error: 'devices are being restored already' });
    isBusy = true;
    const { socket } = request.raw;
    // Nothing is sent until it is done, which may be later than idle connections live.
    const idleTimeoutMs = socket.timeout ?? 0;
    socket.setTimeout(0);
    try {
      const { restored, skipped, legacyRestored, xmppRestored } = await devices.undelete(parsed.value);
      return await reply.send({ restored, skipped, legacyRestored, xmppRestored });
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return await reply.code(503).send({ error: AWAY });
    } finally {
      socket.setTimeout(idleTimeoutMs);
      isBusy = false;
    }
  });
}

/** By their names: the store is none of this room's business, nor is who writes older clients' devices into it. */
const unavailable: ReadonlySet<string> = new Set(['StoreUnavailable', 'ChangeNotTaken']);
const isUnavailable = (error: unknown): boolean => error instanceof Error && unavailable.has(error.name);

const KNOWN = ['service', 'sinceMs', 'dryRun'];

function parseUndelete(body: unknown): Result<UndeleteRequest, string> {
  // Nor is a request without a body taken for one without filters: any web page can make the operator's browser send it.
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return fail('the body must be a JSON object');
  // A misspelt filter must not restore everything.
  if (Object.keys(body).some((key) => !KNOWN.includes(key)))
    return fail(`the body may hold ${KNOWN.join(', ')}`);
  const { service, sinceMs = 0, dryRun = false } = body as Record<string, unknown>;
  const name = typeof service === 'string' ? parseServiceName(service) : null;
  if (service !== undefined && name === null) return fail('service must be the name of a service');
  if (typeof sinceMs !== 'number' || !Number.isSafeInteger(sinceMs) || sinceMs < 0)
    return fail('sinceMs must be a unix time in milliseconds');
  if (typeof dryRun !== 'boolean') return fail('dryRun must be true or false');
  return ok({ service: name, removedSinceMs: sinceMs, dryRun });
}
