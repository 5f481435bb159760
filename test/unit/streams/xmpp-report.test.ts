import { describe, expect, it } from 'vitest';
import { countRegistrations, createXmppReport } from '../../../src/streams/xmpp-report.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import type { Registrations, V1Target } from '../../../src/xmpp/port.js';

const target: V1Target = { kind: 'v1', type: 'apns', node: 'secret-node', accountDomain: null };

describe('the report of what happens on connections to XMPP servers', () => {
  it('counts answers by request and kind, with the time that they took', async () => {
    const metrics = new Metrics();
    const report = createXmppReport(metrics);
    report.answered('publish', 'result', 3);
    report.answered('publish', 'result', 700);
    report.answered('command', 'wait', 1);
    report.answerLost();
    report.unanswerable();
    report.connected('push.example');
    report.ended('push.example', 'conflict');
    const text = await metrics.registry.metrics();
    expect(text).toContain('waggle_xmpp_answers_total{request="publish",answer="result"} 2');
    expect(text).toContain('waggle_xmpp_answers_total{request="command",answer="wait"} 1');
    expect(text).toContain('waggle_xmpp_answer_seconds_bucket{le="0.005",request="publish"} 1');
    expect(text).toContain('waggle_xmpp_answer_seconds_count{request="publish"} 2');
    expect(text).toContain('waggle_xmpp_answers_lost_total 1');
    expect(text).toContain('waggle_xmpp_unanswerable_total 1');
    expect(text).toContain('waggle_xmpp_connects_total{domain="push.example"} 1');
    expect(text).toContain('waggle_xmpp_ends_total{domain="push.example",reason="conflict"} 1');
  });

  it('counts registrations by way and outcome, and hands on what they say', async () => {
    const metrics = new Metrics();
    const registrations: Registrations = {
      register: (_target, token) =>
        token === ''
          ? Promise.reject(new Error('away'))
          : Promise.resolve({ kind: 'registered', node: 'n', secret: 's' }),
      unregister: () => Promise.resolve({ kind: 'not-found' }),
    };
    const overHttp = countRegistrations(registrations, 'http', metrics);
    const overCommands = countRegistrations(registrations, 'command', metrics);
    expect(await overHttp.register(target, 'token')).toEqual({ kind: 'registered', node: 'n', secret: 's' });
    expect(await overCommands.unregister(target)).toEqual({ kind: 'not-found' });
    await expect(overCommands.register(target, '')).rejects.toThrow('away');
    const text = await metrics.registry.metrics();
    const name = 'waggle_xmpp_registrations_total';
    expect(text).toContain(`${name}{way="http",request="register",outcome="registered"} 1`);
    expect(text).toContain(`${name}{way="command",request="unregister",outcome="not-found"} 1`);
    expect(text).toContain(`${name}{way="command",request="register",outcome="unavailable"} 1`);
    expect(text).not.toContain('secret-node');
  });
});
