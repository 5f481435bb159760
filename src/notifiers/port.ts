import type { Device } from '../domain/device.js';
import type { ClientError } from '../domain/errors.js';
import type { ServiceName } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push } from '../domain/push.js';
import type { Result } from '../domain/result.js';

/** What a provider can do; the pipeline and the actor ask here instead of knowing providers. */
export interface NotifierCapabilities {
  /** The largest sealed payload in bytes (before base64) that fits the provider's limit. */
  readonly maxPayloadBytes: number;
  readonly supportsExpiry: boolean;
  readonly supportsPriority: boolean;
  /** How many requests the provider takes at once at most; the actor's window never exceeds it. */
  readonly maxInFlight: number;
}

export interface NotifierHealth {
  readonly state: 'idle' | 'connected' | 'failing';
  /** A word or two for the operator; null when all is well. */
  readonly detail: string | null;
}

/** A configured sender for one service name. */
export interface Notifier {
  readonly service: ServiceName;
  readonly type: string;
  readonly capabilities: NotifierCapabilities;
  /**
   * Checks a client's `service_info` and says which device it names. Pure and local: no request, no state.
   * The same function serves subscribe and unsubscribe.
   */
  validate(serviceInfo: unknown): Result<Device, ClientError>;
  /**
   * One attempt, one outcome. Never rejects and always settles within the notifier's own time limit; an aborted
   * signal settles it as `retry`.
   */
  send(push: Push, signal: AbortSignal): Promise<Outcome>;
  health(): NotifierHealth;
  /** Closes connections; idempotent. Pushes in flight settle as `retry`. */
  close(): Promise<void>;
}
