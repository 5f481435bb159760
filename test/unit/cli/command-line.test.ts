import { describe, expect, it } from 'vitest';
import { run } from './support.js';

const commands = ['serve', 'check-config', 'keygen', 'migrate'];

describe('the command line', () => {
  it('shows help for everything and for each command, with examples', async () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { code, stdout } = await run(argv);
      expect(code).toBe(0);
      for (const command of commands) expect(stdout).toContain(`waggle ${command} `);
    }
    for (const command of commands) {
      const asked = await run([command, '--help']);
      expect(asked).toMatchObject({ code: 0, stderr: '' });
      expect(asked.stdout).toMatch(new RegExp(`^  .*waggle ${command} `, 'm'));
      expect(await run(['help', command])).toEqual(asked);
    }
  });

  it('shows the version', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^waggle \d+\.\d+\.\d+/);
  });

  it('ends with 64 on wrong usage and names what is nearest', async () => {
    expect(await run([])).toMatchObject({ code: 64, stdout: '' });
    expect(await run(['sevre'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('"serve"') as string,
    });
    const cases = [
      [['serve', '--confg', 'x'], '--config'],
      [['serve', '--prot=1'], '--http.port'],
      [['check-config', 'file.yaml'], 'file.yaml'],
      [['check-config', '--config'], '--config'],
      [['keygen', '--http.port', '1'], '--http.port'],
      [['keygen', '--type', 'rsa'], 'x25519'],
      [['migrate', '--dryrun'], '--dry-run'],
    ] as const;
    for (const [argv, hint] of cases) {
      const { code, stderr } = await run(argv);
      expect(code, argv.join(' ')).toBe(64);
      expect(stderr).toContain(hint);
    }
  });

  it('ends with 78 on a wrong configuration and says all that is wrong', async () => {
    for (const command of ['serve', 'check-config', 'migrate']) {
      const { code, stderr } = await run([command, '--http.port', 'x', '--log.level=y']);
      expect(code).toBe(78);
      expect(stderr.split('\n')).toHaveLength(2);
    }
  });
});
