import {
  CHANNEL_URI_MAX_LENGTH,
  deviceOfChannel,
  parseChannelUri,
  type ChannelUri,
} from '../codec/wns-channel-uri.js';
import type { Device } from '../domain/device.js';
import { parseServiceId, SERVICE_ID_MAX_BYTES, type ServiceId } from '../domain/ids.js';

/** Channels that are too long to be a service id; Microsoft gives out none, so few have to be remembered. */
const MAX_LONG_CHANNELS = 1_000;

/**
 * Channels as devices of the notifier. The service id is the channel itself, where other clients of the notifier have
 * its hash: what the provider calls dead is a service id, also one that has waited in the outbox over a restart, and
 * from a hash nobody finds back to the channel.
 */
export class ChannelDevices {
  readonly #longChannels = new Map<ServiceId, ChannelUri>();

  deviceOf(channel: ChannelUri): Device {
    const serviceId = channel.length <= SERVICE_ID_MAX_BYTES ? parseServiceId(channel) : null;
    if (serviceId !== null) return { serviceId, serviceData: Buffer.from(channel) };
    const device = deviceOfChannel(channel);
    this.#remember(device.serviceId, channel);
    return device;
  }

  /** Null: not a device of ours, or one with a channel of unheard-of length that is forgotten. */
  channelOf(serviceId: ServiceId): ChannelUri | null {
    if (serviceId.length > CHANNEL_URI_MAX_LENGTH) return null;
    return parseChannelUri(serviceId) ?? this.#longChannels.get(serviceId) ?? null;
  }

  #remember(serviceId: ServiceId, channel: ChannelUri): void {
    this.#longChannels.delete(serviceId);
    this.#longChannels.set(serviceId, channel);
    if (this.#longChannels.size <= MAX_LONG_CHANNELS) return;
    const [oldest] = this.#longChannels.keys();
    if (oldest !== undefined) this.#longChannels.delete(oldest);
  }
}
