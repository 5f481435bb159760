import { secretHashOf, type SecretKeeper } from '../crypto/secret-keeper.js';
import type { Clock } from '../domain/clock.js';
import { addCounts, NOTHING, type ImportCounts } from '../store/import-counts.js';
import type { XmppDeviceImport } from '../store/xmpp-devices-import.js';
import { keyText, type DeviceKey, type XmppDevice } from '../xmpp-devices/device.js';
import type { OnProgress } from './legacy-import.js';
import { countValues, readProsodyStore, type ProsodyStore } from './prosody-store.js';
import { readPushAppserverRecord, type PushAppserverRecord } from './push-appserver-record.js';
import type { Rejections } from './rejections.js';

/** The module's name, which Prosody gives to its store. */
export const PUSH_APPSERVER_STORE = 'push_appserver';

/** Why a device of a type cannot be taken over; null: it can. */
export type JudgeToken = (type: string, token: string) => 'bad-type' | 'bad-token' | 'address-type' | null;

export interface PushAppserverImportDeps {
  readonly stores: readonly ProsodyStore[];
  /** Null: there is no database yet, so everything would be new. */
  readonly target: Pick<XmppDeviceImport, 'devices'> | null;
  readonly secrets: Pick<SecretKeeper, 'seal'>;
  readonly judgeToken: JudgeToken;
  readonly rejections: Rejections;
  readonly clock: Clock;
  readonly pageRows: number;
  readonly onProgress: OnProgress;
}

export interface PushAppserverReport {
  /** Those that could be taken over. */
  readonly taken: number;
  readonly devices: ImportCounts;
  readonly byType: ReadonlyMap<string, number>;
}

/**
 * Copies store by store and page by page; each page is committed by itself, and all of them may be copied again. Of two
 * hosts that have a device with one node, the one that was registered later counts. Throws `StoreUnreadable`.
 */
export async function importPushAppserver(deps: PushAppserverImportDeps): Promise<PushAppserverReport> {
  const { stores, target, pageRows, onProgress } = deps;
  let all = 0;
  for (const store of stores) all += await countValues(store);
  const byType = new Map<string, number>();
  let [read, taken] = [0, 0];
  let counts = NOTHING;
  for (const store of stores) {
    // By node: a directory that is written to may list a file twice.
    const page = new Map<string, XmppDevice>();
    const write = async (): Promise<void> => {
      const devices = [...page.values()];
      page.clear();
      const added = { ...NOTHING, added: devices.length };
      counts = addCounts(counts, target === null ? added : await target.devices(devices));
      taken += devices.length;
      for (const { type } of devices) byType.set(type, (byType.get(type) ?? 0) + 1);
      onProgress('devices', read, all);
    };
    for await (const device of devicesIn(store, deps, () => (read += 1))) {
      page.set(device.node, device);
      if (page.size === pageRows) await write();
    }
    if (page.size > 0) await write();
  }
  return { taken, devices: counts, byType };
}

async function* devicesIn(
  store: ProsodyStore,
  { secrets, judgeToken, rejections, clock }: PushAppserverImportDeps,
  onRead: () => void,
): AsyncGenerator<XmppDevice> {
  for await (const { inode, content } of readProsodyStore(store)) {
    onRead();
    const reject = (reason: string): void => rejections.add(store.host, PUSH_APPSERVER_STORE, inode, reason);
    if (!content.ok) {
      reject(content.error);
      continue;
    }
    const { key, value } = content.value;
    const record = readPushAppserverRecord(key, value, clock.nowMs());
    const fault = record.ok ? judgeToken(record.value.type, record.value.token) : record.error;
    if (record.ok && fault === null) yield deviceOf(record.value, secrets);
    else reject(fault ?? 'no-record');
  }
}

/** Users' servers go on publishing with the secret that they have. */
function deviceOf(record: PushAppserverRecord, secrets: Pick<SecretKeeper, 'seal'>): XmppDevice {
  const { secret, ...fields } = record;
  const key: DeviceKey = { kind: 'v1', node: record.node };
  return {
    ...fields,
    key,
    serviceData: null,
    secretHash: secretHashOf(secret),
    sealedSecret: secrets.seal(secret, keyText(key)),
    accountDomain: null,
  };
}
