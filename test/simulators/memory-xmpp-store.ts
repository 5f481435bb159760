import type { ServiceId } from '../../src/domain/ids.js';
import {
  FORGOTTEN_TOKEN,
  keyText,
  type DeviceKey,
  type RemovalReason,
  type StoredDevice,
  type XmppDevice,
} from '../../src/xmpp-devices/device.js';
import type {
  DeadDevicesFilter,
  DeviceChange,
  DeviceOffer,
  PushNote,
  XmppDeviceStore,
} from '../../src/xmpp-devices/port.js';

interface Row {
  readonly device: XmppDevice;
  readonly revision: number;
  readonly removed: RemovalReason | null;
  /** Unix milliseconds. */
  readonly removedAtMs: number | null;
}

/** What a call does instead of succeeding. */
export interface StoreFault {
  readonly error: Error;
  /** Whether a change took place all the same, as when the connection breaks before the answer. */
  readonly tookPlace?: boolean;
}

/** As `StoreUnavailable` of src/store looks from the room of devices. */
export const storeUnavailable = (): Error =>
  Object.assign(new Error('the database is not available: unreachable'), { name: 'StoreUnavailable' });

/** The table of XMPP users' devices in memory, by the rules of the port; several registries may share it. */
export class MemoryXmppStore implements XmppDeviceStore {
  readonly #rows = new Map<string, Row>();
  readonly #tails = new Map<string, Promise<unknown>>();
  #revision = 0;
  /** Every call in its order: its name, and what it was asked. */
  readonly calls: { readonly name: string; readonly asked: unknown }[] = [];
  /** What every call waits for: once before it takes place, once more before it is answered. */
  pace: (name: string) => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));
  /** While it is there every call fails. */
  fault: StoreFault | null = null;
  /** A fault for one call each, before `fault`. */
  readonly faults: StoreFault[] = [];
  pageRows = 3;

  change(change: DeviceChange): Promise<StoredDevice | null> {
    const id = keyText(change.kind === 'register' ? change.offer.key : change.key);
    const answer = (this.#tails.get(id) ?? Promise.resolve()).then(() =>
      this.#call(change.kind, change, () => this.#apply(id, change)),
    );
    const tail = answer.catch(() => undefined);
    this.#tails.set(id, tail);
    return answer;
  }

  async load(visit: (page: readonly StoredDevice[]) => void): Promise<number> {
    const revision = await this.#call('load', null, () => this.#revision);
    const ids = [...this.#rows.keys()];
    for (let start = 0; start < ids.length; start += this.pageRows) {
      const page = await this.#call('page', start, () =>
        ids.slice(start, start + this.pageRows).flatMap((id) => {
          const row = this.#rows.get(id);
          return row === undefined || row.removed !== null ? [] : [stored(row)];
        }),
      );
      visit(page);
    }
    return revision;
  }

  changesSince(revision: number, limit: number): Promise<readonly StoredDevice[]> {
    return this.#call('changes', { revision, limit }, () =>
      [...this.#rows.values()]
        .filter((row) => row.revision > revision)
        .sort((a, b) => a.revision - b.revision)
        .slice(0, limit)
        .map(stored),
    );
  }

  find(nodes: readonly string[]): Promise<readonly StoredDevice[]> {
    return this.#call('find', nodes, () =>
      [...this.#rows.values()]
        .filter(({ device, removed }) => removed === null && nodes.includes(device.node))
        .map(stored),
    );
  }

  drawnRevision(): Promise<number> {
    return this.#call('drawn', null, () => this.#revision);
  }

  note(notes: readonly PushNote[]): Promise<void> {
    return this.#call('note', notes, () => {
      for (const { key, lastPushAtMs, lastErrorAtMs } of notes) {
        const row = this.#rows.get(keyText(key));
        if (row === undefined) continue;
        const device = {
          ...row.device,
          lastPushAtMs: later(row.device.lastPushAtMs, lastPushAtMs),
          lastErrorAtMs: later(row.device.lastErrorAtMs, lastErrorAtMs),
        };
        this.#rows.set(keyText(key), { ...row, device });
      }
    });
  }

  countDead(filter: DeadDevicesFilter): Promise<ReadonlyMap<string, number>> {
    return this.#call('count-dead', filter, () => {
      const counts = new Map<string, number>();
      for (const { type } of this.#deadOf(filter)) counts.set(type, (counts.get(type) ?? 0) + 1);
      return counts;
    });
  }

  dead(filter: DeadDevicesFilter, limit: number): Promise<readonly DeviceKey[]> {
    return this.#call('dead', filter, () =>
      this.#deadOf(filter)
        .slice(0, limit)
        .map(({ key }) => key),
    );
  }

  dropRemoved(reason: RemovalReason, beforeMs: number): Promise<number> {
    return this.#call('drop', beforeMs, () => {
      let dropped = 0;
      for (const [id, { removedAtMs, removed }] of this.#rows) {
        if (removed === reason && removedAtMs !== null && removedAtMs < beforeMs && this.#rows.delete(id))
          dropped += 1;
      }
      return dropped;
    });
  }

  /** For later: makes the table what it is now, as a standby does that had not heard of the last changes. */
  backUp(): () => void {
    const rows = [...this.#rows];
    const revision = this.#revision;
    return () => {
      this.#rows.clear();
      for (const [id, row] of rows) this.#rows.set(id, row);
      this.#revision = revision;
    };
  }

  /** What lives, as it is now. */
  living(): StoredDevice[] {
    return [...this.#rows.values()].filter(({ removed }) => removed === null).map(stored);
  }

  async #call<Answer>(name: string, asked: unknown, act: () => Answer): Promise<Answer> {
    this.calls.push({ name, asked });
    await this.pace(name);
    const fault = this.faults.shift() ?? this.fault;
    if (fault !== null && fault.tookPlace !== true) throw fault.error;
    const answer = act();
    await this.pace(name);
    if (fault !== null) throw fault.error;
    return answer;
  }

  #apply(id: string, change: DeviceChange): StoredDevice | null {
    const row = this.#rows.get(id);
    switch (change.kind) {
      case 'register': {
        const { offer, replacesSecret, nowMs } = change;
        const keeps = row?.device.type === offer.type && row.removed !== 'unregistered';
        const device = keeps
          ? renewed(row.device, offer, replacesSecret, nowMs)
          : { ...offer, registeredAtMs: nowMs, renewedAtMs: null, lastPushAtMs: null, lastErrorAtMs: null };
        return this.#put(id, device, null, null);
      }
      case 'unregister':
        return row?.removed === null && row.device.type === change.type
          ? this.#put(id, forgotten(row.device), 'unregistered', change.nowMs)
          : null;
      case 'token-died': {
        if (row?.removed !== null || row.device.token !== change.token) return null;
        const { renewedAtMs, registeredAtMs } = row.device;
        return (renewedAtMs ?? registeredAtMs) < change.sinceMs
          ? this.#put(id, row.device, 'dead', change.nowMs)
          : null;
      }
      case 'restore':
        return row?.removed === 'dead' ? this.#put(id, row.device, null, null) : null;
    }
  }

  #put(
    id: string,
    device: XmppDevice,
    removed: RemovalReason | null,
    removedAtMs: number | null,
  ): StoredDevice {
    this.#revision += 1;
    const row = { device, revision: this.#revision, removed, removedAtMs };
    this.#rows.set(id, row);
    return stored(row);
  }

  /** Oldest first. */
  #deadOf({ types, sinceMs }: DeadDevicesFilter): XmppDevice[] {
    return [...this.#rows.values()]
      .filter(({ removed, removedAtMs }) => removed === 'dead' && (removedAtMs ?? 0) >= sinceMs)
      .sort((a, b) => (a.removedAtMs ?? 0) - (b.removedAtMs ?? 0))
      .map(({ device }) => device)
      .filter(({ type }) => types === null || types.includes(type));
  }
}

const stored = ({ device, revision, removed }: Row): StoredDevice => ({ device, revision, removed });

const renewed = (
  device: XmppDevice,
  { token, serviceData, secretHash, sealedSecret, accountDomain }: DeviceOffer,
  replacesSecret: boolean,
  nowMs: number,
): XmppDevice => ({
  ...device,
  ...(replacesSecret ? { secretHash, sealedSecret } : {}),
  token,
  serviceData,
  accountDomain: device.accountDomain ?? accountDomain,
  renewedAtMs: nowMs,
});

const later = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

const forgotten = (device: XmppDevice): XmppDevice => ({
  ...device,
  token: FORGOTTEN_TOKEN as ServiceId,
  serviceData: null,
  accountDomain: null,
});
