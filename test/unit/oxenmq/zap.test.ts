import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideZap, type ZapRules } from '../../../src/oxenmq/zap.js';

const key = Buffer.alloc(32, 7);
const rules: ZapRules = new Map([
  ['plain', { mechanism: 'NULL', keys: null }],
  ['public', { mechanism: 'CURVE', keys: null }],
  ['admins', { mechanism: 'CURVE', keys: new Set([key.toString('hex')]) }],
]);

function ask(domain: string, mechanism: string, ...credentials: Buffer[]): string[] {
  const head = ['1.0', 'id', domain, '127.0.0.1', '', mechanism].map((text) => Buffer.from(text));
  return decideZap([...head, ...credentials], rules);
}

describe('the decision about a handshake', () => {
  it('goes by domain, mechanism and key', () => {
    expect(ask('plain', 'NULL')).toEqual(['1.0', 'id', '200', '', '', '']);
    expect(ask('public', 'CURVE', Buffer.alloc(32, 1))[2]).toBe('200');
    expect(ask('admins', 'CURVE', key)).toEqual(['1.0', 'id', '200', '', key.toString('hex'), '']);
    expect(ask('admins', 'CURVE', Buffer.alloc(32, 1))[2]).toBe('400');
    expect(ask('nowhere', 'NULL')[2]).toBe('400');
    expect(ask('admins', 'NULL')[2]).toBe('400');
    expect(ask('plain', 'CURVE', key)[2]).toBe('400');
    expect(ask('plain', 'PLAIN', Buffer.from('user'), Buffer.from('password'))[2]).toBe('400');
    expect(ask('admins', 'CURVE')[2]).toBe('500');
    expect(ask('admins', 'CURVE', key.subarray(1))[2]).toBe('500');
    expect(ask('admins', 'CURVE', key, key)[2]).toBe('500');
  });

  it('is made whatever is asked, and lets nobody in by accident', () => {
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom('1.0', 'admins', 'CURVE', 'NULL', '').map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 9 }), (frames) => {
        const admins = new Map([['admins', { mechanism: 'CURVE' as const, keys: new Set<string>() }]]);
        const reply = decideZap(frames, admins);
        return reply.length === 6 && (reply[2] === '400' || reply[2] === '500');
      }),
    );
  });
});
