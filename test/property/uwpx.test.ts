import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { uwpxErrors } from '../../src/uwpx/answers.js';
import { defaultUwpxLimits } from '../../src/uwpx/limits.js';
import { MessageBuffer } from '../../src/uwpx/message-buffer.js';
import { UwpxService } from '../../src/uwpx/service.js';
import { MemoryUwpxStore } from '../simulators/memory-uwpx-store.js';

describe('the message buffer', () => {
  const message = fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes.map((byte) => byte || 1));

  it('finds the same messages in whatever pieces they come', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 20 }),
        message,
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        fc.boolean(),
        (messages, rest, sizes, takesAtOnce) => {
          const stream = Buffer.concat([...messages.flatMap((bytes) => [bytes, Buffer.from([0])]), rest]);
          const buffer = new MessageBuffer(40);
          const found: string[] = [];
          const takeAll = (): void => {
            for (let next = buffer.take(); next !== null; next = buffer.take())
              found.push(next.toString('hex'));
          };
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            buffer.append(Buffer.from(stream.subarray(at, at + size)));
            at += size;
            if (takesAtOnce) takeAll();
          }
          takeAll();
          expect(found).toEqual(messages.map((bytes) => Buffer.from(bytes).toString('hex')));
          expect(buffer.peek().toString('hex')).toBe(Buffer.from(rest).toString('hex'));
          expect(buffer.isTooLong).toBe(false);
        },
      ),
    );
  });

  it('says of every message that is too long that it is, whole or not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 41, max: 200 }),
        fc.integer({ min: 1, max: 60 }),
        fc.boolean(),
        (length, size, isWhole) => {
          const stream = Buffer.from('ab\0' + 'a'.repeat(length) + (isWhole ? '\0' : ''));
          const buffer = new MessageBuffer(40);
          const found: string[] = [];
          for (let at = 0; at < stream.length && !buffer.isTooLong; at += size) {
            buffer.append(stream.subarray(at, at + size));
            for (let next = buffer.take(); next !== null; next = buffer.take()) found.push(next.toString());
          }
          expect({ found, isTooLong: buffer.isTooLong }).toEqual({ found: ['ab'], isTooLong: true });
        },
      ),
    );
  });
});

describe('a message', () => {
  const store = new MemoryUwpxStore();
  const service = new UwpxService(
    {
      store,
      account: null,
      testPush: { send: () => Promise.resolve(true) },
      clock: systemClock,
      randomBytes: createRandomBytes(),
      metrics: new Metrics(),
      log: silentLog(),
    },
    { pushAddress: 'push.example', limits: defaultUwpxLimits },
  );
  const sender = { key: 'any', isExempt: true };
  const known = new Set<string>(Object.values(uwpxErrors));

  /** What of a message an attacker, or a client of tomorrow, may have changed. */
  const odd = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.constantFrom('d', 'e', null, '', 1, 2, '\0', '\ud800'),
    fc.jsonValue(),
  );
  const record = fc.record(
    {
      version: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(1, 2) }, odd),
      action: fc.oneof(
        {
          weight: 6,
          arbitrary: fc.constantFrom(
            'set_channel_uri',
            'set_push_accounts',
            'set_accounts',
            'request_test_push',
            'response',
          ),
        },
        odd,
      ),
      device_id: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('d', 'e') }, odd),
      channel_uri: fc.oneof(
        { weight: 4, arbitrary: fc.constant('https://db5p.notify.windows.com/?token=abc') },
        odd,
      ),
      accounts: fc.oneof(
        {
          weight: 4,
          arbitrary: fc.array(fc.oneof(fc.record({ account_id: odd }), fc.record({ bare_jid: odd }), odd)),
        },
        odd,
      ),
      status: odd,
    },
    { requiredKeys: [] },
  );

  it('of any kind has exactly one answer, in the form of the protocol', async () => {
    const input = fc.oneof(
      record.map((value) => Buffer.from(JSON.stringify(value))),
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 200 }),
    );
    await fc.assert(
      fc.asyncProperty(input, async (bytes) => {
        const { bytes: answer } = await service.answer(bytes, sender);
        expect(answer.indexOf(0)).toBe(answer.length - 1);
        const text = answer.toString('utf8', 0, answer.length - 1);
        const parsed = JSON.parse(text) as Record<string, unknown>;
        expect(JSON.stringify(parsed)).toBe(text);
        expect(Object.keys(parsed)).toEqual(Object.keys(parsed).sort());
        expect(parsed).toMatchObject({ action: 'response', version: 2 });
        if (parsed['status'] === 0) expect(known).toContain(parsed['error']);
        else expect(parsed['status']).toBe(1);
        expect(parsed['error']).not.toBe(uwpxErrors.failed);
      }),
      { numRuns: 500 },
    );
    expect(store.devices.size).toBeGreaterThan(0);
  });
});
