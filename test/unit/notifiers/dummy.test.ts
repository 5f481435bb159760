import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/domain/clock.js';
import { createNotifiers } from '../../../src/notifiers/registry.js';
import { createLog } from '../../../src/telemetry/log.js';
import { legacyPushFor, never, pushFor, serviceName, wakePushFor } from '../../contract/notifier-fixtures.js';

describe('the dummy notifier', () => {
  it('delivers by one line in the log that tells nothing about the device', async () => {
    const lines: string[] = [];
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(chunk.toString());
        done();
      },
    });
    const { notifiers } = createNotifiers(
      { dummy: { type: 'dummy' } },
      { clock: systemClock, log: createLog({ level: 'info' }, sink) },
    );
    const token = 'secret-device-'.repeat(4);
    const notifier = notifiers.get(serviceName('dummy'));
    expect(await notifier?.send(pushFor(token), never)).toEqual({ kind: 'delivered' });
    expect(lines).toHaveLength(1);
    expect(await notifier?.send(legacyPushFor('secret', { data: 'secret' }), never)).toEqual({
      kind: 'delivered',
    });
    expect(lines).toHaveLength(2);
    expect(lines[1]).not.toContain('secret');
    const wake = wakePushFor('secret', { account: 'secret', alertTitle: 'secret' });
    expect(await notifier?.send(wake, never)).toEqual({ kind: 'delivered' });
    expect(lines[2]).not.toContain('secret');
    expect(lines[0]).toContain('dummy push');
    expect(lines[0]).not.toContain('secret');
    expect(notifier?.health().state).toBe('connected');
    await notifier?.close();
  });
});
