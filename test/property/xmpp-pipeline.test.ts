import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secretHashOf } from '../../src/crypto/secret-keeper.js';
import type { ServiceId, ServiceName } from '../../src/domain/ids.js';
import { noSummary, type PublishOutcome, type PublishTarget, type Wake } from '../../src/domain/publish.js';
import type { PushFate } from '../../src/domain/push.js';
import { createXmppPipeline } from '../../src/streams/xmpp-pipeline.js';
import { Metrics } from '../../src/telemetry/metrics.js';

/*
 * Whatever memory and database know, whatever becomes of the push, and wherever something throws: every publish is
 * answered exactly once, and it is called unknown or dead only if that is true.
 */

const NOW = 1_700_000_000_000;
const MAX_LOOK_UPS = 5;
const fates = [
  'delivered',
  'stored',
  'dead-token',
  'token-kept',
  'given-up',
  'expired',
  'superseded',
  'no-notifier',
  'lost',
] as const satisfies readonly PushFate[];

interface Record {
  readonly secret: string;
  readonly domain: string | null;
  readonly hasDevice: boolean;
}

interface Node {
  readonly inMemory: readonly Record[];
  /** Null: the database does not answer; `away`: it says that it cannot. */
  readonly inDatabase: readonly Record[] | 'away' | null;
}

interface Publish {
  readonly node: number;
  readonly secret: string;
  readonly senderDomain: string;
  readonly isFromServer: boolean;
  readonly fate: PushFate;
  readonly isToldAtOnce: boolean;
  readonly throws: 'find' | 'compose' | 'deliver' | 'note' | 'gone' | null;
  readonly afterMs: number;
}

const secret = fc.constantFrom('right', 'wrong');
const domain = fc.constantFrom('a.example', 'b.example');
const record: fc.Arbitrary<Record> = fc.record({
  secret,
  domain: fc.option(domain, { nil: null }),
  hasDevice: fc.boolean(),
});
const records = fc.array(record, { maxLength: 3 });
const nodes = fc.array(
  fc.record<Node>({
    inMemory: records,
    inDatabase: fc.oneof({ weight: 4, arbitrary: records }, fc.constantFrom('away' as const, null)),
  }),
  { minLength: 1, maxLength: 4 },
);
const publish: fc.Arbitrary<Publish> = fc.record({
  node: fc.nat(3),
  secret,
  senderDomain: domain,
  isFromServer: fc.boolean(),
  fate: fc.constantFrom(...fates),
  isToldAtOnce: fc.boolean(),
  throws: fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    fc.constantFrom('find', 'compose', 'deliver', 'note', 'gone'),
  ),
  afterMs: fc.constantFrom(0, 0, 100, 6_000),
});

const mayWake = (of: Record, { secret: given, senderDomain, isFromServer }: Publish): boolean =>
  of.secret === given && (of.domain === null || (isFromServer && of.domain === senderDomain));

describe('the pipeline of publishes', () => {
  it('answers every publish once, and with an end only where the end is certain', async () => {
    await fc.assert(
      fc.asyncProperty(nodes, fc.array(publish, { maxLength: 30 }), async (given, publishes) => {
        const clock = { now: NOW, nowMs: () => clock.now };
        const metrics = new Metrics();
        let current: Publish | null = null;
        let told = 0;
        let lookUps = 0;
        const failIf = (where: Publish['throws']): void => {
          if (current?.throws === where) throw new Error('bug');
        };
        const wake: Wake = {
          urgency: 'high',
          content: { kind: 'wake', payload: Buffer.from('{}') },
          priority: 'high',
          lifetimeMs: 60_000,
        };
        const targetOf = (of: Record, node: string, i: number): PublishTarget => ({
          key: `${node} ${i}`,
          secretHash: secretHashOf(of.secret),
          domain: of.domain,
          service: 'apns' as ServiceName,
          device: of.hasDevice ? { serviceId: 'token' as ServiceId, serviceData: null } : null,
          compose: () => {
            failIf('compose');
            return wake;
          },
          whenGone: () => {
            failIf('gone');
            return { kind: 'dead-token' };
          },
          note: () => {
            told += 1;
            failIf('note');
          },
        });
        const targetsOf = (list: readonly Record[], node: string): PublishTarget[] =>
          list.map((of, i) => targetOf(of, node, i));
        const later: (() => void)[] = [];
        let taken = 0;
        const take = (onFate: (fate: PushFate) => void): void => {
          failIf('deliver');
          taken += 1;
          const fate = current?.fate ?? 'lost';
          if (current?.isToldAtOnce === true) onFate(fate);
          else later.push(() => onFate(fate));
        };
        const pipeline = createXmppPipeline({
          sources: [
            {
              find: (node) => {
                failIf('find');
                return targetsOf(given[Number(node)]?.inMemory ?? [], node);
              },
              lookUp: (node) => {
                lookUps += 1;
                const rows = given[Number(node)]?.inDatabase ?? [];
                if (given[Number(node)]?.inDatabase === null) return new Promise(() => undefined);
                return rows === 'away'
                  ? Promise.reject(new Error('away'))
                  : Promise.resolve(targetsOf(rows, node));
              },
            },
          ],
          delivery: { deliver: (_push, onFate) => take(onFate), defer: (_push, _at, onFate) => take(onFate) },
          spacing: { distanceMs: 5_000, maxKeys: 100 },
          maxLookUps: MAX_LOOK_UPS,
          randomBytes: (count) => Buffer.alloc(count),
          clock,
          metrics,
          onFault: () => undefined,
        });

        const answers: (PublishOutcome | Promise<PublishOutcome>)[] = [];
        for (const one of publishes) {
          clock.now += one.afterMs;
          current = one;
          const { node, throws: _throws, ...request } = one;
          answers.push(
            pipeline.publish({
              ...request,
              node: `${node}`,
              summary: noSummary,
              deadlineMs: clock.now + 30_000,
            }),
          );
          await new Promise((resolve) => setImmediate(resolve));
          current = { ...one, throws: null };
          for (const tell of later.splice(0)) tell();
        }
        pipeline.complete();
        const outcomes = await Promise.all(answers.map(async (answer) => answer));

        expect(metrics.xmppPublishes.total()).toBe(publishes.length);
        expect(told).toBeGreaterThanOrEqual(taken);
        expect(lookUps).toBeLessThanOrEqual(publishes.length);
        outcomes.forEach((outcome, i) => {
          const one = publishes[i];
          const node = one === undefined ? undefined : given[one.node];
          if (one === undefined) throw new Error('as many answers as publishes');
          const meant = (list: readonly Record[]): Record[] => list.filter((of) => mayWake(of, one));
          const inMemory = meant(node?.inMemory ?? []);
          const rows = node === undefined ? [] : node.inDatabase;
          const inDatabase = Array.isArray(rows) ? meant(rows) : null;
          const isAlive = inMemory.some(({ hasDevice }) => hasDevice);
          if (outcome.kind === 'unknown') {
            expect({ isAlive, inDatabase }).toEqual({ isAlive: false, inDatabase: [] });
          }
          if (outcome.kind === 'dead-token') {
            // Memory that still has it with a device says that it is back.
            const isGone = inDatabase?.length !== 0 && inDatabase?.every(({ hasDevice }) => !hasDevice);
            expect(isAlive).toBe(false);
            expect(isGone === true || one.fate === 'dead-token').toBe(true);
          }
          if (outcome.kind === 'accepted') {
            expect(['delivered', 'stored', 'superseded']).toContain(one.fate);
          }
        });
      }),
      { numRuns: 200 },
    );
  });
});
