import { describe, expect, it } from 'vitest';
import { Parts } from '../../../src/lifecycle/parts.js';

describe('the parts of the program', () => {
  it('stop in the opposite order of their start, once', async () => {
    const stopped: string[] = [];
    const parts = new Parts(() => undefined);
    for (const name of ['database', 'pipeline', 'http']) parts.add(() => stopped.push(name));
    await Promise.all([parts.stop(), parts.stop()]);
    expect(stopped).toEqual(['http', 'pipeline', 'database']);
  });

  it('stop also after one that fails and one that hangs', async () => {
    const stopped: string[] = [];
    const failures: unknown[] = [];
    const parts = new Parts((error) => failures.push(error));
    parts.add(() => stopped.push('database'));
    parts.add(() => new Promise(() => undefined), 20);
    parts.add(() => Promise.reject(new Error('cannot')));
    parts.add(() => {
      throw new Error('bug');
    });
    await parts.stop();
    expect(stopped).toEqual(['database']);
    expect(failures.map((failure) => (failure as Error).message)).toEqual([
      'bug',
      'cannot',
      'not stopped within 20 ms',
    ]);
  });
});
