import { describe, expect, it } from 'vitest';
import { registerGauges } from '../../../src/telemetry/gauges.js';
import { Metrics } from '../../../src/telemetry/metrics.js';

describe('docs/metrics.md', () => {
  it('lists every metric as the program registers it (npx vitest run test/unit/telemetry -u rewrites it)', async () => {
    const metrics = new Metrics();
    registerGauges(metrics, {
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
      xmpp: { countsByType: () => [], links: () => [] },
    });
    const rows = metrics.registry
      .getMetricsAsArray()
      .map((metric) => {
        const {
          name,
          help,
          labelNames = [],
        } = metric as unknown as {
          name: string;
          help: string;
          labelNames?: readonly string[];
        };
        return `| \`${name}\` | ${metric.constructor.name.toLowerCase()} | ${labelNames.join(', ')} | ${help} |`;
      })
      .sort();
    const text = [
      '# Metrics',
      '',
      'What `/metrics` on the admin listener tells, besides the process metrics of prom-client. Labels take values from',
      'fixed sets (notifiers of the configuration, words of ours), never from a peer.',
      '',
      '| name | type | label | meaning |',
      '| --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
    await expect(text).toMatchFileSnapshot('../../../docs/metrics.md');
  });
});
