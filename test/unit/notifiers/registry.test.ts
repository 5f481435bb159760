import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/domain/clock.js';
import { createNotifiers, notifierTypes, type NotifierEntry } from '../../../src/notifiers/registry.js';
import { silentLog } from '../../../src/telemetry/log.js';

const create = (entries: Readonly<Record<string, NotifierEntry>>): ReturnType<typeof createNotifiers> =>
  createNotifiers(entries, { clock: systemClock, log: silentLog() });

describe('the registry', () => {
  it('knows the types', () => {
    expect([...notifierTypes].sort()).toEqual([
      'apns',
      'dummy',
      'firebase',
      'huawei',
      'unifiedpush',
      'webpush',
      'wns',
    ]);
  });

  it('starts what it can and says why it skips the rest', () => {
    const { notifiers, skipped } = create({
      dummy: { type: 'dummy' },
      apns: { type: 'apns', topic: 'com.example.app', sandbox: false },
      firebase: { type: 'firebase' },
      huawei: { type: 'huawei' },
      wns: { type: 'wns' },
      webpush: { type: 'webpush' },
      [`long${'x'.repeat(32)}`]: { type: 'dummy' },
    });
    expect([...notifiers.keys()]).toEqual(['dummy']);
    expect(skipped).toEqual([
      { service: 'apns', reason: 'keyFile is missing' },
      { service: 'firebase', reason: 'serviceAccountFile is missing' },
      { service: 'huawei', reason: expect.stringContaining('missing') as string },
      { service: 'wns', reason: expect.stringContaining('missing') as string },
      { service: 'webpush', reason: 'vapidKeyFiles is missing' },
      { service: `long${'x'.repeat(32)}`, reason: 'the name must have 1 to 32 bytes' },
    ]);
  });

  it('skips a type that it does not know', () => {
    const entry = { type: 'constructor' } as unknown as NotifierEntry;
    expect(create({ odd: entry }).skipped).toEqual([{ service: 'odd', reason: 'unknown type' }]);
  });
});
