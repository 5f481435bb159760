import { describe, expect, it } from 'vitest';
import { encodeLegacyContent } from '../../../src/codec/legacy-content.js';
import { pushOfRow, waitingRow } from '../../../src/outbox/outbox-rows.js';
import { legacyPushFor, pushFor, wakePushFor } from '../../contract/notifier-fixtures.js';

const payload = encodeLegacyContent({ alertTitle: 'Session', alertBody: 'new', data: 'MQ==' });

/** In the order of `claimRows`. */
const row = (changes: Record<number, unknown> = {}): unknown[] =>
  Object.assign(
    [
      '018f0000-0000-7000-8000-000000000001',
      'apns',
      Buffer.from('05a1'),
      'h',
      null,
      payload,
      'legacy',
      'high',
      2_000_000_000_000,
      Buffer.alloc(16, 7),
      1_900_000_000_000,
      2,
    ],
    changes,
  );

describe('a row of the outbox', () => {
  it('may be an older client’s: its content, an account of any form and a token of one byte', () => {
    expect(pushOfRow(row())).toEqual({
      service: 'apns',
      account: Buffer.from('05a1'),
      device: { serviceId: 'h', serviceData: null },
      content: { kind: 'legacy', payload },
      priority: 'high',
      expiresAtMs: 2_000_000_000_000,
      dedupeKey: Buffer.alloc(16, 7),
      receivedAtMs: 1_900_000_000_000,
      attempts: 2,
      outboxId: '018f0000-0000-7000-8000-000000000001',
    });
  });

  it.each(['x'.repeat(999), 'é'.repeat(499), '../x', 'a b\n'])(
    'has any token of up to 999 bytes: %j',
    (token) => {
      expect(pushOfRow(row({ 3: token }))?.device.serviceId).toBe(token);
    },
  );

  it.each<[string, Record<number, unknown>]>([
    ['content of a newer program', { 6: 'melted' }],
    ['another priority', { 7: 'huge' }],
    ['no token', { 3: '' }],
    ['too long a token', { 3: 'x'.repeat(1000) }],
    ['no service', { 1: '' }],
  ])('is none of ours with %s', (_case, changes) => {
    expect(pushOfRow(row(changes))).toBeNull();
  });

  it.each(['sealed', 'unsealed', 'legacy', 'wake'] as const)('may hold %s content', (kind) => {
    expect(pushOfRow(row({ 6: kind }))?.content).toEqual({ kind, payload });
  });
});

describe('a push on its way into the outbox', () => {
  const rest = { id: Buffer.alloc(16), dueAtMs: 1, claimed: false, onStored: null, onLost: null };

  it('takes along a buffer that it shares with others, and copies one that is its own', () => {
    for (const push of [legacyPushFor('x'), wakePushFor('x')]) {
      expect(waitingRow(push, rest)).toMatchObject({ contentKind: push.content.kind });
      expect(waitingRow(push, rest).payload).toBe(push.content.payload);
    }
    const sealed = pushFor('x');
    expect(waitingRow(sealed, rest).payload).toEqual(sealed.content.payload);
    expect(waitingRow(sealed, rest).payload).not.toBe(sealed.content.payload);
  });
});
