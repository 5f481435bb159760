import { describe, expect, it } from 'vitest';
import { XmppDirectory } from '../../../src/xmpp-devices/directory.js';
import { deviceOf, hashOf, p2Key, row, tokenOf, v1Key } from './support.js';

const filled = (...rows: readonly Parameters<XmppDirectory['apply']>[0][]): XmppDirectory => {
  const directory = new XmppDirectory();
  for (const one of rows) directory.apply(one);
  return directory;
};

describe('the directory of XMPP devices', () => {
  it('finds a device by node, token and key, with everything but its sealed secret', () => {
    const key = p2Key(hashOf('a'), hashOf('b'));
    const device = deviceOf(key, {
      serviceData: Buffer.from('keys'),
      secretHash: Buffer.alloc(32, 9),
      renewedAtMs: 2_000,
      lastPushAtMs: 3_000,
      lastErrorAtMs: 4_000,
    });
    const directory = filled({ device, revision: 1, removed: null });
    const { sealedSecret, ...known } = device;
    expect(sealedSecret).toHaveLength(104);
    expect(directory.find(device.node)).toEqual([known]);
    expect(directory.byToken(device.token)).toEqual([known]);
    expect(directory.byKey(key)).toEqual(known);
    expect(directory.find('another')).toEqual([]);
    expect(directory.byKey(p2Key(hashOf('a')))).toBeNull();
  });

  it('has several devices under one node when a client chose what was drawn for another', () => {
    const directory = filled(
      row(v1Key('node'), 1),
      row(p2Key(hashOf('a')), 2, { node: 'node' }),
      row(p2Key(hashOf('b')), 3, { node: 'node' }),
    );
    expect(directory.find('node').map(({ key }) => key.kind)).toEqual(['v1', 'p2', 'p2']);
    expect(directory.nodes(null, 10)).toEqual(['node']);
    directory.apply(row(v1Key('node'), 4, {}, 'unregistered'));
    expect(directory.find('node').map(({ key }) => key.kind)).toEqual(['p2', 'p2']);
    expect(directory.nodes(null, 10)).toEqual(['node']);
    expect(directory.byKey(v1Key('node'))).toBeNull();
  });

  it('takes no row that is older than what it has, nor the same one twice', () => {
    const directory = filled(row(v1Key('n'), 5, { token: tokenOf('new') }));
    expect(directory.apply(row(v1Key('n'), 4, { token: tokenOf('old') }))).toBe(false);
    expect(directory.apply(row(v1Key('n'), 5, { token: tokenOf('old') }))).toBe(false);
    expect(directory.apply(row(v1Key('n'), 4, {}, 'dead'))).toBe(false);
    expect(directory.find('n')[0]?.token).toBe('new');
    expect(directory.apply(row(v1Key('n'), 6, { token: tokenOf('newer') }))).toBe(true);
    expect(directory.byToken(tokenOf('new'))).toEqual([]);
    expect(directory.byToken(tokenOf('newer'))).toHaveLength(1);
  });

  it('does not let a removed device come back by an older row, before the poll passed its removal and after', () => {
    const directory = filled(row(v1Key('n'), 5));
    directory.apply(row(v1Key('n'), 7, {}, 'unregistered'));
    expect(directory.apply(row(v1Key('n'), 5))).toBe(false);
    expect(directory.apply(row(v1Key('n'), 6))).toBe(false);
    directory.applyPoll([row(v1Key('n'), 7, {}, 'unregistered')], 9);
    expect(directory.revision).toBe(9);
    expect(directory.apply(row(v1Key('n'), 6))).toBe(false);
    expect(directory.size).toBe(0);
    expect(directory.apply(row(v1Key('n'), 10))).toBe(true);
  });

  it('remembers a removal that it heard of before the device', () => {
    const directory = new XmppDirectory();
    expect(directory.apply(row(v1Key('n'), 7, {}, 'dead'))).toBe(false);
    expect(directory.apply(row(v1Key('n'), 6))).toBe(false);
    expect(directory.apply(row(v1Key('n'), 8))).toBe(true);
  });

  it('follows a device to another node and type', () => {
    const key = p2Key(hashOf('a'));
    const directory = filled(row(key, 1, { node: 'one', type: 'fcm' }));
    directory.apply(row(key, 2, { node: 'two', type: 'apns' }));
    expect(directory.find('one')).toEqual([]);
    expect(directory.find('two')).toHaveLength(1);
    expect([directory.countOf('fcm'), directory.countOf('apns'), directory.size]).toEqual([0, 1, 1]);
  });

  it('counts devices by type and domain, and the memory of nothing as none', () => {
    const directory = filled(
      row(v1Key('a'), 1),
      row(v1Key('b'), 2, { accountDomain: 'other.org', serviceData: Buffer.alloc(100) }),
      row(p2Key(hashOf('c')), 3, { accountDomain: null }),
    );
    expect(directory.counts()).toEqual([
      ['apns', 2],
      ['fcm', 1],
    ]);
    expect([directory.countOfDomain('example.org'), directory.countOfDomain('other.org')]).toEqual([1, 1]);
    const { bytes } = directory;
    expect(bytes).toBeGreaterThan(900);
    directory.apply(row(v1Key('a'), 4, { token: tokenOf('x'.repeat(999)) }));
    expect(directory.bytes).toBe(bytes + 999 - 'a token'.length);
    for (const key of [v1Key('a'), v1Key('b'), p2Key(hashOf('c'))]) directory.apply(row(key, 5, {}, 'dead'));
    expect([directory.size, directory.bytes, directory.counts()]).toEqual([0, 0, []]);
  });

  it('lists nodes page by page, in the order of registration', () => {
    const directory = new XmppDirectory();
    for (let n = 0; n < 2_500; n += 1) directory.apply(row(v1Key(`n${n}`), n + 1));
    directory.apply(row(v1Key('n1'), 5_000, {}, 'dead'));
    directory.apply(row(v1Key('n2'), 5_001, { token: tokenOf('renewed') }));
    expect(directory.nodes(null, 3)).toEqual(['n0', 'n2', 'n3']);
    expect(directory.nodes('n3', 2)).toEqual(['n4', 'n5']);
    expect(directory.nodes('n2498', 10)).toEqual(['n2499']);
    expect(directory.nodes('n2499', 10)).toEqual([]);
    expect(directory.nodes('n1', 10)).toEqual([]);
  });

  it('keeps notes that are newer than those of the table, and gives each out once', () => {
    const key = v1Key('n');
    const directory = filled(row(key, 1), row(v1Key('other'), 2));
    directory.note(key, 'push', 5_000);
    directory.note(key, 'error', 6_000);
    directory.note(v1Key('unknown'), 'push', 1);
    directory.apply(row(key, 3, { lastPushAtMs: 4_000, lastErrorAtMs: 7_000 }));
    expect(directory.byKey(key)).toMatchObject({ lastPushAtMs: 5_000, lastErrorAtMs: 7_000 });
    const notes = directory.takeNotes(10);
    expect(notes).toEqual([{ key, lastPushAtMs: 5_000, lastErrorAtMs: 7_000 }]);
    expect(directory.takeNotes(10)).toEqual([]);
    directory.giveNotesBack(notes);
    expect(directory.takeNotes(10)).toEqual(notes);
  });

  it('has no notes of the record that another one replaced', () => {
    const key = v1Key('n');
    const directory = filled(row(key, 1));
    directory.note(key, 'push', 5_000);
    directory.apply(row(key, 2, { type: 'fcm', registeredAtMs: 9_000 }));
    expect(directory.byKey(key)?.lastPushAtMs).toBeNull();
    directory.note(key, 'push', 9_500);
    directory.apply(row(key, 3, {}, 'dead'));
    directory.apply(row(v1Key('next'), 4));
    expect(directory.takeNotes(10)).toEqual([]);
  });

  it('keeps nothing of the packets that rows came in', () => {
    const packet = Buffer.from('keys of the subscriber');
    const hash = Buffer.alloc(32, 3);
    const directory = filled(row(v1Key('n'), 1, { serviceData: packet, secretHash: hash }));
    packet.fill(0);
    hash.fill(0);
    const [device] = directory.find('n');
    expect(device?.serviceData?.toString()).toBe('keys of the subscriber');
    expect(device?.secretHash).toEqual(Buffer.alloc(32, 3));
    directory.apply(row(v1Key('n'), 2, {}, 'dead'));
    directory.apply(row(v1Key('another'), 3, { secretHash: Buffer.alloc(32, 4) }));
    // Whoever still compares does not compare with the device that has its place now.
    expect(device?.secretHash).toEqual(Buffer.alloc(32, 3));
  });

  it('lets thirty thousand devices have one token', () => {
    const directory = new XmppDirectory();
    for (let n = 0; n < 30_000; n += 1) directory.apply(row(v1Key(`n${n}`), n + 1));
    expect(directory.byToken(tokenOf('a token'))).toHaveLength(30_000);
    for (let n = 0; n < 30_000; n += 1) directory.apply(row(v1Key(`n${n}`), 200_000 + n, {}, 'dead'));
    expect(directory.byToken(tokenOf('a token'))).toEqual([]);
    expect([directory.size, directory.bytes]).toEqual([0, 0]);
  });
});
