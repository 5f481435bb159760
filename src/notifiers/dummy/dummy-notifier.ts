import type { Log } from '../../telemetry/log.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../port.js';
import { deviceOf, readServiceInfo } from '../service-info.js';
import { keyedBlake2b } from './keyed-blake2b.js';

/** Options of a notifier of type `dummy`: none. */
export interface DummyEntry {
  readonly type: 'dummy';
}

export interface DummyDependencies {
  readonly log: Log;
}

const SERVICE_ID_BYTES = 48;
const SERVICE_ID_KEY = Buffer.from('TestNotifier');

/**
 * A notifier without a provider, for tests and as the shortest example of the port (spec session-push-v2, 12.4): it
 * validates a made-up `service_info`, "delivers" every push by a line in the log, and keeps nothing.
 */
export function createDummyNotifier(
  service: ServiceName,
  _entry: DummyEntry,
  { log }: DummyDependencies,
): Result<Notifier, string> {
  return ok(new DummyNotifier(service, log));
}

class DummyNotifier implements Notifier {
  readonly type = 'dummy';
  readonly capabilities: NotifierCapabilities = {
    content: 'sealed',
    maxPayloadBytes: 65_536,
    batchSize: 1,
    supportsExpiry: false,
    supportsPriority: false,
    maxInFlight: 1_000,
  };

  constructor(
    readonly service: ServiceName,
    private readonly log: Log,
  ) {}

  validate(serviceInfo: unknown): Result<Device, ClientError> {
    const info = readServiceInfo(serviceInfo);
    if (!info.ok) return info;
    const missing = ['foo', 'bar'].find((key) => !Object.hasOwn(info.value, key));
    if (missing !== undefined) return fail(badInput(`Error: missing required service_info key '${missing}'`));
    const { foo, bar } = info.value;
    if (typeof foo !== 'string' || !foo.startsWith('TEST-')) {
      return fail(badValue('Invalid input: foo must start with TEST-'));
    }
    // The original lets booleans pass, because Python counts them among the integers.
    if (!Number.isSafeInteger(bar) && typeof bar !== 'boolean') {
      return fail(badValue('Invalid input: bar must be an integer'));
    }
    const barText = typeof bar === 'boolean' ? (bar ? 'True' : 'False') : String(bar);
    const id = keyedBlake2b(SERVICE_ID_BYTES, SERVICE_ID_KEY, Buffer.from(`${barText}_${foo}`));
    const serviceData = Buffer.from(`d3:bari${Number(bar)}e3:foo${Buffer.byteLength(foo)}:${foo}e`);
    return deviceOf(id.toString('hex'), serviceData);
  }

  send(push: Push): Promise<Outcome> {
    this.log.info({ service: this.service, payloadBytes: push.content.payload.length }, 'dummy push');
    return Promise.resolve({ kind: 'delivered' });
  }

  health(): NotifierHealth {
    return { state: 'connected', detail: null };
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}
