import { describe, expect, it } from 'vitest';
import type { StartApp } from '../../../src/cli/command.js';
import { runCommandLine } from '../../../src/cli/run.js';
import { ConfigurationError } from '../../../src/config/problem.js';
import { eventually } from '../../simulators/eventually.js';
import { createTestWorld, run } from './support.js';

const quiet = ['--log.level=silent'];

function rejectingWith(error: Error): { startApp: StartApp } {
  return { startApp: () => Promise.reject(error) };
}

describe('serve', () => {
  it('starts the program with the configuration, prints the address, stops at SIGTERM and ends with 0', async () => {
    let port = 0;
    let stops = 0;
    const world = createTestWorld({
      env: { WAGGLE_HTTP__PORT: '1' },
      startApp: async (config) => {
        port = config.http.port;
        const stop = async (): Promise<void> => void (stops += 1);
        return { httpAddress: 'http://127.0.0.1:2', adminAddress: 'http://127.0.0.1:3', stop };
      },
    });
    const code = runCommandLine(['serve', '--http.port=2', ...quiet], world);
    await eventually(() => world.stdout() !== '');
    expect(world.stdout()).toBe('http listening on http://127.0.0.1:2');
    expect(port).toBe(2);
    world.events.emit('SIGTERM');
    expect(await code).toBe(0);
    expect(stops).toBe(1);
  });

  it('ends with 78 when the program finds the configuration unusable', async () => {
    const problem = { key: 'keys.server', origin: 'default', message: 'is no key' };
    const { code, stderr } = await run(['serve', ...quiet], rejectingWith(new ConfigurationError([problem])));
    expect(code).toBe(78);
    expect(stderr).toBe('error: keys.server: is no key (default)');
  });

  it('ends with 1 when the program cannot start, without secrets in the message', async () => {
    const error = new Error('cannot reach postgresql://u:pa55@h/d');
    const { code, stderr } = await run(['serve', ...quiet], rejectingWith(error));
    expect(code).toBe(1);
    expect(stderr).toContain('cannot start: cannot reach');
    expect(stderr).not.toContain('pa55');
  });

  it('passes on the text of errors that are written for operators', async () => {
    const error = Object.assign(new Error('key file /etc/waggle-2026-production/key is malformed'), {
      name: 'StartError',
    });
    const { stderr } = await run(['serve', ...quiet], rejectingWith(error));
    expect(stderr).toBe(`waggle: cannot start: ${error.message}`);
  });
});
