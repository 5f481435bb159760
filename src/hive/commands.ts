import { clientErrorCode } from '../domain/errors.js';
import { SERVICE_NAME_MAX_BYTES } from '../domain/ids.js';
import { parseServiceStatistics } from '../codec/service-stats.js';
import type { ServedCommand } from '../oxenmq/port.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Statistics } from '../telemetry/statistics.js';
import type { ExternalServices } from './external-services.js';

export interface HiveCommandsDeps {
  readonly services: ExternalServices;
  readonly statistics: Pick<Statistics, 'report' | 'snapshot'>;
  /** As over HTTP: an object for an object, an array for an array. Never rejects; waits until we are ready. */
  readonly handle: (kind: 'subscribe' | 'unsubscribe', body: Buffer) => Promise<unknown>;
  readonly bodyMaxBytes: number;
  readonly metrics: Metrics;
}

/** The texts of the original's web part (spec session-push-v2, 3.1), which stood between clients and these commands. */
const BODY_MISSING = { error: clientErrorCode.badInput, message: 'Invalid request: request body missing' };
const TOO_LARGE = { error: clientErrorCode.badInput, message: 'Invalid request: request too large' };

/** What notifiers and tools may say at our doors (spec session-push-v2, 8.1, 8.4, 13). */
export function createHiveCommands(deps: HiveCommandsDeps): Readonly<Record<string, ServedCommand>> {
  const { services, statistics, metrics } = deps;
  const ignore = (kind: string): void => metrics.oxenmqMalformed.of(kind).add();

  const change = async (kind: 'subscribe' | 'unsubscribe', body: Buffer | undefined): Promise<unknown> => {
    if (body === undefined) return BODY_MISSING;
    if (body.length > deps.bodyMaxBytes) return TOO_LARGE;
    return deps.handle(kind, body);
  };

  return {
    'admin.register_service': {
      kind: 'command',
      access: 'admin',
      run(peer, [name, ...others]) {
        if (name === undefined || others.length > 0 || !services.register(name, peer)) {
          ignore('register-service');
        }
      },
    },
    'admin.service_stats': {
      kind: 'command',
      access: 'admin',
      run(_peer, [name, report, ...others]) {
        const isName = name !== undefined && name.length <= SERVICE_NAME_MAX_BYTES;
        const service = isName && services.get(name.toString('utf8'))?.service;
        const parsed = report && others.length === 0 ? parseServiceStatistics(report) : null;
        if (!service || !parsed || !statistics.report(service, parsed)) ignore('service-stats');
      },
    },
    'admin.get_stats': {
      kind: 'request',
      access: 'admin',
      run: async () => [JSON.stringify(statistics.snapshot())],
    },
    'push.subscribe': {
      kind: 'request',
      access: 'none',
      run: async (_peer, [body]) => [JSON.stringify(await change('subscribe', body))],
    },
    'push.unsubscribe': {
      kind: 'request',
      access: 'none',
      run: async (_peer, [body]) => [JSON.stringify(await change('unsubscribe', body))],
    },
  };
}
