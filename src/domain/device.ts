import type { ServiceId } from './ids.js';

/** Where a push goes, within one service. */
export interface Device {
  readonly serviceId: ServiceId;
  readonly serviceData: Buffer | null;
}
