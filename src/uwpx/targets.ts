import type { Clock } from '../domain/clock.js';
import type { Device } from '../domain/device.js';
import type { ServiceName } from '../domain/ids.js';
import type { PublishOutcome, PublishSummary, PublishTarget, TargetSource, Wake } from '../domain/publish.js';
import type { PushFate } from '../domain/push.js';
import { Activity, defaultActivityLimits, type ActivityLimits } from './activity.js';
import type { ChannelDevices } from './channel-device.js';
import { defaultNodeLookUpLimits, NodeLookUps, type NodeLookUpLimits } from './node-look-ups.js';
import type { UwpxPushStore, UwpxTargetRecord } from './port.js';
import { pushBody } from './push-body.js';
import { rawWake } from './raw-wake.js';

export interface UwpxTargetsDeps {
  readonly store: Pick<UwpxPushStore, 'findTargets' | 'noteActive'>;
  readonly channels: ChannelDevices;
  readonly clock: Clock;
}

export interface UwpxTargetsOptions {
  /** Of the notifier (type `wns`) that wakes them. */
  readonly service: ServiceName;
  /** A push is of no use afterwards. */
  readonly lifetimeMs: number;
  /**
   * Accounts whose domain the client told (first generation) may only be published to from there. The original knows no
   * such rule.
   */
  readonly bindDomain: boolean;
  readonly lookUps: NodeLookUpLimits;
  readonly activity: ActivityLimits;
}

export const defaultUwpxTargetsOptions = {
  bindDomain: false,
  lookUps: defaultNodeLookUpLimits,
  activity: defaultActivityLimits,
} as const satisfies Partial<UwpxTargetsOptions>;

/** What we have given out, and what was imported (base64url). Anything else need not be looked up. */
const node = /^[0-9A-Za-z_=-]{1,1024}$/;

const HOUR_MS = 3_600_000;
/** A device that lost its channel is given so long to bring a new one before its server hears that it is gone. */
const PATIENCE_MS = HOUR_MS;
/** A channel lives for 30 days: a device that is in use has shown itself at least once in that time. */
const IN_USE_MS = 30 * 24 * HOUR_MS;

const FAILED: PublishOutcome = { kind: 'failed', text: null };
const UNKNOWN: PublishOutcome = { kind: 'unknown' };

/**
 * Accounts of UWPX devices as what publishes are for. They are few and quick to find, so none is kept in memory: every
 * publish asks the database, many of them in one query.
 */
export class UwpxTargets implements TargetSource {
  readonly #lookUps: NodeLookUps;
  readonly #activity: Activity;

  constructor(
    private readonly deps: UwpxTargetsDeps,
    private readonly options: UwpxTargetsOptions,
  ) {
    const { store } = deps;
    this.#lookUps = new NodeLookUps((nodes) => store.findTargets(nodes), options.lookUps);
    this.#activity = new Activity(store, options.activity);
  }

  find(): readonly PublishTarget[] {
    return [];
  }

  /** Rejects while the database is away or slow, and when too many wait for it. */
  async lookUp(text: string): Promise<readonly PublishTarget[]> {
    if (!node.test(text)) return [];
    const record = await this.#lookUps.of(text);
    return record === null ? [] : [this.#targetOf(record)];
  }

  /** Writes down which devices took pushes; to be called now and then, and at the end. Rejects as the store does. */
  flush(): Promise<void> {
    return this.#activity.flush(this.deps.clock.nowMs());
  }

  #targetOf(record: UwpxTargetRecord): PublishTarget {
    const { channelUri } = record;
    const device = channelUri === null ? null : this.deps.channels.deviceOf(channelUri);
    return new UwpxTarget(record, device, this.options, this.#activity);
  }
}

class UwpxTarget implements PublishTarget {
  readonly key: string;
  readonly domain: string | null;
  readonly service: ServiceName;

  constructor(
    private readonly record: UwpxTargetRecord,
    readonly device: Device | null,
    private readonly options: UwpxTargetsOptions,
    private readonly activity: Activity,
  ) {
    // No id has a NUL in it.
    this.key = `uwpx\0${record.deviceId}\0${record.accountId}`;
    this.domain = options.bindDomain ? (record.domain?.toLowerCase() ?? null) : null;
    this.service = options.service;
  }

  get secretHash(): Buffer {
    return this.record.secretHash;
  }

  /** The app has nothing to show before it was woken: a raw notification that waits for the charger is of no use. */
  compose(summary: PublishSummary): Wake {
    const { protocolVersion, accountId } = this.record;
    return {
      urgency: 'high',
      content: rawWake(pushBody(protocolVersion, accountId, summary)),
      priority: 'high',
      lifetimeMs: this.options.lifetimeMs,
    };
  }

  /**
   * An error ends the registration at the user's server, and UWPX comes back to that by itself only when its list of
   * accounts changes. So a device that is in use gets an hour to bring its new channel. Source: spec uwpx-push, 6.4.
   */
  whenGone(nowMs: number): PublishOutcome {
    const { channelUri, channelLostAtMs, activeAtMs } = this.record;
    if (channelUri !== null || channelLostAtMs === null) return FAILED; // it has died just now
    const isExpected = nowMs - channelLostAtMs < PATIENCE_MS && channelLostAtMs - activeAtMs < IN_USE_MS;
    return isExpected ? FAILED : UNKNOWN;
  }

  note(fate: PushFate, nowMs: number): void {
    if (fate === 'delivered') this.activity.note(this.record.deviceId, this.record.activeAtMs, nowMs);
  }
}
