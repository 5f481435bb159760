import { describe, expect, it } from 'vitest';
import { planDoors } from '../../../src/hive/doors.js';
import { randomKeyPair } from '../../simulators/storage-network/keys.js';

const keyPair = randomKeyPair();
const admin = 'ab'.repeat(32);
const none = { listen: null, listenCurve: null, listenCurveAdmin: null, listenCurveAdmins: [] };

function plan(options: Partial<Parameters<typeof planDoors>[0]>) {
  const doors = planDoors({ ...none, ...options }, keyPair);
  if (!doors.ok) return doors.error;
  return doors.value.map(({ name, level, curve }) => {
    const who = curve === null ? 'plain' : (curve.admits?.map((key) => key.toString('hex')).join() ?? 'all');
    return `${name} ${level} ${who}`;
  });
}

describe('the doors', () => {
  it('have one level each, and the admin level never together with everybody', () => {
    expect(plan({})).toEqual([]);
    expect(plan({ listen: 'ipc://x' })).toEqual(['session.listen admin plain']);
    expect(plan({ listenCurve: 'tcp://h:1' })).toEqual(['session.listenCurve none all']);
    expect(plan({ listenCurve: 'tcp://h:1', listenCurveAdmins: [admin] })).toEqual([
      `session.listenCurve admin ${admin}`,
    ]);
    expect(
      plan({ listenCurve: 'tcp://h:1', listenCurveAdmin: 'tcp://h:2', listenCurveAdmins: [admin] }),
    ).toEqual(['session.listenCurve none all', `session.listenCurveAdmin admin ${admin}`]);
    expect(plan({ listenCurveAdmin: 'tcp://h:2', listenCurveAdmins: [admin] })).toEqual([
      `session.listenCurveAdmin admin ${admin}`,
    ]);
  });

  it('are refused where nobody could come in, and for a key that is none', () => {
    expect(plan({ listenCurveAdmin: 'tcp://h:2' })).toMatch(/nobody could come in/);
    expect(plan({ listenCurve: 'tcp://h:2', listenCurveAdmins: ['12'] })).toMatch(/hex/);
  });
});
