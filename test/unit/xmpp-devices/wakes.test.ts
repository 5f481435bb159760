import { describe, expect, it } from 'vitest';
import { readWakeMessage } from '../../../src/codec/wake-content.js';
import { noSummary } from '../../../src/domain/publish.js';
import type { DeviceType } from '../../../src/xmpp-devices/device-type.js';
import { Wakes } from '../../../src/xmpp-devices/wakes.js';
import { hashOf, p2Key, typeOf, v1Key } from './support.js';

const withBody = { ...noSummary, hasBody: true };
const messageOf = (type: DeviceType, key = v1Key('n'), summary = noSummary) =>
  readWakeMessage(new Wakes(type).compose(key, summary).content.payload);

describe('how a device is woken', () => {
  it.each([
    ['auto', true, 'high', 'high'],
    ['auto', false, 'silent', 'normal'],
    ['high', false, 'high', 'high'],
    ['silent', true, 'silent', 'normal'],
    ['voip', false, 'voip', 'high'],
  ] as const)('priority %s, body %s: %s', (priority, hasBody, urgency, pushPriority) => {
    const wakes = new Wakes(typeOf('apns', { priority, lifetimeMs: 86_400_000 }));
    for (const key of [v1Key('n'), p2Key(hashOf('a'))]) {
      const wake = wakes.compose(key, { ...noSummary, hasBody });
      expect(wake).toMatchObject({ urgency, priority: pushPriority, lifetimeMs: 86_400_000 });
      expect(readWakeMessage(wake.content.payload)?.urgency).toBe(urgency);
    }
  });

  it('a push that no provider shall keep lives until it has been tried', () => {
    const wake = new Wakes(typeOf('apns', { lifetimeMs: 0 })).compose(v1Key('n'), noSummary);
    expect(wake.lifetimeMs).toBe(30_000);
  });

  it('all clients of v1 share one buffer for each urgency', () => {
    const wakes = new Wakes(typeOf('apns'));
    const one = wakes.compose(v1Key('a'), withBody);
    expect(wakes.compose(v1Key('b'), { ...withBody, messageCount: 7 }).content.payload).toBe(
      one.content.payload,
    );
    expect(wakes.compose(v1Key('a'), noSummary).content.payload).not.toBe(one.content.payload);
  });

  it('says what the operator chose, and nothing of the message', () => {
    const type = typeOf('apns', { alertTitle: 'Hello', alertBody: null, mutableContent: false });
    expect(messageOf(type, v1Key('n'), withBody)).toEqual({
      urgency: 'high',
      alertTitle: 'Hello',
      alertBody: null,
      mutableContent: false,
      collapseKey: null,
      account: null,
      channel: null,
      raw: null,
    });
  });

  it.each([
    ['apns', 'high', 'xmpp-body-push'],
    ['apns', 'silent', 'xmpp-nobody-push'],
    ['apns', 'voip', 'xmpp-voip-push'],
    ['huawei', 'high', 'xmpp-body-push'],
    ['firebase', 'high', 'mod_push_appserver_fcm.collapse'],
    ['firebase', 'silent', 'mod_push_appserver_fcm.collapse'],
  ] as const)('collapses at %s, %s: %s; or not at all', (notifierType, priority, collapseKey) => {
    const type = typeOf('any', { notifierType, priority, collapse: true });
    expect(messageOf(type)?.collapseKey).toBe(collapseKey);
    expect(messageOf({ ...type, collapse: false })?.collapseKey).toBeNull();
  });

  it('tells a client of p2 which account, and which room, in words of its own', () => {
    const type = typeOf('fcm', { collapse: true });
    const account = hashOf('a');
    const channel = '0123456789'.repeat(4);
    expect(messageOf(type, p2Key(account), withBody)).toEqual({
      urgency: 'high',
      alertTitle: 'New message',
      alertBody: null,
      mutableContent: false,
      collapseKey: 'aaaaaa',
      account,
      channel: null,
      raw: null,
    });
    expect(messageOf(type, p2Key(account, channel))).toMatchObject({
      urgency: 'silent',
      collapseKey: '012345',
      account,
      channel,
    });
    expect(messageOf({ ...type, collapse: false }, p2Key(account))?.collapseKey).toBeNull();
  });
});
