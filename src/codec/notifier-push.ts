import type { SwarmNotice } from '../domain/notice.js';
import type { Device } from '../domain/device.js';

/** For whom the notice is: one matched device. */
export interface NotifierPushTarget {
  readonly service: string;
  readonly device: Device;
  /** 32 bytes. */
  readonly encryptionKey: Buffer;
  readonly wantData: boolean;
}

/**
 * The dict of `notifier.push`, from which an external notifier makes and seals the payload itself: byte for byte what
 * the original sends it, keys in ascending order. The namespace is the true number, also where it is negative.
 * Source: spec session-push-v2, 8.3.
 */
export function encodeNotifierPush(notice: SwarmNotice, target: NotifierPushTarget): Buffer {
  const { service, device, encryptionKey, wantData } = target;
  const chunks: Buffer[] = [
    text(`d0:${Buffer.byteLength(service)}:${service}`),
    ...(device.serviceData === null ? [] : [text('1:!'), ...bytes(device.serviceData)]),
    text('1:#'),
    ...bytes(notice.hash),
    text(`1:&${Buffer.byteLength(device.serviceId)}:${device.serviceId}1:@`),
    ...bytes(notice.account),
    text('1:^'),
    ...bytes(encryptionKey),
    text(`1:ni${notice.namespace}e1:ti${notice.timestampMs}e1:zi${notice.expiryMs}e`),
    ...(wantData && notice.data !== null ? [text('1:~'), ...bytes(notice.data)] : []),
    text('e'),
  ];
  return Buffer.concat(chunks);
}

const text = (value: string): Buffer => Buffer.from(value);

const bytes = (value: Buffer): [Buffer, Buffer] => [text(`${value.length}:`), value];
