import { parseAnyServiceId, parseServiceName, type ServiceId, type ServiceName } from '../domain/ids.js';
import type { Push, PushContent, PushPriority } from '../domain/push.js';
import {
  bigintArray,
  booleanArray,
  byteaArray,
  integerArray,
  textArray,
  uuidArray,
} from '../store/binary-arrays.js';
import {
  bytesCell,
  nullableBytesCell,
  numberCell,
  textCell,
  type Parameter,
  type Row,
} from '../store/statement.js';

/** A push on its way into the table, with buffers of its own. */
export interface WaitingRow {
  readonly id: Buffer;
  readonly service: ServiceName;
  readonly serviceId: ServiceId;
  readonly account: Buffer;
  readonly serviceData: Buffer | null;
  readonly dedupeKey: Buffer;
  readonly payload: Buffer;
  readonly contentKind: string;
  readonly priority: PushPriority;
  readonly expiresAtMs: number;
  readonly receivedAtMs: number;
  readonly attempts: number;
  readonly dueAtMs: number;
  /** Claimed by us from the first moment. */
  readonly claimed: boolean;
  /** What it takes of our memory, about. */
  readonly bytes: number;
  readonly onStored: (() => void) | null;
  readonly onLost: (() => void) | null;
}

/** Who claims the rows of an insert that are claimed, and for how long. */
export interface FirstClaim {
  readonly instanceId: string;
  readonly leaseMs: number;
}

/** Objects and bookkeeping of one waiting row. */
const OVERHEAD_BYTES = 500;

/** What the row of this push will weigh. */
export function weightOf({ account, device, content, dedupeKey }: Push): number {
  const data = account.length + dedupeKey.length + content.payload.length + (device.serviceData?.length ?? 0);
  return data + 2 * device.serviceId.length + OVERHEAD_BYTES;
}

/**
 * A copy: the buffers of a push are often views into a frame or a slab many times their size. Not of what many pushes
 * share: an older client's message, one buffer for all pushes of its notice, and a call to wake up.
 */
const ownPayload = ({ kind, payload }: PushContent): Buffer =>
  kind === 'legacy' || kind === 'wake' ? payload : Buffer.from(payload);

/** For the table, with copies of the push's buffers: see `ownPayload`. */
export function waitingRow(
  push: Push,
  { id, dueAtMs, ...rest }: Pick<WaitingRow, 'id' | 'dueAtMs' | 'claimed' | 'onStored' | 'onLost'>,
): WaitingRow {
  const { device } = push;
  return {
    id,
    service: push.service,
    serviceId: device.serviceId,
    account: Buffer.from(push.account),
    serviceData: device.serviceData === null ? null : Buffer.from(device.serviceData),
    dedupeKey: Buffer.from(push.dedupeKey),
    payload: ownPayload(push.content),
    contentKind: push.content.kind,
    priority: push.priority,
    expiresAtMs: Math.floor(push.expiresAtMs),
    receivedAtMs: Math.floor(push.receivedAtMs),
    attempts: push.attempts,
    dueAtMs: Math.floor(dueAtMs),
    bytes: weightOf(push),
    ...rest,
  };
}

/** For `insertRows`. */
export function insertParameters(
  rows: readonly WaitingRow[],
  { instanceId, leaseMs }: FirstClaim,
): Parameter[] {
  return [
    uuidArray(rows.map(({ id }) => id)),
    textArray(rows.map(({ service }) => service)),
    byteaArray(rows.map(({ account }) => account)),
    textArray(rows.map(({ serviceId }) => serviceId)),
    byteaArray(rows.map(({ serviceData }) => serviceData)),
    byteaArray(rows.map(({ payload }) => payload)),
    textArray(rows.map(({ contentKind }) => contentKind)),
    textArray(rows.map(({ priority }) => priority)),
    bigintArray(rows.map(({ expiresAtMs }) => expiresAtMs)),
    byteaArray(rows.map(({ dedupeKey }) => dedupeKey)),
    bigintArray(rows.map(({ receivedAtMs }) => receivedAtMs)),
    integerArray(rows.map(({ attempts }) => attempts)),
    bigintArray(rows.map(({ dueAtMs }) => dueAtMs)),
    booleanArray(rows.map(({ claimed }) => claimed)),
    instanceId,
    Math.floor(leaseMs),
  ];
}

/** A row of `claimRows`; null when it is not one that this program can send (written by a newer one). */
export function pushOfRow(row: Row): Push | null {
  const service = parseServiceName(textCell(row, 1));
  const serviceId = parseAnyServiceId(textCell(row, 3));
  const content = parseContent(textCell(row, 6), bytesCell(row, 5));
  const priority = parsePriority(textCell(row, 7));
  if (service === null || serviceId === null || content === null || priority === null) return null;
  return {
    service,
    account: bytesCell(row, 2),
    device: { serviceId, serviceData: nullableBytesCell(row, 4) },
    content,
    priority,
    expiresAtMs: numberCell(row, 8),
    dedupeKey: bytesCell(row, 9),
    receivedAtMs: numberCell(row, 10),
    attempts: numberCell(row, 11),
    outboxId: textCell(row, 0),
  };
}

const parseContent = (kind: string, payload: Buffer): PushContent | null =>
  kind === 'sealed' || kind === 'unsealed' || kind === 'legacy' || kind === 'wake' ? { kind, payload } : null;

const parsePriority = (text: string): PushPriority | null =>
  text === 'high' || text === 'normal' ? text : null;
