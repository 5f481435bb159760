import { describe, expect, it } from 'vitest';
import { commandInfos } from '../../../src/xmpp/commands.js';
import { p2Hash } from '../../../src/xmpp/identifiers.js';
import { errorOf, setUpSession } from './support.js';

const commands = 'http://jabber.org/protocol/commands';

function command(
  node: string,
  fields: Record<string, string> | null,
  more = "action='execute'",
  from = 'user@example.org/phone',
) {
  const form =
    fields === null
      ? ''
      : `<x xmlns='jabber:x:data' type='submit'>${Object.entries(fields)
          .map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
          .join('')}</x>`;
  return `<iq type='set' id='1' from='${from}' to='push.example'><command xmlns='${commands}' node='${node}' ${more}>${form}</command></iq>`;
}

const v1 = { type: 'fcm', node: 'n', token: 't' };
const account = 'user@example.org';

describe('commands', () => {
  it.each(commandInfos.map(({ node }) => node))('%s: cancel, wrong action', async (node) => {
    const { ask, registrations } = setUpSession();
    const canceled = await ask(command(node, null, "action='cancel' sessionid='s'"));
    expect(canceled.child('command', commands)?.attribute('status')).toBe('canceled');
    expect(canceled.child('command', commands)?.attribute('sessionid')).toBe('s');
    for (const action of ['next', 'prev', 'complete', '', 'x']) {
      const refused = await ask(command(node, v1, `action='${action}'`));
      expect(errorOf(refused)).toBe('modify/bad-request');
      expect(refused.child('error')?.child('bad-action', commands)).not.toBeNull();
    }
    expect(registrations.calls).toEqual([]);
  });

  it.each([
    '',
    'x',
    'register-push',
    'register-push-',
    'register-push-wns',
    'v1-register-push2',
    'register-push-toString',
  ])('there is no command "%s"', async (node) => {
    const { ask } = setUpSession();
    expect(errorOf(await ask(command(node, { token: 't', 'device-id': 'd' })))).toBe('cancel/item-not-found');
  });

  it.each([
    ['rate-limited', 'wait/resource-constraint'],
    ['unavailable', 'wait/internal-server-error'],
    ['throw', 'wait/internal-server-error'],
  ] as const)('when registrations are %s, the client may try again', async (failure, expected) => {
    const { ask, registrations } = setUpSession();
    registrations.failure = failure;
    const p2 = { token: 't', 'device-id': 'd' };
    for (const [node, fields] of [
      ['v1-register-push', v1],
      ['v1-unregister-push', v1],
      ['register-push-fcm', p2],
      ['unregister-push-fcm', p2],
    ] as const) {
      expect(errorOf(await ask(command(node, fields)))).toBe(expected);
    }
  });
});

describe('v1-register-push', () => {
  it.each([
    { ...v1, type: 'unknown' },
    { ...v1, type: '' },
    { ...v1, node: '' },
    { ...v1, type: 'x'.repeat(65) },
    { ...v1, node: 'x'.repeat(1_025) },
    { ...v1, token: 'x'.repeat(4_097) },
  ])('refuses what is no device (%#)', async (fields) => {
    const { ask } = setUpSession();
    expect(errorOf(await ask(command('v1-register-push', fields)))).toBe(
      'modify/not-acceptable/Unknown command data',
    );
  });

  it('refuses a token that the notifier does not take', async () => {
    const { ask, registrations } = setUpSession();
    registrations.failure = 'bad-token';
    expect(errorOf(await ask(command('v1-register-push', v1)))).toMatch(/^modify/);
    expect(errorOf(await ask(command('register-push-fcm', { token: 't', 'device-id': 'd' })))).toBe(
      'modify/bad-request',
    );
  });

  it('keeps what looks like markup', async () => {
    const { ask, registrations } = setUpSession();
    const answer = await ask(
      command('v1-register-push', { ...v1, node: '&lt;a b=&quot;c&quot;&gt;&amp;&apos;' }),
    );
    expect(registrations.calls[0]?.target).toMatchObject({ node: '<a b="c">&\'' });
    const fields = answer.child('command', commands)?.child('x', 'jabber:x:data')?.elements() ?? [];
    expect(fields[1]?.child('value')?.text()).toBe('<a b="c">&\'');
  });
});

describe('register-push-…', () => {
  const targetOf = async (node: string, fields: Record<string, string>, from?: string) => {
    const { ask, registrations } = setUpSession();
    await ask(command(node, fields, '', from));
    return registrations.calls[0]?.target;
  };

  it.each([
    ['register-push-fcm', 'fcm'],
    ['register-push-gcm', 'fcm'],
    ['register-push-FCM', 'fcm'],
    ['register-push-apns', 'apns'],
  ])('%s registers at %s', async (node, service) => {
    expect(await targetOf(node, { token: 't', 'device-id': 'd' })).toMatchObject({ service });
  });

  it('takes the Android id when the device id is missing or blank', async () => {
    const device = p2Hash(account, 'a');
    expect(await targetOf('register-push-fcm', { token: 't', 'android-id': 'a' })).toMatchObject({ device });
    const blank = { token: 't', 'device-id': ' ', 'android-id': 'a' };
    expect(await targetOf('register-push-fcm', blank)).toMatchObject({ device });
    const both = { token: 't', 'device-id': 'd', 'android-id': 'a' };
    expect(await targetOf('register-push-fcm', both)).toMatchObject({ device: p2Hash(account, 'd') });
  });

  it('takes the account from the sender, its escapes kept', async () => {
    const fields = { token: 't', 'device-id': 'd' };
    const from = 'd\\27artagnan@musketeers.lit/x/y';
    expect(await targetOf('register-push-fcm', fields, from)).toMatchObject({
      device: p2Hash('d\\27artagnan@musketeers.lit', 'd'),
      accountDomain: 'musketeers.lit',
    });
  });

  it('names a room by its address', async () => {
    const room = { token: 't', 'device-id': 'd', muc: 'Room@conference.example' };
    expect(await targetOf('register-push-fcm', room)).toMatchObject({
      channel: p2Hash('room@conference.example', 'd'),
    });
  });

  it.each([
    { 'device-id': 'd' },
    { token: ' ', 'device-id': 'd' },
    { token: 't' },
    { token: 't', 'device-id': ' ' },
    { token: 't', 'device-id': 'd', muc: 'room@conference.example/nick' },
    { token: 't', 'device-id': 'd', muc: '@' },
    null,
  ])('refuses what is not complete (%#)', async (fields) => {
    const { ask } = setUpSession();
    expect(errorOf(await ask(command('register-push-fcm', fields)))).toBe('modify/bad-request');
  });
});

describe('unregister-push-…', () => {
  const device = { 'device-id': 'd' };
  const room = { ...device, muc: 'room@conference.example' };

  it('answers with an empty command, and not-found when nothing was there', async () => {
    const { ask } = setUpSession();
    await ask(command('register-push-gcm', { ...device, token: 't' }));
    const answer = await ask(command('unregister-push-gcm', device));
    expect(answer.child('command', commands)?.attribute('action')).toBe('complete');
    expect(answer.child('command', commands)?.children).toEqual([]);
    expect(errorOf(await ask(command('unregister-push-gcm', device)))).toBe('cancel/item-not-found');
    expect(errorOf(await ask(command('unregister-push-gcm', {})))).toBe('modify/bad-request');
  });

  it('takes a room by address or by hash, and leaves the account alone', async () => {
    for (const named of [room, { ...device, channel: p2Hash('room@conference.example', 'd') }]) {
      const { ask } = setUpSession();
      await ask(command('register-push-fcm', { ...device, token: 't' }));
      await ask(command('register-push-fcm', { ...room, token: 't' }));
      expect(errorOf(await ask(command('unregister-push-fcm', named)))).toBe('');
      expect(errorOf(await ask(command('unregister-push-fcm', named)))).toBe('cancel/item-not-found');
      expect(errorOf(await ask(command('unregister-push-fcm', device)))).toBe('');
    }
  });

  it('refuses a hash that is none', async () => {
    const { ask, registrations } = setUpSession();
    for (const channel of ['x', 'A'.repeat(40), 'a'.repeat(39)]) {
      expect(errorOf(await ask(command('unregister-push-fcm', { ...device, channel })))).toBe(
        'modify/bad-request',
      );
    }
    expect(registrations.calls).toEqual([]);
  });
});
