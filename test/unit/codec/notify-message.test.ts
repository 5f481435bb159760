import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encode, type Encodable } from '../../../src/codec/bencode.js';
import { decodeNotifyMessage, type MalformedReason } from '../../../src/codec/notify-message.js';

interface Step {
  op: string;
  account?: string;
  namespace: number;
  hash: string;
  timestamp_ms: number;
  expiry_ms: number;
  data_hex: string;
  payload_without_data_hex: string;
  payload_with_data_hex: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/monitor-messages.json', import.meta.url), 'utf8'),
) as { state_sequence: { steps: Step[] } };

const messages = vectors.state_sequence.steps.filter((step) => step.op === 'message');

const account = Buffer.alloc(33, 5);
const hash = 'h'.repeat(43);

function frame(changes: Record<string, Encodable | null> = {}): Buffer {
  const dict = new Map<string, Encodable>([
    ['@', account],
    ['h', hash],
    ['n', 0],
    ['t', 1],
    ['z', 2],
  ]);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) dict.delete(key);
    else dict.set(key, value);
  }
  return encode(dict);
}

describe('decodeNotifyMessage', () => {
  it.each(messages)('reads the payload of a stored message in namespace $namespace', (step) => {
    const expected = {
      kind: 'swarm',
      account: Buffer.from(step.account ?? '', 'hex'),
      hash: Buffer.from(step.hash),
      namespace: step.namespace,
      timestampMs: step.timestamp_ms,
      expiryMs: step.expiry_ms,
    };
    expect(decodeNotifyMessage(Buffer.from(step.payload_without_data_hex, 'hex'))).toEqual({
      ...expected,
      data: null,
    });
    expect(decodeNotifyMessage(Buffer.from(step.payload_with_data_hex, 'hex'))).toEqual({
      ...expected,
      data: Buffer.from(step.data_hex, 'hex'),
    });
  });

  it.each<[string, Buffer, MalformedReason]>([
    ['an empty frame', Buffer.alloc(0), 'not-a-dict'],
    ['a list', Buffer.from('le'), 'not-a-dict'],
    ['an empty dict', Buffer.from('de'), 'missing-key'],
    ['a dict that never ends', Buffer.from('d'), 'bad-structure'],
    ['a missing account', frame({ '@': null }), 'missing-key'],
    ['a missing hash', frame({ h: null }), 'missing-key'],
    ['a missing namespace', frame({ n: null }), 'missing-key'],
    ['a missing time', frame({ t: null }), 'missing-key'],
    ['a missing expiry', frame({ z: null }), 'missing-key'],
    ['an account of 32 bytes', frame({ '@': account.subarray(1) }), 'bad-account'],
    ['an account of 34 bytes', frame({ '@': Buffer.alloc(34) }), 'bad-account'],
    ['an account that is a number', frame({ '@': 5 }), 'bad-account'],
    ['a hash of 31 bytes', frame({ h: 'h'.repeat(31) }), 'bad-hash'],
    ['a hash of 100 bytes', frame({ h: 'h'.repeat(100) }), 'bad-hash'],
    ['a namespace above 16 bits', frame({ n: 32768 }), 'bad-namespace'],
    ['a namespace below 16 bits', frame({ n: -32769 }), 'bad-namespace'],
    ['a namespace that is text', frame({ n: '1' }), 'bad-namespace'],
    ['a time that is a list', frame({ t: [1] }), 'bad-timestamp'],
    ['an expiry that is text', frame({ z: 'soon' }), 'bad-expiry'],
    ['a body above 76,800 bytes', frame({ '~': Buffer.alloc(76_801) }), 'bad-data'],
    ['a body that is a number', frame({ '~': 1 }), 'bad-data'],
    ['bytes behind the dict', Buffer.concat([frame(), Buffer.from('e')]), 'trailing-bytes'],
    ['a frame cut short', frame().subarray(0, 60), 'bad-hash'],
    ['a frame without its end', frame().subarray(0, -1), 'bad-structure'],
    ['a key twice', Buffer.from(frame().toString('latin1').replace('1:t', '1:n'), 'latin1'), 'unsorted-keys'],
    ['keys out of order', Buffer.from('d1:zi1e1:ti2ee'), 'unsorted-keys'],
    ['nesting beyond the limit', frame({ a: nested(33) }), 'too-deep'],
    ['a dict with a number for a key inside an unknown key', Buffer.from('d1:Adi1ei2eee'), 'bad-structure'],
  ])('refuses %s', (_name, input, reason) => {
    expect(decodeNotifyMessage(input)).toBe(reason);
  });

  it('refuses a million nested lists at once', () => {
    const input = Buffer.from(`d1:A${'l'.repeat(1_000_000)}`);
    const started = performance.now();
    expect(decodeNotifyMessage(input)).toBe('too-deep');
    expect(performance.now() - started).toBeLessThan(50);
  });

  it('skips unknown keys before, between and behind its own', () => {
    const input = frame({
      '!': [1, -2, 'x'],
      hash: new Map([['a', new Map([['b', nested(20)]])]]),
      o: 18446744073709551615n,
      '~~': '',
    });
    expect(decodeNotifyMessage(input)).toMatchObject({
      namespace: 0,
      timestampMs: 1,
      expiryMs: 2,
      data: null,
    });
  });

  it('takes the limits themselves', () => {
    const notice = decodeNotifyMessage(frame({ h: 'h'.repeat(99), n: -32768, '~': Buffer.alloc(76_800) }));
    if (typeof notice === 'string') throw new Error(notice);
    expect(notice.namespace).toBe(-32768);
    expect(notice.data?.length).toBe(76_800);
    expect(decodeNotifyMessage(frame({ h: 'h'.repeat(32), n: 32767 }))).toMatchObject({ namespace: 32767 });
  });

  it('clamps times that no number holds exactly', () => {
    expect(decodeNotifyMessage(frame({ z: 2n ** 63n - 1n }))).toMatchObject({
      expiryMs: Number.MAX_SAFE_INTEGER,
    });
  });

  it('gives views into the frame, not copies', () => {
    const input = frame({ '~': 'body' });
    const notice = decodeNotifyMessage(input);
    if (typeof notice === 'string') throw new Error(notice);
    for (const view of [notice.account, notice.hash, notice.data]) expect(view?.buffer).toBe(input.buffer);
  });

  it('works on a frame that is itself a view', () => {
    const inner = frame({ '~': 'body' });
    const outer = Buffer.concat([Buffer.from('xxxx'), inner, Buffer.from('yyyy')]);
    expect(decodeNotifyMessage(outer.subarray(4, 4 + inner.length))).toMatchObject({
      data: Buffer.from('body'),
    });
  });
});

function nested(levels: number): Encodable {
  let value: Encodable = [];
  for (let level = 1; level < levels; level += 1) value = [value];
  return value;
}
