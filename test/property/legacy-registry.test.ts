import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LegacyDirectory } from '../../src/legacy/directory.js';
import { defaultLegacyLimits } from '../../src/legacy/limits.js';
import type { DirectoryChange } from '../../src/legacy/port.js';
import { LegacyRegistry } from '../../src/legacy/registry.js';
import { silentLog } from '../../src/telemetry/log.js';
import { eventually } from '../simulators/eventually.js';
import { MemoryLegacyStore, storeUnavailable, type CommitFault } from '../simulators/memory-legacy-store.js';

const name = fc.integer({ min: 0, max: 3 }).map(String);
const change: fc.Arbitrary<DirectoryChange> = fc.oneof(
  fc.record({ token: name, account: name, registeredAtMs: fc.nat({ max: 3 }) }).map((device) => ({
    kind: 'set-device' as const,
    device: { ...device, type: 'ios' as const, groupsOnly: false },
  })),
  fc.record({ kind: fc.constant('remove-device' as const), token: name }),
  fc.record({
    kind: fc.constant('device-died' as const),
    token: name,
    sinceMs: fc.nat({ max: 4 }),
    nowMs: fc.constant(9),
  }),
  fc.record({ kind: fc.constant('add-member' as const), group: name, account: name }),
  fc.record({ kind: fc.constant('remove-member' as const), group: name, account: name }),
);

const isAboutThree = (one: DirectoryChange): boolean => one.kind === 'set-device' && one.device.token === '3';

type Step =
  | { readonly kind: 'change'; readonly changes: readonly DirectoryChange[] }
  | { readonly kind: 'turns'; readonly turns: number }
  | { readonly kind: 'faults'; readonly faults: readonly ('lost' | 'unanswered')[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('turns' as const), turns: fc.nat({ max: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('faults' as const),
      faults: fc.array(fc.constantFrom('lost' as const, 'unanswered' as const), {
        maxLength: 4,
      }),
    }),
  },
);

const faultOf = (kind: 'lost' | 'unanswered'): CommitFault => ({
  error: storeUnavailable(),
  tookPlace: kind === 'unanswered',
});

const rowsOf = (directory: LegacyDirectory): unknown[] => [
  [...directory.devices()].map((device) => JSON.stringify(device)).sort(),
  [...directory.members()].map((member) => JSON.stringify(member)).sort(),
];

describe('the registry of older clients', () => {
  it.each([0, 60_000])(
    'holds what the table holds, whatever commits are lost or unanswered (patience: %s ms)',
    async (writePatienceMs) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const limits = {
            ...defaultLegacyLimits,
            writePatienceMs,
            writeBatchMaxChanges: 5,
            writeRetryMinMs: 0,
            writeRetryMaxMs: 0,
          };
          const brand = { name: 'any', groupsOnlySilencesAccount: true };
          const store = new MemoryLegacyStore();
          store.refuses = isAboutThree;
          const open = () => {
            const directory = new LegacyDirectory(brand, limits);
            const clock = { nowMs: () => 0 };
            const registry = new LegacyRegistry({ brand, store, directory, clock, log: silentLog(), limits });
            return { directory, registry };
          };
          const { directory, registry } = open();
          await registry.load();
          const answers: Promise<unknown>[] = [];
          for (const one of steps) {
            if (one.kind === 'change') answers.push(registry.change(one.changes).catch(() => 'not taken'));
            else if (one.kind === 'faults') store.faults.push(...one.faults.map(faultOf));
            else for (let n = 0; n < one.turns; n += 1) await new Promise((done) => setImmediate(done));
          }
          await Promise.all(answers);
          await eventually(() => registry.pending.size === 0, { everyMs: 1 });
          const reloaded = open();
          await reloaded.registry.load();
          expect(rowsOf(directory)).toEqual(rowsOf(reloaded.directory));
        }),
        { numRuns: 150 },
      );
    },
  );
});
