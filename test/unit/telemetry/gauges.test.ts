import { describe, expect, it } from 'vitest';
import { registerGauges, type GaugeSources } from '../../../src/telemetry/gauges.js';
import { Metrics } from '../../../src/telemetry/metrics.js';

const nothing: GaugeSources = {
  index: { size: 0, accountCount: 0, reservedBytes: 0, countsByService: () => new Map() },
  network: () => ({
    nodes: 0,
    swarms: 0,
    linksUp: 0,
    linksPending: 0,
    accountsMonitored: 0,
    blockHeight: 0,
    lastListAtMs: null,
  }),
  actors: new Map(),
  outbox: { stats: () => Promise.resolve(new Map()), isFull: false, unwritten: 0 },
  deadTokenGuard: { alarmed: () => [] },
  clock: { nowMs: () => 0 },
  loadSeconds: () => 0,
  legacy: [],
};

describe('gauges', () => {
  it('tell devices of XMPP users by type, and connections that are up by domain', async () => {
    const metrics = new Metrics();
    registerGauges(metrics, {
      ...nothing,
      xmpp: {
        countsByType: () =>
          new Map([
            ['apns', 3],
            ['fcm', 0],
          ]),
        links: () => [
          { domain: 'push.example', state: 'online' },
          { domain: 'push.example', state: 'draining' },
          { domain: 'push.example', state: 'backing-off' },
          { domain: 'other.example', state: 'opening' },
        ],
      },
    });
    const text = await metrics.registry.metrics();
    expect(text).toContain('waggle_xmpp_devices{type="apns"} 3');
    expect(text).toContain('waggle_xmpp_devices{type="fcm"} 0');
    expect(text).toContain('waggle_xmpp_connections{domain="push.example"} 2');
    expect(text).toContain('waggle_xmpp_connections{domain="other.example"} 0');
  });

  it('of XMPP are absent where none of it is served', async () => {
    const metrics = new Metrics();
    registerGauges(metrics, nothing);
    expect(await metrics.registry.metrics()).not.toContain('waggle_xmpp_devices');
  });
});
