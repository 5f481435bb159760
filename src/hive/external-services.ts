import { isUtf8 } from 'node:buffer';
import type { Clock } from '../domain/clock.js';
import { parseServiceName, SERVICE_NAME_MAX_BYTES, type ServiceName } from '../domain/ids.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { OxenmqPeer } from '../oxenmq/port.js';
import { ExternalNotifier } from './external-notifier.js';
import type { HiveOptions } from './options.js';

/** Which external notifiers there were, so that their pushes wait after a restart instead of being nobody's. */
export interface ExternalServiceStore {
  load(): Promise<readonly string[]>;
  /** Again for a name that is there: it is still in use. */
  add(service: ServiceName): Promise<void>;
}

export interface ExternalServicesDeps {
  readonly options: HiveOptions;
  /** Whether a notifier of this process serves this name. */
  readonly builtIn: (service: string) => boolean;
  /** Called once for each name, before anything is asked of the notifier. */
  readonly onNotifier: (notifier: ExternalNotifier) => void;
  readonly store: ExternalServiceStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** A name in use is written down again so often; a failed write is tried again after the shorter time. */
const STORE_AGAIN_MS = 24 * 3600 * 1000;
const STORE_RETRY_MS = 60_000;

/** The external notifiers by name. A name stays for good, as in the original; what changes is who answers to it. */
export class ExternalServices {
  readonly #notifiers = new Map<ServiceName, ExternalNotifier>();
  readonly #storeDueAtMs = new Map<ServiceName, number>();
  /** Names of ours that somebody wanted: told once. */
  readonly #refused = new Set<string>();
  readonly #waiting = new Set<() => void>();
  readonly #sampledLog: SampledLog;

  constructor(private readonly deps: ExternalServicesDeps) {
    this.#sampledLog = new SampledLog(deps.clock);
  }

  /** Those that are expected, and those of earlier runs. Rejects like the store. */
  async load(): Promise<void> {
    const { options, store, builtIn } = this.deps;
    for (const name of [...options.notifiersExpected, ...(await store.load())]) {
      const service = parseExternalName(Buffer.from(name));
      if (service === null || builtIn(service) || this.#notifiers.has(service)) continue;
      this.#add(service);
    }
  }

  get(service: string): ExternalNotifier | undefined {
    return this.#notifiers.get(service as ServiceName);
  }

  names(): ServiceName[] {
    return [...this.#notifiers.keys()];
  }

  /** `admin.register_service`. False when the name is none, taken by a notifier of ours, or one too many. */
  register(name: Buffer, peer: OxenmqPeer): boolean {
    const service = parseExternalName(name);
    if (service === null) return false;
    if (this.deps.builtIn(service)) {
      this.#refuse(service);
      return false;
    }
    const notifier = this.get(service) ?? this.#add(service);
    if (notifier === null) return false;
    if (notifier.register(peer)) {
      this.#sampledLog.note(service, (occurrences) =>
        this.deps.log.info({ service, occurrences }, 'an external notifier has registered'),
      );
    }
    this.#remember(service);
    for (const wake of [...this.#waiting]) wake();
    return true;
  }

  /** Waits until all of `names` are served, by us or by a notifier that has registered; which are still not. */
  async expected(names: readonly string[], waitMs: number): Promise<readonly string[]> {
    const missing = (): string[] =>
      names.filter((name) => !this.deps.builtIn(name) && this.get(name)?.isPresent() !== true);
    if (waitMs <= 0 || missing().length === 0) return missing();
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (missing().length === 0) finish();
      };
      const timer = setTimeout(finish, waitMs);
      this.#waiting.add(look);
    });
    return missing();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#notifiers.values()].map((notifier) => notifier.close()));
  }

  #add(service: ServiceName): ExternalNotifier | null {
    const { options, clock, log, onNotifier } = this.deps;
    if (this.#notifiers.size >= options.maxServices) {
      this.#sampledLog.note('', (occurrences) =>
        log.warn({ limit: options.maxServices, occurrences }, 'too many names of external notifiers'),
      );
      return null;
    }
    const notifier = new ExternalNotifier(service, options, clock);
    this.#notifiers.set(service, notifier);
    onNotifier(notifier);
    return notifier;
  }

  #refuse(service: ServiceName): void {
    if (this.#refused.has(service)) return;
    this.#refused.add(service);
    this.deps.log.warn({ service }, 'an external notifier wants the name of a notifier of ours: ignored');
  }

  #remember(service: ServiceName): void {
    const { store, clock, log } = this.deps;
    const now = clock.nowMs();
    if (now < (this.#storeDueAtMs.get(service) ?? -Infinity)) return;
    this.#storeDueAtMs.set(service, now + STORE_AGAIN_MS);
    store.add(service).catch(() => {
      this.#storeDueAtMs.set(service, now + STORE_RETRY_MS);
      log.warn({ service }, 'the name of an external notifier could not be stored yet');
    });
  }
}

/** Any text of 1 to 32 bytes in the original; ours end up in logs, metric labels and the database. */
function parseExternalName(bytes: Buffer): ServiceName | null {
  if (bytes.length > SERVICE_NAME_MAX_BYTES || !isUtf8(bytes)) return null;
  const name = bytes.toString('utf8');
  return /[\p{C}\p{Z}]/u.test(name) ? null : parseServiceName(name);
}
