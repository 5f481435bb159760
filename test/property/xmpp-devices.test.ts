import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSecret } from '../../src/crypto/secret-keeper.js';
import { keyText, type DeviceKey, type StoredDevice } from '../../src/xmpp-devices/device.js';
import { XmppDirectory } from '../../src/xmpp-devices/directory.js';
import type { DeviceTarget } from '../../src/xmpp/port.js';
import { MemoryXmppStore, storeUnavailable } from '../simulators/memory-xmpp-store.js';
import {
  deviceOf,
  hashOf,
  p2,
  p2Key,
  registeredBy,
  serviceName,
  setUpProcess,
  tokenOf,
  v1,
  v1Key,
} from '../unit/xmpp-devices/support.js';

/* Few names, so that everything meets everything. `ios` and `apns` share a service. */
const target: fc.Arbitrary<DeviceTarget> = fc.oneof(
  fc.tuple(fc.constant('a'), fc.constantFrom('apns', 'ios')).map(([node, type]) => v1(node, type)),
  fc
    .tuple(fc.constantFrom('', hashOf('c')), fc.constantFrom('fcm' as const, 'apns' as const))
    .map(([channel, service]) => p2(hashOf('d'), channel, { service })),
);
const token = fc.constantFrom('t1', 't2');
const apns = serviceName('apns');

const keyOf = (of: DeviceTarget): DeviceKey =>
  of.kind === 'v1' ? v1Key(of.node) : p2Key(of.device, of.channel);
const typeOf = (of: DeviceTarget): string => (of.kind === 'v1' ? of.type : of.service);

type Process = ReturnType<typeof setUpProcess>;

type Step =
  | { readonly kind: 'register'; readonly target: DeviceTarget; readonly token: string }
  | { readonly kind: 'unregister'; readonly target: DeviceTarget }
  | { readonly kind: 'died'; readonly token: string }
  | { readonly kind: 'restore'; readonly target: DeviceTarget }
  | { readonly kind: 'look-up' }
  | { readonly kind: 'sync' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('register' as const), target, token }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('unregister' as const), target }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('died' as const), token }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const), target }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('look-up' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
);

async function run({ registry, directory, store, clock }: Process, one: Step): Promise<unknown> {
  switch (one.kind) {
    case 'register':
      return registry.register(one.target, one.token);
    case 'unregister':
      return registry.unregister(one.target);
    case 'died':
      return Promise.all(
        registry.holdersOf(apns, tokenOf(one.token)).map((holder) => holder.tokenDied(clock.atMs + 1)),
      );
    case 'restore':
      return registry.restore(keyOf(one.target));
    case 'look-up':
      return registry.lookUp([
        'a',
        'b',
        ...directory.nodes(null, 9),
        ...store.living().map((of) => of.device.node),
      ]);
    case 'sync':
      return registry.sync();
  }
}

const plainOf = ({ device }: StoredDevice): string =>
  JSON.stringify([
    keyText(device.key),
    device.node,
    device.type,
    device.token,
    device.secretHash.toString('hex'),
    device.accountDomain,
    device.renewedAtMs,
  ]);

const inMemory = ({ directory }: Process): string[] =>
  directory
    .nodes(null, 100)
    .flatMap((node) => directory.find(node))
    .map((device) =>
      plainOf({ device: { ...device, sealedSecret: Buffer.alloc(1) }, revision: 0, removed: null }),
    )
    .sort();

const inTable = (store: MemoryXmppStore): string[] => store.living().map(plainOf).sort();

describe('the devices of several processes on one table', () => {
  it('are the same in the end, whoever does what and whichever answer comes first, or never', async () => {
    const fault = fc.oneof(
      { weight: 8, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constantFrom('lost' as const, 'unanswered' as const) },
    );
    const steps = fc.array(fc.record({ process: fc.nat({ max: 1 }), step, waits: fc.boolean(), fault }), {
      maxLength: 40,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.scheduler(), async (all, scheduler) => {
        const store = new MemoryXmppStore();
        const processes = [setUpProcess({ store }), setUpProcess({ store, limits: { pollRows: 2 } })];
        for (const { registry } of processes) await registry.load();
        // Answers to look-ups are slow, so that much may happen before they come.
        store.pace = async (name) => {
          for (let n = 0; n < (name === 'find' ? 6 : 1); n += 1) {
            await scheduler.schedule(Promise.resolve(), name);
          }
        };
        const begun: Promise<unknown>[] = [];
        for (const one of all) {
          const process = processes[one.process];
          if (process === undefined) throw new Error('no such process');
          if (one.fault !== null) {
            store.faults.push({ error: storeUnavailable(), tookPlace: one.fault === 'unanswered' });
          }
          const running = run(process, one.step).catch((error: unknown) => {
            if (!(error instanceof Error) || error.name !== 'StoreUnavailable') throw error;
          });
          begun.push(running);
          if (one.waits) await scheduler.waitFor(running);
        }
        await scheduler.waitFor(Promise.all(begun));
        store.faults.splice(0);
        store.pace = () => Promise.resolve();
        for (const process of processes) {
          await process.registry.sync();
          expect(inMemory(process)).toEqual(inTable(store));
          expect(process.directory.size).toBe(store.living().length);
        }
      }),
      { numRuns: 600 },
    );
  });
});

/** What happened to one device: the table's rows in their order. */
interface History {
  readonly key: DeviceKey;
  readonly lives: boolean;
}

describe('the directory of XMPP devices', () => {
  it('has what the table has, however old what it hears by the way', () => {
    const key = fc.constantFrom(v1Key('a'), v1Key('b'), p2Key(hashOf('c')));
    const history = fc.array(fc.record<History>({ key, lives: fc.boolean() }), {
      minLength: 1,
      maxLength: 25,
    });
    /* After each change: polls up to it or not, and hears answers that are some changes old. */
    const hearings = fc.array(
      fc.record({ polls: fc.boolean(), ages: fc.array(fc.nat({ max: 12 }), { maxLength: 3 }) }),
      { minLength: 25, maxLength: 25 },
    );
    fc.assert(
      fc.property(history, hearings, (changes, heard) => {
        const directory = new XmppDirectory();
        const rows = changes.map(({ key: of, lives }, index): StoredDevice => ({
          device: deviceOf(of, { token: tokenOf(`t${index}`) }),
          revision: index + 1,
          removed: lives ? null : 'unregistered',
        }));
        /** The newest row of each device after so many changes. */
        const tableAt = (count: number): Map<string, StoredDevice> =>
          new Map(rows.slice(0, count).map((one) => [keyText(one.device.key), one]));
        const since = (count: number): StoredDevice[] =>
          [...tableAt(count).values()]
            .filter(({ revision }) => revision > directory.revision)
            .sort((a, b) => a.revision - b.revision);
        /** The newest row that it has heard of each device. */
        const heardOf = new Map<string, StoredDevice>();
        const hear = (one: StoredDevice): void => {
          const id = keyText(one.device.key);
          if (one.revision > (heardOf.get(id)?.revision ?? 0)) heardOf.set(id, one);
        };
        const poll = (count: number): void => {
          for (const one of tableAt(count).values()) hear(one);
          directory.applyPoll(since(count), count);
        };
        const expectNewest = (): void => {
          for (const { device, removed } of heardOf.values()) {
            expect(directory.byKey(device.key)?.token).toBe(removed === null ? device.token : undefined);
          }
        };
        for (let count = 1; count <= rows.length; count += 1) {
          const { polls = false, ages = [] } = heard[count - 1] ?? {};
          if (polls) poll(count);
          for (const age of ages) {
            // A look-up shows what lived then, an answer to a change of our own also what went.
            for (const one of tableAt(Math.max(0, count - age)).values()) {
              directory.apply(one);
              hear(one);
            }
          }
          expectNewest();
        }
        poll(rows.length);
        expectNewest();
        const living = [...tableAt(rows.length).values()].filter(({ removed }) => removed === null);
        expect(directory.size).toBe(living.length);
        const size = directory.size;
        for (let count = 1; count <= rows.length; count += 1) {
          for (const one of tableAt(count).values()) directory.apply(one);
        }
        expect(directory.size).toBe(size);
        for (const { device } of living) {
          directory.apply({ device, revision: 1_000, removed: 'dead' });
        }
        expect([directory.size, directory.bytes]).toEqual([0, 0]);
      }),
      { numRuns: 500 },
    );
  });
});

/** Registering as spec xmpp-push words it (5.3, 6.1, 12), without a thought for tables, processes and time. */
class Model {
  readonly #records = new Map<
    string,
    { type: string; token: string; secret: string; node: string; lives: boolean }
  >();
  readonly #secrets = new Set<string>();

  register(of: DeviceTarget, given: string, { node, secret }: { node: string; secret: string }): void {
    const id = keyText(keyOf(of));
    const known = this.#records.get(id);
    if (known?.type === typeOf(of)) {
      expect({ node, secret }).toEqual({ node: known.node, secret: known.secret });
    } else {
      expect(this.#secrets.has(secret)).toBe(false);
      if (of.kind === 'v1') expect(node).toBe(of.node);
    }
    this.#secrets.add(secret);
    this.#records.set(id, { type: typeOf(of), token: given, secret, node, lives: true });
  }

  /** The secret; null where nothing is found. */
  unregister(of: DeviceTarget): string | null {
    const id = keyText(keyOf(of));
    const known = this.#records.get(id);
    if (known?.lives !== true || known.type !== typeOf(of)) return null;
    this.#records.delete(id);
    return known.secret;
  }

  died(given: string): void {
    for (const [id, known] of this.#records) {
      const isHers = known.token === given && known.type !== 'fcm';
      if (isHers) this.#records.set(id, { ...known, lives: false });
    }
  }

  restore(of: DeviceTarget): void {
    const id = keyText(keyOf(of));
    const known = this.#records.get(id);
    if (known !== undefined) this.#records.set(id, { ...known, lives: true });
  }

  living(): [string, string, string, string][] {
    return [...this.#records]
      .filter(([, { lives }]) => lives)
      .map(([id, { type, token, node }]) => [id, type, token, node]);
  }

  secretOf(id: string): string {
    return this.#records.get(id)?.secret ?? '';
  }
}

describe('registering XMPP devices', () => {
  it('follows the words of the spec, by whatever process: secrets stay until their record goes', async () => {
    const steps = fc.array(fc.record({ process: fc.nat({ max: 1 }), step }), { maxLength: 25, size: 'max' });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const store = new MemoryXmppStore();
        store.pace = () => Promise.resolve();
        const processes = [setUpProcess({ store }), setUpProcess({ store })];
        for (const { registry } of processes) await registry.load();
        const model = new Model();
        for (const one of all) {
          const process = processes[one.process];
          if (process === undefined) throw new Error('no such process');
          const { registry, directory } = process;
          switch (one.step.kind) {
            case 'register': {
              const answer = registry.register(one.step.target, one.step.token);
              model.register(one.step.target, one.step.token, await registeredBy(answer));
              break;
            }
            case 'unregister': {
              const secret = model.unregister(one.step.target);
              expect(await registry.unregister(one.step.target)).toEqual(
                secret === null ? { kind: 'not-found' } : { kind: 'unregistered', secret },
              );
              break;
            }
            case 'died':
              // Only then does a process know all who have the token.
              await registry.sync();
              await run(process, one.step);
              model.died(one.step.token);
              break;
            case 'restore':
              await run(process, one.step);
              model.restore(one.step.target);
              break;
            case 'look-up':
            case 'sync':
              await run(process, one.step);
          }
          await registry.sync();
          const known = directory.nodes(null, 100).flatMap((node) => directory.find(node));
          expect(known.map((of) => [keyText(of.key), of.type, of.token, of.node]).sort()).toEqual(
            model.living().sort(),
          );
          for (const { key, secretHash } of known) {
            expect(isSecret(model.secretOf(keyText(key)), secretHash)).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
