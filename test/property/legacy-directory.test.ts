import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LegacyDevice } from '../../src/legacy/device.js';
import { LegacyDirectory } from '../../src/legacy/directory.js';
import type { DirectoryChange } from '../../src/legacy/port.js';

/** Accounts and groups share names, so that an id is often both. */
const id = fc.integer({ min: 0, max: 6 }).map((n) => `id${n}`);
const token = fc.integer({ min: 0, max: 9 }).map((n) => `t${n}`);
const timeMs = fc.integer({ min: 0, max: 5 });

const change: fc.Arbitrary<DirectoryChange> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('set-device' as const),
      device: fc.record({
        token,
        account: id,
        type: fc.constantFrom('ios' as const, 'android' as const, 'huawei' as const, 'unknown' as const),
        groupsOnly: fc.boolean(),
        registeredAtMs: timeMs,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove-device' as const), token }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('device-died' as const),
      token,
      sinceMs: timeMs,
      nowMs: fc.constant(9),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('add-member' as const), group: id, account: id }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('remove-member' as const), group: id, account: id }),
  },
);

/** The rules as the spec words them, without a thought for memory or time. */
class Model {
  readonly devices = new Map<string, LegacyDevice>();
  readonly members = new Map<string, Set<string>>();
  readonly known = new Set<string>();

  constructor(private readonly silences: boolean) {}

  apply(change: DirectoryChange): boolean {
    switch (change.kind) {
      case 'set-device': {
        const { device } = change;
        const before = this.devices.get(device.token);
        if (before !== undefined && before.account !== device.account) this.#remove(before);
        this.devices.set(device.token, device);
        this.known.add(device.account);
        return before?.account !== device.account;
      }
      case 'remove-device':
        return this.#remove(this.devices.get(change.token));
      case 'device-died': {
        const device = this.devices.get(change.token);
        return device !== undefined && device.registeredAtMs < change.sinceMs && this.#remove(device);
      }
      case 'add-member': {
        const members = this.members.get(change.group) ?? new Set();
        this.members.set(change.group, members);
        const isNew = !members.has(change.account);
        members.add(change.account);
        return isNew;
      }
      case 'remove-member':
        this.members.get(change.group)?.delete(change.account);
        return this.members.has(change.group);
    }
  }

  devicesOf(account: string): LegacyDevice[] {
    return [...this.devices.values()].filter((device) => device.account === account);
  }

  match(id: string): { kind: string; tokens: string[] } {
    const own = this.devicesOf(id);
    const heard = own.filter(({ groupsOnly }) => !(this.silences && groupsOnly));
    if (this.known.has(id) && (own.length === 0 || heard.length > 0)) {
      return { kind: 'account', tokens: pushable(heard) };
    }
    const members = this.members.get(id);
    if (members === undefined) return { kind: 'untracked', tokens: [] };
    return { kind: 'group', tokens: pushable([...members].flatMap((member) => this.devicesOf(member))) };
  }

  #remove(device: LegacyDevice | undefined): boolean {
    if (device === undefined) return false;
    this.devices.delete(device.token);
    const isLast = this.devicesOf(device.account).length === 0;
    if (isLast && this.silences && device.groupsOnly) this.known.delete(device.account);
    return true;
  }
}

const pushable = (devices: readonly LegacyDevice[]): string[] =>
  devices
    .filter(({ type }) => type !== 'unknown')
    .map(({ token }) => token)
    .sort();

const ids = Array.from({ length: 7 }, (_, n) => `id${n}`);

function expectSame(directory: LegacyDirectory, model: Model): void {
  const devices = [...model.devices.values()];
  expect([...directory.devices()].sort(byToken)).toEqual(devices.sort(byToken));
  expect(directory.deviceCount).toBe(devices.length);
  expect(directory.deviceCounts).toEqual({
    ios: devices.filter(({ type }) => type === 'ios').length,
    android: devices.filter(({ type }) => type === 'android' || type === 'huawei').length,
    accounts: new Set(devices.map(({ account }) => account)).size,
  });
  let memberships = 0;
  for (const one of ids) {
    const match = directory.match(one);
    const tokens = match.kind === 'untracked' ? [] : pushable(match.devices);
    expect({ kind: match.kind, tokens }).toEqual(model.match(one));
    if (match.kind !== 'untracked') expect(match.devices).toHaveLength(tokens.length);
    expect(directory.tokenCount(one)).toBe(model.devicesOf(one).length);
    expect(directory.memberCount(one)).toBe(model.members.get(one)?.size ?? 0);
    expect(directory.knowsGroup(one)).toBe(model.members.has(one));
    const groups = [...model.members.values()].filter((members) => members.has(one));
    memberships += groups.length;
    const idle = directory.memberWithoutDevice(one);
    const members = [...(model.members.get(one) ?? [])];
    const idleMembers = members.filter((member) => model.devicesOf(member).length === 0);
    expect(idle === null ? idleMembers : idleMembers.includes(idle)).toEqual(idle === null ? [] : true);
    for (const other of ids) {
      expect(directory.isMember(one, other)).toBe(model.members.get(one)?.has(other) ?? false);
    }
  }
  expect(directory.membershipCount).toBe(memberships);
}

const byToken = (a: LegacyDevice, b: LegacyDevice): number => (a.token < b.token ? -1 : 1);

describe('the directory of older clients', () => {
  it.each([true, false])(
    'always agrees with the rules as the spec words them (silencing: %s)',
    (silences) => {
      fc.assert(
        fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
          const directory = new LegacyDirectory(
            { groupsOnlySilencesAccount: silences },
            { maxRemembered: 1000 },
          );
          const model = new Model(silences);
          for (const one of changes) expect(directory.apply(one)).toBe(model.apply(one));
          expectSame(directory, model);
        }),
        { numRuns: 300 },
      );
    },
  );

  it('is the same when every change, or all of them once more, is applied twice', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const limits = { maxRemembered: 1000 };
        const once = new LegacyDirectory({ groupsOnlySilencesAccount: true }, limits);
        const twice = new LegacyDirectory({ groupsOnlySilencesAccount: true }, limits);
        for (const one of changes) once.apply(one);
        for (const one of [...changes, ...changes]) twice.apply(one);
        expect([...twice.devices()].sort(byToken)).toEqual([...once.devices()].sort(byToken));
        expect(new Set([...twice.members()].map((m) => JSON.stringify(m)))).toEqual(
          new Set([...once.members()].map((m) => JSON.stringify(m))),
        );
      }),
    );
  });

  it('counts the memory of what is there: of nothing, none', () => {
    const directory = new LegacyDirectory({ groupsOnlySilencesAccount: true }, { maxRemembered: 0 });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        for (const one of changes) directory.apply(one);
        const isEmpty = directory.deviceCount + directory.membershipCount === 0;
        expect(directory.bytes > 0).toBe(!isEmpty);
        for (const { token } of [...directory.devices()]) directory.apply({ kind: 'remove-device', token });
        for (const member of [...directory.members()]) directory.apply({ kind: 'remove-member', ...member });
        expect(directory.bytes).toBe(0);
      }),
    );
  });

  it('agrees for large groups too, whose members are kept in another way', () => {
    const group = (n: number) => ({ group: 'g', account: `m${n % 200}` });
    const step = fc.record({ n: fc.nat({ max: 199 }), isAdd: fc.boolean() });
    fc.assert(
      fc.property(fc.nat({ max: 199 }), fc.array(step, { maxLength: 300 }), (start, steps) => {
        const directory = new LegacyDirectory({ groupsOnlySilencesAccount: true }, { maxRemembered: 10 });
        const model = new Set<string>();
        const all = [
          ...Array.from({ length: start }, (_, n) => ({ n, isAdd: true })),
          ...steps,
          ...Array.from({ length: start }, (_, n) => ({ n, isAdd: false })),
        ];
        for (const { n, isAdd } of all) {
          directory.apply({ kind: isAdd ? 'add-member' : 'remove-member', ...group(n) });
          if (isAdd) model.add(group(n).account);
          else model.delete(group(n).account);
          if (directory.memberCount('g') !== model.size) throw new Error('another number of members');
        }
        expect(new Set([...directory.members()].map(({ account }) => account))).toEqual(model);
      }),
      { numRuns: 50 },
    );
  });

  it('forgets the oldest of too many ids that somebody registered and left again', () => {
    const directory = new LegacyDirectory({ groupsOnlySilencesAccount: false }, { maxRemembered: 100 });
    directory.apply({ kind: 'add-member', group: 'kept', account: 'a0' });
    for (let n = 0; n < 50_000; n += 1) {
      const device = {
        token: `t${n}`,
        account: `a${n}`,
        type: 'ios' as const,
        groupsOnly: n % 2 === 0,
        registeredAtMs: 0,
      };
      directory.apply({ kind: 'set-device', device });
      directory.apply({ kind: 'add-member', group: `g${n}`, account: `x${n}` });
      directory.apply({ kind: 'remove-member', group: `g${n}`, account: `x${n}` });
      directory.apply({ kind: 'remove-device', token: `t${n}` });
      if (n % 1000 !== 0) continue;
      expect([...directory.empties()].length).toBeLessThanOrEqual(200);
      expect(directory.groupCount).toBeLessThanOrEqual(101);
      expect(directory.accountCount).toBeLessThanOrEqual(101);
    }
    expect(directory.deviceCount).toBe(0);
    expect([directory.match('a49999').kind, directory.match('a1').kind]).toEqual(['account', 'untracked']);
    expect([directory.match('g49999').kind, directory.match('g1').kind]).toEqual(['group', 'untracked']);
    // A member that was forgotten as an account is still a member.
    expect([directory.isMember('kept', 'a0'), directory.match('a0').kind]).toEqual([true, 'untracked']);
  });
});
