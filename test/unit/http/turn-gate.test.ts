import { describe, expect, it } from 'vitest';
import { TurnGate } from '../../../src/http/turn-gate.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a turn gate', () => {
  it('lets so many in per turn, in order of arrival', async () => {
    const gate = new TurnGate(2);
    const admitted: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      const wait = gate.enter();
      if (wait === null) admitted.push(index);
      else void wait.then(() => admitted.push(index));
    }
    expect(admitted).toEqual([0, 1]);
    await turn();
    expect(admitted).toEqual([0, 1, 2, 3]);
    await turn();
    expect(admitted).toEqual([0, 1, 2, 3, 4]);
  });

  it('has its full measure again after a quiet turn', async () => {
    const gate = new TurnGate(2);
    for (let round = 0; round < 3; round += 1) {
      expect(gate.enter()).toBeNull();
      expect(gate.enter()).toBeNull();
      await turn();
      await turn();
    }
  });

  it('does not let a latecomer pass those who wait', async () => {
    const gate = new TurnGate(1);
    const order: string[] = [];
    expect(gate.enter()).toBeNull();
    void gate.enter()?.then(() => order.push('first'));
    void gate.enter()?.then(() => order.push('second'));
    await turn();
    void gate.enter()?.then(() => order.push('late'));
    await turn();
    await turn();
    await turn();
    expect(order).toEqual(['first', 'second', 'late']);
  });
});
