import { describe, expect, it } from 'vitest';
import { createDeletedDevices, type UndeleteDeps } from '../../../src/actors/undelete.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { serviceNamed } from '../../simulators/store-examples.js';

const NOW_MS = 1_700_000_000_000;
const request = { service: serviceNamed('apns'), removedSinceMs: 5, dryRun: false };

/** Each kind of device has its own number of what comes back. */
function setUp({ fails = null }: { readonly fails?: 'legacy' | 'xmpp' | null } = {}) {
  const asked: unknown[] = [];
  const answer = (kind: 'legacy' | 'xmpp', number: number) => (given: unknown) => {
    asked.push([kind, given]);
    return fails === kind ? Promise.reject(new Error(`${kind} is away`)) : Promise.resolve(number);
  };
  const subscriptions: Pick<UndeleteDeps, 'tombstones' | 'subscriptions' | 'clock' | 'metrics'> = {
    tombstones: {
      countByService: () => Promise.resolve(new Map([[serviceNamed('apns'), 3]])),
      countRestorable(filter, nowSeconds) {
        asked.push(['subscriptions', filter, nowSeconds]);
        return Promise.resolve({ restored: 2, skipped: 1 });
      },
      restore(filter) {
        asked.push(['subscriptions', filter]);
        return Promise.resolve(null);
      },
    },
    subscriptions: null,
    clock: { nowMs: () => NOW_MS },
    metrics: new Metrics(),
  };
  const all: UndeleteDeps = {
    ...subscriptions,
    legacy: {
      count: () => Promise.resolve([{ brand: 'session', service: 'apns', devices: 4 }]),
      undelete: answer('legacy', 4),
    },
    xmpp: {
      count: () => Promise.resolve([{ service: 'firebase', devices: 6 }]),
      undelete: answer('xmpp', 6),
    },
  };
  return { asked, subscriptions, all };
}

describe('devices of all kinds that a provider called dead', () => {
  it('are told apart', async () => {
    const devices = createDeletedDevices(setUp().all);
    expect(await devices.countByService()).toEqual(new Map([['apns', 3]]));
    expect(await devices.countLegacy()).toEqual([{ brand: 'session', service: 'apns', devices: 4 }]);
    expect(await devices.countXmpp()).toEqual([{ service: 'firebase', devices: 6 }]);
  });

  it('come back by one filter', async () => {
    const { asked, all } = setUp();
    expect(await createDeletedDevices(all).undelete(request)).toEqual({
      restored: 0,
      skipped: 0,
      legacyRestored: 4,
      xmppRestored: 6,
    });
    const { service, removedSinceMs } = request;
    expect(asked).toEqual([
      ['subscriptions', { service, removedSinceMs }],
      ['legacy', request],
      ['xmpp', request],
    ]);
  });

  it('stay where they are when only asked about', async () => {
    const { asked, all } = setUp();
    const dry = { ...request, dryRun: true };
    expect(await createDeletedDevices(all).undelete(dry)).toEqual({
      restored: 2,
      skipped: 1,
      legacyRestored: 4,
      xmppRestored: 6,
    });
    expect(asked).toEqual([
      ['subscriptions', { service: 'apns', removedSinceMs: 5 }, NOW_MS / 1000],
      ['legacy', dry],
      ['xmpp', dry],
    ]);
  });

  it('are none of a kind that is not served', async () => {
    const devices = createDeletedDevices(setUp().subscriptions);
    expect([await devices.countLegacy(), await devices.countXmpp()]).toEqual([[], []]);
    expect(await devices.undelete(request)).toMatchObject({ legacyRestored: 0, xmppRestored: 0 });
  });

  it('are not said to be back when the database went away on the way', async () => {
    for (const fails of ['legacy', 'xmpp'] as const) {
      await expect(createDeletedDevices(setUp({ fails }).all).undelete(request)).rejects.toThrow(fails);
    }
  });
});
