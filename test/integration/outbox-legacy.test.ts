import { expect, test } from 'vitest';
import { encodeLegacyContent, readLegacyContent } from '../../src/codec/legacy-content.js';
import { systemClock } from '../../src/domain/clock.js';
import { parseAnyServiceId } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import { defaultOutboxOptions, PostgresOutbox } from '../../src/outbox/postgres-outbox.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { examplePush, serviceNamed } from '../simulators/store-examples.js';

const apns = serviceNamed('apns');
const tokens = ['h', 'z'.repeat(999), '../x', 'a b\n"\\', '\u{1f600}é'];

function legacyPush(token: string): Push {
  const serviceId = parseAnyServiceId(token);
  if (serviceId === null) throw new Error('a bad token in a test');
  const message = { alertTitle: 'Bchat', alertBody: "You've got a new message", data: `"${token}\\` };
  return examplePush(token, {
    account: Buffer.from(`an account of no known form ${token}`),
    device: { serviceId, serviceData: null },
    content: { kind: 'legacy', payload: encodeLegacyContent(message) },
  });
}

describeWithDatabases('the outbox', (fixture) => {
  test('keeps pushes of older clients as they were, whatever their tokens and accounts', async () => {
    const outbox = new PostgresOutbox({
      ...defaultOutboxOptions,
      database: await fixture.open(),
      clock: systemClock,
      log: silentLog(),
      metrics: new Metrics(),
      instanceId: 'one',
    });
    await outbox.start();
    try {
      const pushes = tokens.map(legacyPush);
      const nowMs = Date.now();
      for (const [index, push] of pushes.entries()) {
        expect(outbox.put({ push, dueAtMs: nowMs - 100 + index })).toBe(true);
      }
      await outbox.flush(5000);
      const claimed = await outbox.claim(apns, 10);
      expect(claimed.map((push) => ({ ...push, outboxId: null }))).toEqual(pushes);
      expect(claimed.map(({ content }) => readLegacyContent(content.payload)?.data)).toEqual(
        tokens.map((token) => `"${token}\\`),
      );
    } finally {
      outbox.close();
    }
  });
});
