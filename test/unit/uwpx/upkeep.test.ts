import { beforeEach, describe, expect, it } from 'vitest';
import { deviceOfChannel, parseChannelUri } from '../../../src/codec/wns-channel-uri.js';
import { readWakeMessage } from '../../../src/codec/wake-content.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { parseServiceName } from '../../../src/domain/ids.js';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push } from '../../../src/domain/push.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { ChannelDevices } from '../../../src/uwpx/channel-device.js';
import { defaultCleanUpOptions, UwpxCleanUp, type CleanUpOptions } from '../../../src/uwpx/clean-up.js';
import type { UwpxDeviceId } from '../../../src/uwpx/port.js';
import { NotifierTestPush } from '../../../src/uwpx/test-push.js';
import { UwpxTokenHolders } from '../../../src/uwpx/token-holders.js';
import { MemoryUwpxStore } from '../../simulators/memory-uwpx-store.js';
import { addDevice, channelOf, DAY_MS, NOW_MS, WNS } from './examples.js';

let store: MemoryUwpxStore;
const clock = { nowMs: () => NOW_MS };

beforeEach(() => {
  store = new MemoryUwpxStore();
});

describe('cleaning up', () => {
  const removed: number[] = [];
  const cleanUp = (options: Partial<CleanUpOptions> = {}): UwpxCleanUp => {
    removed.length = 0;
    return new UwpxCleanUp(
      { store, clock, log: silentLog(), onRemoved: (count) => removed.push(count) },
      { ...defaultCleanUpOptions, ...options },
    );
  };

  it('removes what gave no sign of life for 210 days, and what lost its channel 7 days ago', async () => {
    await addDevice(store, 'idle', { nowMs: NOW_MS - 210 * DAY_MS - 1 });
    await addDevice(store, 'quiet', { nowMs: NOW_MS - 210 * DAY_MS });
    await addDevice(store, 'lost');
    store.forgetChannel('lost', NOW_MS - 7 * DAY_MS - 1);
    await addDevice(store, 'returning');
    store.forgetChannel('returning', NOW_MS - 7 * DAY_MS);
    expect(await cleanUp().run()).toBe(2);
    expect([...store.devices.keys()]).toEqual(['quiet', 'returning']);
  });

  it('takes small steps, and only so many', async () => {
    for (let i = 0; i < 10; i += 1) await addDevice(store, `idle${i}`, { nowMs: 0 });
    const small = cleanUp({ devicesPerStep: 2, stepsPerRun: 3 });
    expect(await Promise.all([small.run(), small.run()])).toEqual([6, 6]);
    expect(removed).toEqual([2, 2, 2]);
    expect(await small.run()).toBe(4);
    expect(removed).toEqual([2, 2, 2, 2, 2, 0]);
  });

  it('lives with a database that is away', async () => {
    await addDevice(store, 'idle', { nowMs: 0 });
    store.before = () => Promise.reject(new Error('away'));
    expect(await cleanUp().run()).toBe(0);
    store.before = () => Promise.resolve();
    expect(await cleanUp().run()).toBe(1);
  });
});

describe('a channel that WNS calls dead', () => {
  const holders = (channels = new ChannelDevices()): UwpxTokenHolders =>
    new UwpxTokenHolders({ store, channels, service: WNS, clock });

  it('is lost by the devices that have it, unless they set it since', async () => {
    await addDevice(store, 'a', { nowMs: NOW_MS - 5 });
    const { serviceId } = new ChannelDevices().deviceOf(channelOf('a'));
    const [holder] = holders().holdersOf(WNS, serviceId);
    expect(await holder?.tokenDied(NOW_MS - 5)).toBe(false);
    expect(await holder?.tokenDied(NOW_MS)).toBe(true);
    expect(store.devices.get('a')).toMatchObject({ channelUri: null, channelLostAtMs: NOW_MS });
    expect(await holder?.tokenDied(NOW_MS)).toBe(false);
  });

  it('is found also when it is too long for a service id', async () => {
    const channelUri = parseChannelUri(`https://db5p.notify.windows.com/?token=${'x'.repeat(1500)}`);
    if (channelUri === null) throw new Error('a bad example');
    await addDevice(store, 'a', { channelUri });
    const channels = new ChannelDevices();
    const { serviceId } = channels.deviceOf(channelUri);
    expect(serviceId).toHaveLength(64);
    const [holder] = holders(channels).holdersOf(WNS, serviceId);
    expect(await holder?.tokenDied(NOW_MS + 1)).toBe(true);
  });

  it('is nobody of ours when another service or another kind of client has it', () => {
    const { serviceId } = new ChannelDevices().deviceOf(channelOf('a'));
    const other = parseServiceName('other');
    if (other === null) throw new Error('a bad example');
    expect(holders().holdersOf(other, serviceId)).toEqual([]);
    expect(holders().holdersOf(WNS, deviceOfChannel(channelOf('a')).serviceId)).toEqual([]);
  });

  it('is one of as many as there were at the last count', async () => {
    const counting = holders();
    await addDevice(store, 'a');
    expect(counting.countOf(WNS)).toBe(0);
    await counting.refresh();
    expect(counting.countOf(WNS)).toBe(1);
  });
});

describe('a test push', () => {
  const dead: Push[] = [];
  const sent: Push[] = [];
  const testPush = (send: (signal: AbortSignal) => Promise<Outcome>): NotifierTestPush => {
    dead.length = 0;
    sent.length = 0;
    return new NotifierTestPush(
      {
        send: (push, signal) => {
          sent.push(push);
          return send(signal);
        },
        onDeadToken: (push) => dead.push(push),
        channels: new ChannelDevices(),
        clock,
        randomBytes: createRandomBytes(),
      },
      { service: WNS, timeoutMs: 20 },
    );
  };
  const wish = { deviceId: 'd' as UwpxDeviceId, channelUri: channelOf('d'), body: '<test/>' };

  it('goes straight to the notifier', async () => {
    expect(await testPush(() => Promise.resolve({ kind: 'delivered' })).send(wish)).toBe(true);
    const [push] = sent;
    expect(push).toMatchObject({ service: WNS, priority: 'high', device: { serviceId: channelOf('d') } });
    expect(push?.dedupeKey).toHaveLength(16);
    expect(push?.content.kind === 'wake' && readWakeMessage(push.content.payload)?.raw).toBe('<test/>');
  });

  it.each<Outcome>([
    { kind: 'dead-token', reason: 'gone', sinceMs: null },
    { kind: 'retry', reason: 'x', cause: 'server', afterMs: null, scope: 'push' },
    { kind: 'postponed', reason: 'x', afterMs: 1 },
    { kind: 'dropped', reason: 'x' },
    { kind: 'misconfigured', reason: 'x' },
  ])('has failed with %j, and a dead channel is told of', async (outcome) => {
    expect(await testPush(() => Promise.resolve(outcome)).send(wish)).toBe(false);
    expect(dead).toHaveLength(outcome.kind === 'dead-token' ? 1 : 0);
  });

  it('is given up when there is no outcome in time', async () => {
    const signals: AbortSignal[] = [];
    const hanging = testPush((signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    expect(await hanging.send(wish)).toBe(false);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });
});
