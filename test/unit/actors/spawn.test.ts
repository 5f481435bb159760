import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createActorSystem } from '../../../src/actors/spawn.js';
import { systemClock } from '../../../src/domain/clock.js';
import { createLog, silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';

const deps = () => ({ log: silentLog(), metrics: new Metrics(), clock: systemClock });

describe('an actor', () => {
  it('handles one message at a time, in order, also when handlers wait', async () => {
    const system = createActorSystem(deps());
    const seen: string[] = [];
    const actor = system.spawn<number, null>({
      name: 'a',
      kind: 'test',
      initial: null,
      handle: async (_state, message) => {
        seen.push(`start ${message}`);
        await new Promise((resolve) => setTimeout(resolve, 3 - message));
        seen.push(`end ${message}`);
        return null;
      },
    });
    for (const message of [1, 2, 3]) actor.tell(message);
    expect(actor.pending).toBe(3);
    await actor.stop();
    expect(seen).toEqual(['start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3']);
    expect(actor.tell(4)).toBe(false);
    await system.stop();
  });

  it('keeps its state and goes on after a fault, and the log never sees the message', async () => {
    let written = '';
    const log = createLog(
      { level: 'debug' },
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          written += chunk.toString();
          done();
        },
      }),
    );
    const metrics = new Metrics();
    const system = createActorSystem({ log, metrics, clock: systemClock });
    const states: number[] = [];
    const actor = system.spawn<string, number>({
      name: 'a',
      kind: 'test',
      initial: 1,
      handle: (state, message) => {
        states.push(state);
        if (message.startsWith('secret')) throw new Error(`cannot handle ${message}`);
        return state + 1;
      },
    });
    actor.tell('ok');
    actor.tell('secret-token');
    actor.tell('ok');
    await actor.stop();
    expect(states).toEqual([1, 2, 2]);
    expect(metrics.actorFailures.of('test').value).toBe(1);
    expect(written).toContain('actor handler failed');
    expect(written).not.toContain('secret-token');
    await system.stop();
  });

  it('may stop itself when idle and be made again under the same name without losing a message', async () => {
    const system = createActorSystem(deps());
    let handled = 0;
    let current: { tell(message: number): boolean } | null = null;
    const tell = (message: number): void => {
      current ??= system.spawn<number, null>({
        name: 'virtual',
        kind: 'test',
        initial: null,
        handle: async () => {
          handled += 1;
          if (handled % 3 === 0) await Promise.resolve();
          return null;
        },
        onIdle: (self) => {
          current = null;
          void self.stop();
        },
      });
      expect(current.tell(message)).toBe(true);
    };
    for (let i = 0; i < 2000; i += 1) {
      tell(i);
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => handled === 2000, { what: 'every message handled' });
    expect(system.size).toBe(0);
    await system.stop();
  });
});
