import type { Device } from '../domain/device.js';
import type { ClientError } from '../domain/errors.js';
import type { ServiceName } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push } from '../domain/push.js';
import type { Result } from '../domain/result.js';

/** What a provider can do; the pipeline and the actor ask here instead of knowing providers. */
export interface NotifierCapabilities {
  /** What it sends: sealed payloads, or (external notifiers) the dict that they seal themselves. */
  readonly content: 'sealed' | 'unsealed';
  /** The largest payload in bytes (sealed: before base64) that fits the provider's limit. */
  readonly maxPayloadBytes: number;
  /** Pushes in one request. Every payload is sealed for one device, so no provider of today takes more than one. */
  readonly batchSize: number;
  readonly supportsExpiry: boolean;
  readonly supportsPriority: boolean;
  /** How many requests the provider takes at once at most: the upper bound of the actor's window. */
  readonly maxInFlight: number;
}

export interface NotifierHealth {
  readonly state: 'idle' | 'connected' | 'failing';
  /** A word or two for the operator; null when all is well. */
  readonly detail: string | null;
  /** Where the type keeps connections open and counts them: now, since the start, and those of them that went. */
  readonly connections?: { readonly open: number; readonly opened: number; readonly replaced: number };
}

export type ValidationPurpose = 'subscribe' | 'unsubscribe';

/** A configured sender for one service name. */
export interface Notifier {
  readonly service: ServiceName;
  readonly type: string;
  readonly capabilities: NotifierCapabilities;
  /**
   * Checks a client's `service_info` and says which device it names: the same device for both purposes. Pure and local
   * (then not a promise) wherever the type allows; a promise never rejects and settles within the notifier's own time
   * limit. Only a subscribe may ask the endpoint something: who unsubscribes may be rid of one that is gone.
   */
  validate(
    serviceInfo: unknown,
    purpose: ValidationPurpose,
  ): Result<Device, ClientError> | Promise<Result<Device, ClientError>>;
  /**
   * For a notifier whose pushes go to servers of strangers: which of them speaks for a device. Null, or left out where it
   * is always so: a provider that no client can set up.
   */
  serverOf?(device: Device): string | null;
  /**
   * One attempt, one outcome. Never rejects and always settles within the notifier's own time limit; an aborted
   * signal settles it as `retry`.
   */
  send(push: Push, signal: AbortSignal): Promise<Outcome>;
  health(): NotifierHealth;
  /** Closes connections; idempotent. Pushes in flight settle as `retry`. */
  close(): Promise<void>;
}
