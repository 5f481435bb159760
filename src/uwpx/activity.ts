import type { UwpxDeviceId, UwpxPushStore } from './port.js';

export interface ActivityLimits {
  /** Devices that wait to be written down; for further ones the next delivered push tells. */
  readonly maxRemembered: number;
  readonly devicesPerWrite: number;
}

export const defaultActivityLimits: ActivityLimits = { maxRemembered: 100_000, devicesPerWrite: 1_000 };

const DAY_MS = 86_400_000;

/**
 * Signs of life of devices: collected in memory, and one write for many. Nobody asks for the hour (it is counted in
 * days), so a device is written down once a day at most, and what a crash loses is told by the next push.
 */
export class Activity {
  readonly #active = new Set<UwpxDeviceId>();

  constructor(
    private readonly store: Pick<UwpxPushStore, 'noteActive'>,
    private readonly limits: ActivityLimits,
  ) {}

  /** Devices that wait to be written down. */
  get size(): number {
    return this.#active.size;
  }

  /** `knownActiveAtMs`: what the database has. */
  note(deviceId: UwpxDeviceId, knownActiveAtMs: number, nowMs: number): void {
    if (nowMs - knownActiveAtMs < DAY_MS || this.#active.size >= this.limits.maxRemembered) return;
    this.#active.add(deviceId);
  }

  /** Rejects as the store does; what was not written waits for the next time. */
  async flush(nowMs: number): Promise<void> {
    const devices = [...this.#active];
    for (let start = 0; start < devices.length; start += this.limits.devicesPerWrite) {
      const slice = devices.slice(start, start + this.limits.devicesPerWrite);
      await this.store.noteActive(slice, nowMs);
      for (const deviceId of slice) this.#active.delete(deviceId);
    }
  }
}
