import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceName } from '../../src/domain/ids.js';
import type { Subscription } from '../../src/domain/subscription.js';
import { SubscriptionIndex } from '../../src/subscription-index/subscription-index.js';
import { accountOf, bytesOf, makeSubscription, tokenOf } from '../simulators/subscriptions.js';

const NAMESPACES = [-11, 0, 1, 2];

type Step =
  | {
      readonly kind: 'upsert';
      readonly account: number;
      readonly device: number;
      readonly namespaces: number[];
      readonly long: boolean;
    }
  | { readonly kind: 'remove'; readonly account: number; readonly device: number; readonly long: boolean };

const place = { account: fc.nat({ max: 12 }), device: fc.nat({ max: 3 }), long: fc.boolean() };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('upsert' as const),
    ...place,
    namespaces: fc.subarray(NAMESPACES, { minLength: 1 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), ...place }),
);

const service = (long: boolean): ServiceName => (long ? 'firebase' : 'apns') as ServiceName;
const serviceId = (device: number, long: boolean) =>
  (long ? `${tokenOf(`${device}`)}:Xyz-Ü` : tokenOf(`${device}`)) as Subscription['serviceId'];
const keyOf = (s: { account: number; device: number; long: boolean }) => ({
  account: accountOf(`${s.account}`, s.account % 2 === 0 ? 5 : 3),
  service: service(s.long),
  serviceId: serviceId(s.device, s.long),
});

describe('the subscription index', () => {
  it('always agrees with a plain map of subscriptions', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), (steps, seed) => {
        const index = new SubscriptionIndex(seed);
        const model = new Map<string, Subscription>();
        for (const current of steps) {
          const key = keyOf(current);
          const id = `${key.account.toString('hex')} ${key.service} ${key.serviceId}`;
          const accountKnown = [...model.keys()].some((other) =>
            other.startsWith(key.account.toString('hex')),
          );
          if (current.kind === 'upsert') {
            const subscription = makeSubscription(`${current.account}`, {
              ...key,
              namespaces: current.namespaces,
            });
            const { slot, monitorChanged } = index.upsert(subscription);
            expect(index.slotOf(key.account)).toBe(slot);
            if (!accountKnown) expect(monitorChanged).toBe(true);
            model.set(id, subscription);
          } else {
            const removal = index.remove(key);
            expect(removal.kind !== 'absent').toBe(model.delete(id));
            const left = [...model.keys()].some((other) => other.startsWith(key.account.toString('hex')));
            if (removal.kind !== 'absent') expect(removal.kind).toBe(left ? 'removed' : 'account-removed');
          }
        }
        expect(index.size).toBe(model.size);
        const accounts = new Set([...model.values()].map((s) => s.account.toString('hex')));
        expect(index.accountCount).toBe(accounts.size);
        for (let account = 0; account <= 12; account += 1) {
          const id = accountOf(`${account}`, account % 2 === 0 ? 5 : 3);
          for (const namespace of NAMESPACES) {
            const expected = [...model.values()]
              .filter((s) => s.account.equals(id) && s.namespaces.includes(namespace))
              .map((s) => `${s.service} ${s.serviceId} ${s.encryptionKey.toString('hex')}`);
            const matched = index
              .match(id, namespace)
              .map((m) => `${m.service} ${m.device.serviceId} ${m.encryptionKey.toString('hex')}`);
            expect(matched.sort()).toEqual(expected.sort());
          }
        }
        let live = 0;
        for (let slot = 0; slot < index.slotLimit; slot += 1) if (index.isLive(slot)) live += 1;
        expect(live).toBe(accounts.size);
      }),
      { numRuns: 150 },
    );
  });

  it('registers, of all subscriptions of an account, those that no other covers', () => {
    const device = fc.record({
      namespaces: fc.subarray(NAMESPACES, { minLength: 1 }),
      wantData: fc.boolean(),
      subaccount: fc.constantFrom(null, 'a', 'b'),
      signedAtSeconds: fc.integer({ min: 1_700_000_000, max: 1_700_000_003 }),
    });
    type Wanted = (typeof device extends fc.Arbitrary<infer T> ? T : never) & { readonly at: number };
    const covers = (one: Wanted, other: Wanted): boolean =>
      (one.wantData || !other.wantData) &&
      one.subaccount === other.subaccount &&
      other.namespaces.every((namespace) => one.namespaces.includes(namespace));
    const isSuperfluous = (one: Wanted, all: readonly Wanted[]): boolean =>
      all.some((other) => {
        if (other === one || !covers(other, one)) return false;
        if (!covers(one, other)) return true;
        const newer = other.signedAtSeconds - one.signedAtSeconds;
        return newer > 0 || (newer === 0 && other.at < one.at);
      });
    fc.assert(
      fc.property(
        fc.array(device, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(3, 5, 0xbd),
        (devices, prefix) => {
          const index = new SubscriptionIndex(1);
          const all = devices.map((wanted, at) => ({ ...wanted, at }));
          for (const { at, namespaces, wantData, subaccount, signedAtSeconds } of all) {
            const account = accountOf('one', prefix);
            const { authorisation } = makeSubscription('one', { account });
            index.upsert(
              makeSubscription('one', {
                account,
                serviceId: tokenOf(`${at}`),
                namespaces,
                wantData,
                authorisation: {
                  ...authorisation,
                  ed25519Key: prefix === 3 ? null : bytesOf('ed25519', 32),
                  signedAtSeconds,
                  signature: bytesOf(`${at}`, 64),
                  subaccount:
                    subaccount === null
                      ? null
                      : { tag: bytesOf(subaccount, 36), signature: bytesOf(subaccount, 64) },
                },
              }),
            );
          }
          const sent: string[] = [];
          const count = index.appendMonitorEntries(0, 1_700_000_100, {
            append: (bytes) => sent.push(bytes.toString('hex')),
          });
          expect(count).toBe(sent.length);
          const expected = all.filter((one) => !isSuperfluous(one, all));
          expect(sent).toHaveLength(expected.length);
          for (const { at } of expected) {
            const signature = bytesOf(`${at}`, 64).toString('hex');
            expect(sent.some((entry) => entry.includes(signature))).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
