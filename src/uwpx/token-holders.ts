import type { Clock } from '../domain/clock.js';
import type { ServiceId, ServiceName } from '../domain/ids.js';
import type { ChannelDevices } from './channel-device.js';
import type { UwpxPushStore } from './port.js';

/** What lives as long as a channel: the devices that have it. */
export interface ChannelHolder {
  /** Whether a device has lost the channel now: not one that set it at `sinceMs` or later (unix milliseconds). */
  tokenDied(sinceMs: number): Promise<boolean>;
}

/** The devices of UWPX, for whoever removes what a provider calls dead. */
export class UwpxTokenHolders {
  readonly withoutProof = 'clients of XMPP servers';
  #devices = 0;

  constructor(
    private readonly deps: {
      readonly store: Pick<UwpxPushStore, 'channelDied' | 'countDevices'>;
      readonly channels: ChannelDevices;
      readonly service: ServiceName;
      readonly clock: Clock;
    },
  ) {}

  holdersOf(service: ServiceName, serviceId: ServiceId): readonly ChannelHolder[] {
    const { store, channels, clock } = this.deps;
    const channelUri = service === this.deps.service ? channels.channelOf(serviceId) : null;
    if (channelUri === null) return [];
    return [
      {
        tokenDied: async (sinceMs) =>
          (await store.channelDied({ channelUri, sinceMs, nowMs: clock.nowMs() })) > 0,
      },
    ];
  }

  /** How many devices there were at the last `refresh`. */
  countOf(service: ServiceName): number {
    return service === this.deps.service ? this.#devices : 0;
  }

  /** To be called at the start and now and then. Rejects as the store does. */
  async refresh(): Promise<void> {
    this.#devices = await this.deps.store.countDevices();
  }
}
