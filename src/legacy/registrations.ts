import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { Brand } from './brand.js';
import {
  guessDeviceType,
  readGroups,
  readMembership,
  readRegistration,
  readToken,
  type LegacyArguments,
  type Registration,
} from './arguments.js';
import { Capacity, type CapacityLimits, type Room } from './capacity.js';
import type { LegacyDevice } from './device.js';
import type { LegacyDirectory } from './directory.js';
import type { LegacyLimits } from './limits.js';
import type { DirectoryChange } from './port.js';
import type { LegacyRegistry } from './registry.js';
import {
  busy,
  done,
  full,
  partlyDone,
  serverFull,
  unchanged,
  unknownId,
  type LegacyAnswer,
} from './replies.js';

export interface RegistrationsDeps {
  readonly brand: Pick<Brand, 'appName'>;
  readonly registry: LegacyRegistry;
  readonly directory: LegacyDirectory;
  readonly clock: Clock;
  readonly limits: CapacityLimits &
    Pick<LegacyLimits, 'quietRepeatMs' | 'idleDeviceMs' | 'maxGroupsPerRequest'>;
}

type Method = (args: LegacyArguments) => Promise<LegacyAnswer>;

const NO_SUCH_GROUP = 'Cannot find the closed group id on PN server.';

/**
 * The methods that change who is registered where; each answers when its change is committed and in the directory.
 * Rejects with `ChangeNotTaken`. Source: spec session-push-v1, 3.2 to 3.5.
 *
 * What would change nothing is not written: a membership that is there, and a registration of a token that was
 * registered just so less than `quietRepeatMs` ago. Clients register every twelve hours and repeat what they got no
 * answer to; those are written, since the time of the last registration saves a token that a provider, speaking of an
 * earlier push, calls dead. What is left out is a client that repeats itself in a loop. Both only while nothing about
 * the same token or group is on its way: otherwise the answer would rest on what is about to change.
 *
 * `unregister` is always written, though the directory knows what it will find: there may be a tombstone to be rid of.
 */
export function createRegistrations(deps: RegistrationsDeps) {
  const { brand, registry, directory, clock, limits } = deps;
  const { pending } = registry;
  const capacity = new Capacity(directory, pending, limits);

  /** The change that registers it; none when nothing would change; or why not. */
  function deviceChanges(
    { token, account, type }: Registration,
    groupsOnly: boolean,
  ): DirectoryChange[] | LegacyAnswer {
    const room = capacity.forDevice(token, account);
    if (room !== 'free' && room !== 'account-full') return refusalOf(room);
    const known = directory.device(token);
    const told = known?.account === account ? known.type : guessDeviceType(token);
    const registeredAtMs = clock.nowMs();
    const device: LegacyDevice = { token, account, type: type ?? told, groupsOnly, registeredAtMs };
    if (known !== undefined && isQuietRepeat(known, device)) return [];
    const set: DirectoryChange = { kind: 'set-device', device };
    if (room === 'free') return [set];
    // Anybody can fill an account with invented tokens, which none of its pushes ever finds dead: those that nobody
    // keeps up must not keep the phone of its owner out for good.
    if (pending.devicesOf(account) > 0) return busy;
    const idle = directory.idleDevice(account, registeredAtMs - limits.idleDeviceMs);
    if (idle === null) return refusalOf(room);
    // Perhaps it is moving to another account at this moment.
    return pending.ofToken(idle.token) > 0 ? busy : [set, { kind: 'remove-device', token: idle.token }];
  }

  function isQuietRepeat(known: LegacyDevice, device: LegacyDevice): boolean {
    const ageMs = device.registeredAtMs - known.registeredAtMs;
    return (
      known.account === device.account &&
      known.type === device.type &&
      known.groupsOnly === device.groupsOnly &&
      ageMs >= 0 &&
      ageMs < limits.quietRepeatMs &&
      pending.ofToken(device.token) === 0
    );
  }

  /** `joining`: groups that the same request adds the account to besides. */
  function memberChanges(group: string, account: string, joining = 0): DirectoryChange[] | LegacyAnswer {
    if (directory.isMember(group, account) && pending.ofGroup(group) === 0) return [];
    const join: DirectoryChange = { kind: 'add-member', group, account };
    const room = capacity.forMember(group, account, joining);
    if (room === 'free') return [join];
    if (room !== 'group-full') return refusalOf(room);
    // Anybody can fill a group with accounts that nobody has: those keep no one out.
    if (pending.ofGroup(group) > 0) return busy;
    const idle = directory.memberWithoutDevice(group);
    return idle === null ? refusalOf(room) : [join, { kind: 'remove-member', group, account: idle }];
  }

  const register: Method = async (args) => {
    const registration = readRegistration(args);
    if (!registration.ok) return registration.error;
    const changes = deviceChanges(registration.value, false);
    if (!Array.isArray(changes)) return changes;
    if (changes.length === 0) return unchanged;
    await registry.change(changes);
    return done;
  };

  /** A list that is none is an error after the registration, as in the original: its clients are registered by then. */
  const registerGroupsOnly: Method = async (args) => {
    const registration = readRegistration(args);
    if (!registration.ok) return registration.error;
    const changes = deviceChanges(registration.value, true);
    if (!Array.isArray(changes)) return changes;
    const groups = readGroups(args, limits.maxGroupsPerRequest);
    let leftOut = 0;
    let joining = 0;
    for (const group of groups.ok ? groups.value : []) {
      const joins = memberChanges(group, registration.value.account, joining);
      if (joins === busy) return busy;
      if (!Array.isArray(joins)) {
        leftOut += 1;
      } else if (joins.length > 0) {
        joining += 1;
        changes.push(...joins);
      }
    }
    if (changes.length > 0) await registry.change(changes);
    if (!groups.ok) return groups.error;
    if (leftOut > 0) return partlyDone;
    return changes.length > 0 ? done : unchanged;
  };

  const unregister: Method = async (args) => {
    const token = readToken(args);
    if (!token.ok) return token.error;
    const wasKnown = await registry.change([{ kind: 'remove-device', token: token.value }]);
    return wasKnown ? done : unknownId(`${brand.appName} id was not registered before.`);
  };

  const subscribe: Method = async (args) => {
    const membership = readMembership(args);
    if (!membership.ok) return membership.error;
    const changes = memberChanges(membership.value.group, membership.value.account);
    if (!Array.isArray(changes)) return changes;
    if (changes.length === 0) return unchanged;
    await registry.change(changes);
    return done;
  };

  const unsubscribe: Method = async (args) => {
    const membership = readMembership(args);
    if (!membership.ok) return membership.error;
    const { group, account } = membership.value;
    if (pending.ofGroup(group) === 0 && !directory.isMember(group, account)) {
      return directory.knowsGroup(group) ? unchanged : unknownId(NO_SUCH_GROUP);
    }
    const wasKnown = await registry.change([{ kind: 'remove-member', group, account }]);
    return wasKnown ? done : unknownId(NO_SUCH_GROUP);
  };

  return { register, registerGroupsOnly, unregister, subscribe, unsubscribe };
}

function refusalOf(room: Exclude<Room, 'free'>): LegacyAnswer {
  switch (room) {
    case 'account-full':
      return full('This account has too many entries');
    case 'group-full':
      return full('This group is full');
    case 'server-full':
      return serverFull;
    case 'later':
      return busy;
    default:
      return assertNever(room);
  }
}
