import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { AccountId, EncryptionKey, ServiceId, ServiceName } from '../../../src/domain/ids.js';
import type { Subscription } from '../../../src/domain/subscription.js';
import { encodeMonitorEntry } from '../../../src/subscription-index/monitor-entry.js';
import { SubscriptionIndex } from '../../../src/subscription-index/subscription-index.js';
import { accountOf, bytesOf, makeSubscription, tokenOf } from '../../simulators/subscriptions.js';

interface Vectors {
  signatures: { name: string; request: Record<string, unknown> }[];
  monitor_requests: { signature_vector: string; monitor_dict_hex: string }[];
}
const vectors = JSON.parse(readFileSync('test/vectors/session-push-v2.json', 'utf8')) as Vectors;
const hex = (value: unknown): Buffer => {
  const text = value as string;
  return Buffer.from(text, /^[0-9a-f]+$/i.test(text) ? 'hex' : 'base64');
};

function entriesOf(index: SubscriptionIndex, account: Buffer, nowSeconds = 1_700_000_100): Buffer[] {
  const entries: Buffer[] = [];
  index.appendMonitorEntries(index.slotOf(account), nowSeconds, {
    append: (bytes) => entries.push(Buffer.from(bytes)),
  });
  return entries;
}

const signedAt = (subscription: Subscription, signedAtSeconds: number): Subscription => ({
  ...subscription,
  authorisation: { ...subscription.authorisation, signedAtSeconds },
});

describe('monitor entries', () => {
  it.each(vectors.monitor_requests)('are what the original sends: $signature_vector', (vector) => {
    const request = vectors.signatures.find((s) => s.name === vector.signature_vector)?.request;
    if (request === undefined) throw new Error('vector refers to nothing');
    const account = hex(request['pubkey']) as AccountId;
    const entry = encodeMonitorEntry({
      account,
      service: 'test' as ServiceName,
      serviceId: tokenOf('x'),
      serviceData: null,
      namespaces: request['namespaces'] as number[],
      wantData: request['data'] as boolean,
      encryptionKey: bytesOf('key', 32) as EncryptionKey,
      authorisation: {
        ed25519Key: account[0] === 5 ? hex(request['session_ed25519']) : null,
        subaccount:
          request['subaccount'] === undefined
            ? null
            : { tag: hex(request['subaccount']), signature: hex(request['subaccount_sig']) },
        signature: hex(request['signature']),
        signedAtSeconds: request['sig_ts'] as number,
      },
    });
    expect(entry.toString('hex')).toBe(vector.monitor_dict_hex);
  });
});

describe('a user of another network', () => {
  const account = accountOf('a', 0xbd);
  const ed25519Key = bytesOf('ed25519', 32);
  const user = (serviceId = tokenOf('x'), namespaces = [0]): Subscription => {
    const { authorisation } = makeSubscription('a');
    return makeSubscription('a', {
      account,
      serviceId,
      namespaces,
      authorisation: {
        ...authorisation,
        ed25519Key,
        subaccount: { tag: bytesOf('tag', 36), signature: bytesOf('s', 64) },
      },
    });
  };

  it('is registered by the Ed25519 key, from which the node makes the account of its network', () => {
    const entry = encodeMonitorEntry(user());
    expect(entry.includes(Buffer.concat([Buffer.from('d1:P32:'), ed25519Key]))).toBe(true);
    expect(entry.includes('1:p33:')).toBe(false);
  });

  it('is loaded, matched, merged and compared like any other', () => {
    const index = new SubscriptionIndex(1);
    const wide = user(tokenOf('x'), [0, 2]);
    const narrow = user(tokenOf('y'), [2]);
    index.startLoad();
    expect([index.load(wide), index.load(narrow)]).toEqual([true, true]);
    index.finishLoad();
    expect(index.match(account, 2)).toHaveLength(2);
    expect(entriesOf(index, account)).toEqual([encodeMonitorEntry(wide)]);
    expect(index.holds(wide)).toBe(true);
    expect(index.holds({ ...wide, authorisation: { ...wide.authorisation, ed25519Key: null } })).toBe(false);
  });
});

describe('the subscription index', () => {
  const account = accountOf('a');
  const base = makeSubscription('a');
  const device = (label: string, changes: Partial<Subscription> = {}): Subscription =>
    makeSubscription('a', { serviceId: tokenOf(label), ...changes });

  it('finds nothing for bytes that are no account', () => {
    const index = new SubscriptionIndex(1);
    index.upsert(base);
    expect(index.match(Buffer.alloc(0), 0)).toEqual([]);
    expect(index.match(Buffer.alloc(33), 0)).toEqual([]);
    expect(index.slotOf(Buffer.alloc(32))).toBe(-1);
  });

  it('keeps service ids of upper-case hex, odd length and non-ASCII as they were', () => {
    const index = new SubscriptionIndex(1);
    const ids = ['AB'.repeat(16), 'a'.repeat(33), `${'x'.repeat(31)}ü`, 'ab'.repeat(32)] as ServiceId[];
    for (const serviceId of ids) index.upsert({ ...base, serviceId });
    expect(
      index
        .match(account, 0)
        .map((m) => m.device.serviceId)
        .sort(),
    ).toEqual([...ids].sort());
  });

  it('gives service data back, told apart from none', () => {
    const index = new SubscriptionIndex(1);
    index.upsert({ ...base, serviceData: Buffer.alloc(0) });
    expect(index.match(account, 0)[0]?.device.serviceData).toEqual(Buffer.alloc(0));
    index.upsert({ ...base, serviceData: Buffer.alloc(99_999, 7) });
    expect(index.match(account, 0)[0]?.device.serviceData).toEqual(Buffer.alloc(99_999, 7));
    index.upsert(base);
    expect(index.match(account, 0)[0]?.device.serviceData).toBeNull();
  });

  it('registers equal subscriptions of several devices once, with the newest signature', () => {
    const index = new SubscriptionIndex(1);
    index.upsert(device('one'));
    const newest = signedAt(device('two'), 1_700_000_050);
    index.upsert(newest);
    index.upsert(signedAt(device('three'), 1_700_000_020));
    expect(entriesOf(index, account)).toEqual([encodeMonitorEntry(newest)]);
  });

  it('leaves out a subscription that another one covers, and brings it back when that one goes', () => {
    const index = new SubscriptionIndex(1);
    const wide = device('wide', { namespaces: [0, 2, 3] });
    const narrow = device('narrow', { namespaces: [2], wantData: false });
    expect(index.upsert(wide).monitorChanged).toBe(true);
    expect(index.upsert(narrow).monitorChanged).toBe(false);
    expect(entriesOf(index, account)).toEqual([encodeMonitorEntry(wide)]);
    expect(index.remove(wide)).toMatchObject({ kind: 'removed', monitorChanged: true });
    expect(entriesOf(index, account)).toEqual([encodeMonitorEntry(narrow)]);
  });

  it('keeps subscriptions of the account and of a subaccount apart', () => {
    const index = new SubscriptionIndex(1);
    const subaccount = { tag: bytesOf('tag', 36), signature: bytesOf('tag signature', 64) };
    const delegated = device('two', { authorisation: { ...base.authorisation, subaccount } });
    index.upsert(base);
    expect(index.upsert(delegated).monitorChanged).toBe(true);
    expect(entriesOf(index, account)).toHaveLength(2);
    const other = device('three', {
      authorisation: {
        ...base.authorisation,
        subaccount: { ...subaccount, tag: bytesOf('another tag', 36) },
      },
    });
    expect(index.upsert(other).monitorChanged).toBe(true);
    expect(entriesOf(index, account)).toHaveLength(3);
  });

  it('tells storage nodes of more namespaces or of data at once, but not of a renewal', () => {
    const index = new SubscriptionIndex(1);
    index.upsert({ ...base, wantData: false });
    expect(index.upsert(signedAt({ ...base, wantData: false }, 1_700_000_050)).monitorChanged).toBe(false);
    expect(index.upsert({ ...base, namespaces: [0, 2], wantData: false }).monitorChanged).toBe(true);
    expect(index.upsert({ ...base, namespaces: [0, 2] }).monitorChanged).toBe(true);
  });

  it('sends no expired and no rejected signature, and a fresh one again', () => {
    const index = new SubscriptionIndex(1);
    const { slot } = index.upsert(base);
    const lastSecond = base.authorisation.signedAtSeconds + 14 * 24 * 3600;
    expect(entriesOf(index, account, lastSecond - 1)).toHaveLength(1);
    expect(entriesOf(index, account, lastSecond)).toHaveLength(0);
    expect(index.isExpired(base, lastSecond)).toBe(true);
    index.rejectMonitorEntries(slot);
    expect(entriesOf(index, account)).toHaveLength(0);
    expect(index.upsert(signedAt(base, 1_700_000_050)).monitorChanged).toBe(true);
    expect(entriesOf(index, account)).toHaveLength(1);
  });

  it('lets rows read before a change not undo the change while it is loaded', () => {
    const index = new SubscriptionIndex(1);
    index.startLoad();
    const renewed = signedAt(base, 1_700_000_050);
    index.upsert(renewed);
    index.load(base);
    expect(entriesOf(index, account)).toEqual([encodeMonitorEntry(renewed)]);
    const gone = device('gone');
    index.remove(gone);
    index.load(gone);
    index.load(device('other'));
    expect(index.size).toBe(2);
    index.finishLoad();
    index.remove(gone);
    index.load(gone);
    expect(index.size).toBe(3);
  });

  it('has room for as many devices of an account as it is told, and always for those it has', () => {
    const index = new SubscriptionIndex(1);
    expect(index.hasRoomFor(base, 1)).toBe(true);
    index.upsert(base);
    expect(index.hasRoomFor(base, 1)).toBe(true);
    expect(index.hasRoomFor(device('second'), 1)).toBe(false);
    expect(index.hasRoomFor(device('second'), 2)).toBe(true);
    expect(index.hasRoomFor(makeSubscription('b'), 1)).toBe(true);
  });

  it('uses the memory of removed subscriptions again', () => {
    const index = new SubscriptionIndex(1);
    for (let round = 0; round < 20; round += 1) {
      for (let i = 0; i < 500; i += 1) index.upsert(makeSubscription(`${i}`));
      for (let i = 0; i < 500; i += 1) index.remove(makeSubscription(`${i}`));
    }
    expect(index.size).toBe(0);
    expect(index.slotLimit).toBe(500);
    expect(index.reservedBytes).toBe(1 << 20);
  });

  it.each([
    ['that want the same', () => [0]],
    ['that all want something else', (device: number) => [device]],
  ])('encodes an account of thousands of devices %s without holding anybody up', (_what, namespacesOf) => {
    const index = new SubscriptionIndex(1);
    for (let device = 0; device < 4000; device += 1) {
      index.upsert(
        makeSubscription('a', { serviceId: tokenOf(`${device}`), namespaces: namespacesOf(device) }),
      );
    }
    const startedAt = performance.now();
    index.appendMonitorEntries(0, 1_700_000_100, { append: () => undefined });
    expect(performance.now() - startedAt).toBeLessThan(300);
  });

  it('tells storage nodes at once of a subscription that only one with an expired signature covers', () => {
    const index = new SubscriptionIndex(1);
    const old = makeSubscription('a');
    index.upsert(old);
    const signedAtSeconds = old.authorisation.signedAtSeconds + 14 * 24 * 3600;
    const fresh = { ...old, authorisation: { ...old.authorisation, signedAtSeconds } };
    expect(index.upsert(fresh).monitorChanged).toBe(true);
  });

  it('leaves out rows that no client can have made, and is none the worse for it', () => {
    const index = new SubscriptionIndex(1);
    const good = makeSubscription('a');
    index.startLoad();
    expect(index.load({ ...good, authorisation: { ...good.authorisation, ed25519Key: null } })).toBe(false);
    expect(index.load({ ...good, authorisation: { ...good.authorisation, signedAtSeconds: 2 ** 40 } })).toBe(
      false,
    );
    expect(index.load(good)).toBe(true);
    index.finishLoad();
    expect([index.size, index.accountCount]).toEqual([1, 1]);
  });

  it('tells subaccounts of a group apart, also where a row has a key that groups do not have', () => {
    const index = new SubscriptionIndex(1);
    const account = accountOf('group', 3);
    for (const member of ['one', 'two']) {
      const { authorisation } = makeSubscription('group', { account });
      const subaccount = { tag: bytesOf(member, 36), signature: bytesOf(member, 64) };
      index.upsert(
        makeSubscription('group', {
          account,
          serviceId: tokenOf(member),
          authorisation: { ...authorisation, ed25519Key: bytesOf('key', 32), subaccount },
        }),
      );
    }
    expect(index.appendMonitorEntries(0, 1_700_000_100, { append: () => undefined })).toBe(2);
  });
});

describe('comparing the index with the database', () => {
  it('tells a subscription that is the same in everything from one that differs in anything', () => {
    const index = new SubscriptionIndex(1);
    const one = makeSubscription('one', { namespaces: [-11, 0], serviceData: Buffer.from('data') });
    expect(index.holds(one)).toBe(false);
    index.upsert(one);
    expect(index.holds(one)).toBe(true);
    const { authorisation } = one;
    for (const other of [
      { ...one, namespaces: [0] },
      { ...one, namespaces: [-11, 1] },
      { ...one, wantData: false },
      { ...one, encryptionKey: makeSubscription('two').encryptionKey },
      { ...one, serviceData: null },
      { ...one, serviceData: Buffer.from('date') },
      { ...one, serviceId: makeSubscription('two').serviceId },
      { ...one, authorisation: { ...authorisation, signedAtSeconds: 1_700_000_001 } },
      { ...one, authorisation: { ...authorisation, signature: Buffer.alloc(64) } },
      { ...one, authorisation: { ...authorisation, ed25519Key: null } },
    ]) {
      expect(index.holds(other)).toBe(false);
    }
  });

  it('names the subscriptions of an account, and none of a slot that is free', () => {
    const index = new SubscriptionIndex(1);
    const one = makeSubscription('one');
    const two = { ...makeSubscription('two'), account: one.account };
    const { slot } = index.upsert(one);
    index.upsert(two);
    expect(index.keysAt(slot).map(({ serviceId }) => serviceId)).toEqual([two.serviceId, one.serviceId]);
    expect(index.keysAt(slot)[0]?.account).toEqual(one.account);
    index.remove(one);
    index.remove(two);
    expect(index.keysAt(slot)).toEqual([]);
    expect(index.keysAt(slot + 1000)).toEqual([]);
  });
});
