import { afterEach, describe, expect, it, vi } from 'vitest';
import { Metrics } from '../../../src/telemetry/metrics.js';

describe('metrics', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are answered without a reading that hangs or fails', async () => {
    vi.useFakeTimers();
    const metrics = new Metrics();
    metrics.framesReceived.add(3);
    metrics.asyncLabelledGauge('test_hanging', 'h', 'of', () => new Promise(() => undefined));
    metrics.asyncLabelledGauge('test_failing', 'h', 'of', () => Promise.reject(new Error('away')));
    metrics.asyncLabelledGauge('test_good', 'h', 'of', () => Promise.resolve([['a', 1] as const]));
    const text = metrics.registry.metrics();
    await vi.advanceTimersByTimeAsync(3_000);
    const answer = await text;
    expect(answer).toContain('waggle_frames_received_total 3');
    expect(answer).toContain('test_good{of="a"} 1');
    expect(answer).not.toMatch(/^test_(hanging|failing)\{/m);
  });
});
