import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../../src/uwpx/request.js';

const limits = { idMaxBytes: 64, accountsPerDevice: 3 };
const parse = (message: unknown) => parseRequest(Buffer.from(JSON.stringify(message)), limits);
const faultOf = (message: unknown): string => {
  const request = parse(message);
  return request.ok ? 'none' : request.error.fault;
};

const channel = { version: 2, action: 'set_channel_uri', device_id: 'd', channel_uri: 'u' };
const accounts = { version: 2, action: 'set_push_accounts', device_id: 'd', accounts: [] };

describe('a message of a client', () => {
  it.each(['version', 'device_id', 'channel_uri'])(
    'without %s is invalid, with another type of it malformed',
    (name) => {
      const { [name as keyof typeof channel]: _left, ...others } = channel;
      expect(faultOf(others)).toBe('invalid');
      for (const value of [null, true, [], {}, name === 'version' ? '2' : 7]) {
        expect(faultOf({ ...channel, [name]: value })).toBe('malformed');
      }
    },
  );

  it('is malformed as soon as one member is of another type, whatever else is missing', () => {
    expect(faultOf({ version: 9, action: 'set_channel_uri', device_id: '', channel_uri: 7 })).toBe(
      'malformed',
    );
    expect(faultOf({ ...accounts, version: 0, accounts: [{ account_id: 1 }] })).toBe('malformed');
  });

  it.each([0, 3, -1, 1.5, 1e300])('of version %d is invalid', (version) => {
    expect(faultOf({ ...channel, version })).toBe('invalid');
  });

  it.each([undefined, null, '', 'foo', 7, 'register_push', '__proto__'])(
    'of action %j is malformed',
    (action) => {
      expect(parse({ ...channel, action })).toEqual({
        ok: false,
        error: { kind: 'unknown', fault: 'malformed' },
      });
    },
  );

  it('may have further members, spaces around it, and a mark of byte order before it', () => {
    const text = `\ufeff\r\n ${JSON.stringify({ ...channel, more: [1] }, null, 4)}\n`;
    expect(parseRequest(Buffer.from(text), limits)).toEqual({
      ok: true,
      value: { kind: 'set-channel', version: 2, deviceId: 'd', channelUri: 'u' },
    });
  });

  it('is malformed when it is no UTF-8', () => {
    const text = Buffer.from(JSON.stringify(channel).replace('"d"', '"\xff"'), 'latin1');
    expect(parseRequest(text, limits)).toMatchObject({ error: { fault: 'malformed' } });
  });

  it('has ids up to so many bytes, which a database can store', () => {
    expect(faultOf({ ...channel, device_id: 'ä'.repeat(32) })).toBe('none');
    expect(faultOf({ ...channel, device_id: `${'ä'.repeat(32)}a` })).toBe('invalid');
    expect(faultOf({ ...channel, device_id: 'a\0b' })).toBe('invalid');
    expect(faultOf({ ...channel, device_id: '\ud800' })).toBe('invalid');
    expect(faultOf({ ...channel, device_id: '\ud83d\ude00' })).toBe('none');
  });
});

describe('a list of accounts', () => {
  it('may name them by id or, in the first generation, by JID', () => {
    const list = [{ account_id: 'a' }, { bare_jid: 'someClient@xmpp.uwpx.org' }];
    for (const action of ['set_push_accounts', 'set_accounts']) {
      expect(parse({ ...accounts, action, accounts: list })).toEqual({
        ok: true,
        value: {
          kind: 'set-accounts',
          version: 2,
          deviceId: 'd',
          accounts: [
            { kind: 'account-id', accountId: 'a' },
            {
              kind: 'bare-jid',
              accountId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
              bareJid: 'someClient@xmpp.uwpx.org',
              domain: 'xmpp.uwpx.org',
            },
          ],
        },
      });
    }
  });

  it.each([
    ['x'],
    [null],
    [7],
    [[]],
    [{}],
    [{ account_id: '' }],
    [{ bare_jid: '' }],
    [{ bare_jid: 'a'.repeat(2048) }],
  ])('with %j in it is invalid', (item) =>
    expect(faultOf({ ...accounts, accounts: [item] })).toBe('invalid'),
  );

  it.each([null, 'x', 7, {}])('that is %j is invalid', (list) => {
    expect(faultOf({ ...accounts, accounts: list })).toBe('invalid');
  });

  it('is read up to the limit', () => {
    const list = ['a', 'b', 'c', 'd'].map((account_id) => ({ account_id }));
    const request = parse({ ...accounts, accounts: list });
    expect(request.ok && request.value.kind === 'set-accounts' && request.value.accounts).toHaveLength(3);
  });
});

describe('a response from a client', () => {
  it('is known as one when it is valid', () => {
    expect(parse({ version: 2, action: 'response', status: 1 })).toEqual({
      ok: true,
      value: { kind: 'response' },
    });
    expect(faultOf({ version: 2, action: 'response' })).toBe('invalid');
    expect(faultOf({ version: 2, action: 'response', status: 'ok' })).toBe('malformed');
  });
});
