import type { RandomBytes } from '../crypto/sodium.js';
import { TokenBuckets } from '../delivery-rules/token-buckets.js';
import { secretHashOf, type SecretKeeper } from '../crypto/secret-keeper.js';
import type { Clock } from '../domain/clock.js';
import type { Device } from '../domain/device.js';
import type { ServiceId, ServiceName } from '../domain/ids.js';
import type { PushFate } from '../domain/push.js';
import type { Log } from '../telemetry/log.js';
import { newP2Node, newP2Secret, newV1Secret } from '../xmpp/identifiers.js';
import type { DeviceTarget, RegisterOutcome, Registrations, UnregisterOutcome } from '../xmpp/port.js';
import { isNode, isTokenText, isTypeName } from './device-text.js';
import type { DeviceType } from './device-type.js';
import { keyText, type DeviceKey, type StoredDevice } from './device.js';
import { bytesOfToken } from './directory-entries.js';
import { DirectorySync } from './directory-sync.js';
import type { KnownDevice, XmppDirectory } from './directory.js';
import { inTime } from './in-time.js';
import type { XmppDeviceLimits } from './limits.js';
import type { DeviceChange, DeviceOffer, XmppDeviceStore } from './port.js';
import type { StoreUse, XmppDevicesReport } from './report.js';
import { StoreFailures } from './store-failures.js';
import { Turns } from './turns.js';

/** At the start, to see whether it is the key with which they were sealed. */
const SECRETS_TRIED = 100;

/** The device that a client's token names; null when it is none. What takes long is bounded by `writePatienceMs`. */
export type CheckToken = (type: DeviceType, token: string) => Promise<Device | null>;

export interface XmppRegistryDeps {
  readonly store: XmppDeviceStore;
  readonly directory: XmppDirectory;
  readonly secrets: Pick<SecretKeeper, 'seal' | 'open'>;
  /** By the clients' word. */
  readonly types: ReadonlyMap<string, DeviceType>;
  readonly validate: CheckToken;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly limits: XmppDeviceLimits;
  readonly report: XmppDevicesReport;
  readonly log: Log;
}

/** Something that lives as long as a device's token. */
export interface XmppTokenHolder {
  /** Whether it is gone now: not when it was renewed at `sinceMs` or later (unix milliseconds). */
  tokenDied(sinceMs: number): Promise<boolean>;
}

const MINUTES_PER_HOUR = 60;
const UNAVAILABLE = { kind: 'unavailable' } as const;
const RATE_LIMITED = { kind: 'rate-limited' } as const;
const BAD_TOKEN = { kind: 'bad-token' } as const;
const NOT_FOUND = { kind: 'not-found' } as const;

/**
 * Who registers, and who goes. Several processes do this on one table, so nothing is decided here that only the table can
 * know: a registration offers fresh credentials every time, and the answer is what the table has then. A change is
 * committed, then in the directory, then answered. Changes of others come by `sync`.
 *
 * In doubt (the database does not answer) the client hears that it cannot be done now. It may have been done all the
 * same: then `sync` brings it, and the client's repetition finds it. Source: spec xmpp-push, 5.3 and 6.
 */
export class XmppRegistry implements Registrations {
  readonly #turns: Turns;
  readonly #rate: TokenBuckets;
  readonly #failures: StoreFailures;
  readonly #sync: DirectorySync;

  constructor(private readonly deps: XmppRegistryDeps) {
    const { limits } = deps;
    this.#turns = new Turns({ max: limits.maxWaiting, maxPerName: limits.maxWaitingPerDevice });
    const perMinute = limits.requestsPerMinutePerDomain;
    this.#rate = new TokenBuckets({
      burst: perMinute,
      perHour: perMinute * MINUTES_PER_HOUR,
      maxKeys: limits.maxCountedDomains,
    });
    this.#failures = new StoreFailures(deps);
    this.#sync = new DirectorySync({ ...deps, failures: this.#failures });
  }

  /** Requests that wait or are under way. */
  get waiting(): number {
    return this.#turns.count;
  }

  /** Fills the directory from the table; how many devices. Rejects as the store does; may be tried again then. */
  async load(): Promise<number> {
    const { secrets, log } = this.deps;
    const seen = { devices: 0, unreadable: 0 };
    const count = await this.#sync.load(({ device: { key, sealedSecret } }) => {
      if (seen.devices >= SECRETS_TRIED) return;
      seen.devices += 1;
      if (secrets.open(sealedSecret, keyText(key)) === null) seen.unreadable += 1;
    });
    if (seen.unreadable > 0) {
      log.error(
        seen,
        'secrets of XMPP devices were sealed with another key than keys.registrations: whoever registers again gets a new ' +
          'one, and servers that still have the old one end their registrations',
      );
    }
    return count;
  }

  register(target: DeviceTarget, token: string): Promise<RegisterOutcome> {
    const type = this.deps.types.get(typeNameOf(target));
    if (type === undefined || type.notifierType === null) return Promise.resolve({ kind: 'unknown-type' });
    const key = keyOfTarget(target);
    if ((key.kind === 'v1' && !isNode(key.node)) || !isTokenText(token)) return Promise.resolve(BAD_TOKEN);
    return this.#inTurn('register', key, target.accountDomain, async (): Promise<RegisterOutcome> => {
      const device = await this.deps.validate(type, token);
      if (device === null) return BAD_TOKEN;
      const refusal = this.#refusalOf(key, device, target.accountDomain);
      return refusal ?? this.#write(key, type, device, target.accountDomain);
    });
  }

  unregister(target: DeviceTarget): Promise<UnregisterOutcome> {
    const type = typeNameOf(target);
    const key = keyOfTarget(target);
    if (!isTypeName(type) || (key.kind === 'v1' && !isNode(key.node))) return Promise.resolve(NOT_FOUND);
    return this.#inTurn('unregister', key, target.accountDomain, async (): Promise<UnregisterOutcome> => {
      const { clock, secrets } = this.deps;
      const removed = await this.#change('unregister', {
        kind: 'unregister',
        key,
        type,
        nowMs: clock.nowMs(),
      });
      if (removed === null) return NOT_FOUND;
      return { kind: 'unregistered', secret: secrets.open(removed.device.sealedSecret, keyText(key)) };
    });
  }

  /**
   * Takes over what other processes changed, until there is nothing more. A call during another one waits for that. Never
   * rejects: while the database is away nothing changes, and the next call goes on.
   */
  sync(): Promise<void> {
    return this.#sync.sync();
  }

  /** Asks the table for what it has of these nodes, and takes it over. Rejects as the store does. */
  async lookUp(nodes: readonly string[]): Promise<void> {
    await this.#sync.lookUp(nodes);
  }

  /** Who lives as long as this token of this service: devices of several types may. */
  holdersOf(service: ServiceName, token: ServiceId): readonly XmppTokenHolder[] {
    return this.deps.directory
      .byToken(token)
      .filter(({ type }) => this.deps.types.get(type)?.service === service)
      .map((device) => ({ tokenDied: (sinceMs) => this.#tokenDied(device, sinceMs) }));
  }

  countOf(service: ServiceName): number {
    let count = 0;
    for (const type of this.deps.types.values()) {
      if (type.service === service) count += this.deps.directory.countOf(type.name);
    }
    return count;
  }

  /** Brings back what a provider called dead. False: there is nothing to bring back. Rejects as the store does. */
  async restore(key: DeviceKey): Promise<boolean> {
    const stored = await this.#change('restore', { kind: 'restore', key });
    if (stored !== null) this.deps.report.restored();
    return stored !== null;
  }

  /** What became of a push: in memory at once, in the table by `flushNotes`. */
  note(key: DeviceKey, fate: PushFate, nowMs: number): void {
    const what = noteOf(fate);
    if (what !== null) this.deps.directory.note(key, what, nowMs);
  }

  /** Writes the notes of all pushes until now, page by page. A call during another one waits for that. Never rejects. */
  flushNotes(): Promise<void> {
    return this.#sync.flushNotes();
  }

  /** Nothing more is taken; resolves when what was is done, and the notes are written if they can be. */
  async close(): Promise<void> {
    const wasOpen = this.#sync.isOpen;
    await this.#sync.close();
    await this.#turns.idle();
    if (wasOpen) await this.#sync.flushNotes();
  }

  /** Bounded in number and in time, and one after the other for each device: what comes in one packet has an order. */
  async #inTurn<Answer>(
    use: StoreUse,
    key: DeviceKey,
    domain: string | null,
    work: () => Promise<Answer>,
  ): Promise<Answer | typeof UNAVAILABLE | typeof RATE_LIMITED> {
    const { clock, limits } = this.deps;
    if (!this.#sync.isOpen) return UNAVAILABLE;
    if (domain !== null && !this.#rate.take(domain, clock.nowMs())) return RATE_LIMITED;
    const running = this.#turns.take(keyText(key), work);
    if (running === null) return UNAVAILABLE;
    const settled = running.catch((error: unknown) => {
      this.#failures.log(use, error);
      return UNAVAILABLE;
    });
    return inTime<Answer | typeof UNAVAILABLE>(settled, limits.writePatienceMs, UNAVAILABLE);
  }

  /** Null: there is room for it. */
  #refusalOf(key: DeviceKey, device: Device, domain: string | null): RegisterOutcome | null {
    const { directory, limits } = this.deps;
    const known = directory.byKey(key);
    if (directory.bytes >= limits.maxDirectoryBytes) {
      const before = known === null ? 0 : bytesOfToken(known.token, known.serviceData);
      if (bytesOfToken(device.serviceId, device.serviceData) > before) return UNAVAILABLE;
    }
    if (known !== null) return null;
    if (directory.size >= limits.maxDevices) return UNAVAILABLE;
    return domain !== null && directory.countOfDomain(domain) >= limits.maxDevicesPerDomain
      ? RATE_LIMITED
      : null;
  }

  async #write(
    key: DeviceKey,
    type: DeviceType,
    device: Device,
    accountDomain: string | null,
  ): Promise<RegisterOutcome> {
    const { randomBytes, secrets, clock, report } = this.deps;
    const isV1 = key.kind === 'v1';
    const context = keyText(key);
    const fresh = isV1 ? newV1Secret(randomBytes) : newP2Secret(randomBytes);
    const offer: DeviceOffer = {
      key,
      node: isV1 ? key.node : newP2Node(randomBytes),
      type: type.name,
      token: device.serviceId,
      serviceData: device.serviceData,
      secretHash: secretHashOf(fresh),
      sealedSecret: secrets.seal(fresh, context),
      accountDomain,
    };
    for (const replacesSecret of [false, true]) {
      const nowMs = clock.nowMs();
      const stored = await this.#change('register', { kind: 'register', offer, replacesSecret, nowMs });
      const secret = stored === null ? null : secrets.open(stored.device.sealedSecret, context);
      if (stored === null || secret === null) continue;
      if (replacesSecret) report.secretReplaced();
      return { kind: 'registered', node: stored.device.node, secret };
    }
    throw new Error('what was just registered cannot be read');
  }

  /** Answered null, it may have gone another way, such as by another process: the table says. */
  async #tokenDied({ key, node, token }: KnownDevice, sinceMs: number): Promise<boolean> {
    const { clock, directory, report } = this.deps;
    const nowMs = clock.nowMs();
    const removed = await this.#change('token-died', { kind: 'token-died', key, token, sinceMs, nowMs });
    if (removed !== null) {
      report.died();
      return true;
    }
    const rows = await this.#sync.lookUp([node], 'token-died');
    const id = keyText(key);
    if (rows.some(({ device }) => keyText(device.key) === id)) return false;
    directory.dropUnseen(key);
    return true;
  }

  async #change(use: StoreUse, change: DeviceChange): Promise<StoredDevice | null> {
    const { store, directory } = this.deps;
    const stored = await this.#failures.counted(use, () => store.change(change));
    if (stored !== null) directory.apply(stored);
    return stored;
  }
}

const typeNameOf = (target: DeviceTarget): string => (target.kind === 'v1' ? target.type : target.service);

const keyOfTarget = (target: DeviceTarget): DeviceKey =>
  target.kind === 'v1'
    ? { kind: 'v1', node: target.node }
    : { kind: 'p2', device: target.device, channel: target.channel };

/** Null: nothing was sent, or the device has gone. */
function noteOf(fate: PushFate): 'push' | 'error' | null {
  switch (fate) {
    case 'delivered':
      return 'push';
    case 'token-kept':
    case 'given-up':
    case 'expired':
    case 'no-notifier':
    case 'lost':
      return 'error';
    case 'stored':
    case 'superseded':
    case 'dead-token':
      return null;
  }
}
