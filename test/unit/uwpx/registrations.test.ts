import { describe, expect, it } from 'vitest';
import type { NodeChange } from '../../../src/uwpx/account-port.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { defaultUwpxLimits, type UwpxLimits } from '../../../src/uwpx/limits.js';
import type { UwpxDeviceId } from '../../../src/uwpx/port.js';
import { Registrations } from '../../../src/uwpx/registrations.js';
import { parseRequest, type UwpxRequest } from '../../../src/uwpx/request.js';
import { MemoryUwpxStore } from '../../simulators/memory-uwpx-store.js';

const CHANNEL = 'https://db5p.notify.windows.com/?token=AwYAAABq%2bX0';
const sender = { key: '192.0.2.1', isExempt: false };

function room(limits: Partial<UwpxLimits> = {}) {
  const store = new MemoryUwpxStore();
  const clock = { ms: 0, nowMs: () => clock.ms };
  const testPush = { send: () => Promise.resolve(true) };
  const all = { ...defaultUwpxLimits, ...limits };
  const changes: NodeChange[] = [];
  const account = { nodes: { changed: (change: NodeChange) => changes.push(change) }, store };
  const registrations = new Registrations(
    { store, account, testPush, clock, randomBytes: createRandomBytes() },
    all,
  );
  function read<Kind extends UwpxRequest['kind']>(kind: Kind, message: object) {
    const request = parseRequest(Buffer.from(JSON.stringify({ version: 2, ...message })), all);
    if (!request.ok || request.value.kind !== kind) throw new Error('a message of another kind');
    return request.value as Extract<UwpxRequest, { kind: Kind }>;
  }
  return {
    store,
    changes,
    clock,
    setChannel: (device: string, from = sender) =>
      registrations.setChannel(
        read('set-channel', { action: 'set_channel_uri', device_id: device, channel_uri: CHANNEL }),
        from,
      ),
    setAccounts: (device: string, accounts: readonly object[]) =>
      registrations.setAccounts(
        read('set-accounts', { action: 'set_push_accounts', device_id: device, accounts }),
      ),
  };
}

describe('registrations', () => {
  it('answer an account as often as it was named, with the same node and secret, in both forms', async () => {
    const { setChannel, setAccounts, store } = room();
    await setChannel('d');
    const list = [{ account_id: 'a' }, { bare_jid: 'x@y.example' }, { account_id: 'a' }];
    const answer = await setAccounts('d', list);
    expect(answer.ok && answer.value.map(({ kind }) => kind)).toEqual([
      'account-id',
      'bare-jid',
      'account-id',
    ]);
    expect(answer.ok && answer.value[2]).toEqual(answer.ok && answer.value[0]);
    expect(store.devices.get('d')?.accounts.size).toBe(2);
    expect(await setAccounts('d', list)).toEqual(answer);
  });

  it('keep devices called alike, or like anything of ours, apart', async () => {
    const { setChannel, setAccounts } = room();
    for (const device of ['WNS', '__proto__', 'd', 'd_']) await setChannel(device);
    const [first, second] = await Promise.all([
      setAccounts('d', [{ account_id: '_a' }]),
      setAccounts('d_', [{ account_id: 'a' }]),
    ]);
    expect(first.ok && second.ok && first.value[0]?.stored.node === second.value[0]?.stored.node).toBe(false);
  });

  it('count a new device once it is there: not a known one, not one that could not be stored', async () => {
    const { setChannel, store } = room({ newDevicesBurst: 2, newDevicesPerHour: 1 });
    for (let turn = 0; turn < 10; turn += 1) expect(await setChannel('a')).toEqual({ ok: true, value: null });
    store.before = () => Promise.reject(new Error('away'));
    for (let turn = 0; turn < 10; turn += 1) await expect(setChannel('b')).rejects.toThrow('away');
    store.before = () => Promise.resolve();
    expect(await setChannel('b')).toMatchObject({ ok: true });
    expect(await setChannel('c')).toEqual({ ok: false, error: 'limited' });
    expect(await setChannel('c', { key: '192.0.2.2', isExempt: false })).toMatchObject({ ok: true });
    expect(await setChannel('d', { ...sender, isExempt: true })).toMatchObject({ ok: true });
  });

  it('let no more new devices in at once than one after the other', async () => {
    const { setChannel, store, clock } = room({ newDevicesBurst: 3, newDevicesPerHour: 1 });
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => setChannel(`${index}`)));
    expect(results.filter(({ ok }) => ok)).toHaveLength(3);
    expect(store.devices.size).toBe(3);
    clock.ms = 3_600_000;
    expect(await setChannel('later')).toMatchObject({ ok: true });
  });

  it('tell which nodes are new and which are gone, once it is committed', async () => {
    const { setChannel, setAccounts, changes, store } = room();
    await setChannel('d');
    await setAccounts('d', [{ account_id: 'a' }, { account_id: 'b' }]);
    const nodes = await store.nodesOf('d' as UwpxDeviceId);
    expect(changes).toEqual([{ added: expect.arrayContaining([...nodes]) as string[], removed: [] }]);
    const [a = '', b = ''] = ['a', 'b'].map((id) => store.devices.get('d')?.accounts.get(id)?.node);
    await setAccounts('d', [{ account_id: 'b' }, { account_id: 'c' }]);
    const c = store.devices.get('d')?.accounts.get('c')?.node;
    expect(changes[1]).toEqual({ added: [c], removed: [a] });
    await setAccounts('d', []);
    expect(changes[2]?.removed.toSorted()).toEqual([b, c].toSorted());
    expect(await setAccounts('nobody', [])).toEqual({ ok: false, error: 'unknown-device' });
    expect(changes).toHaveLength(3);
  });
});
