import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, type ConfigSources } from '../../../src/config/load.js';
import { formatProblem, type ConfigProblem } from '../../../src/config/problem.js';
import type { Config } from '../../../src/config/types.js';

export interface TestDirectory {
  readonly path: string;
  /** Writes a file and returns its path. */
  write(name: string, text: string): string;
  remove(): void;
}

export function createTestDirectory(): TestDirectory {
  const path = mkdtempSync(join(tmpdir(), 'waggle-test-'));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

type Sources = Partial<ConfigSources>;

export function load(sources: Sources = {}) {
  return loadConfig({ file: null, env: {}, argv: [], cwd: '/srv', ...sources });
}

export function loadGood(sources: Sources = {}): Config {
  const loaded = load(sources);
  if (!loaded.ok) throw new Error(loaded.error.map(formatProblem).join('\n'));
  return loaded.value;
}

export function problemsOf(sources: Sources): ConfigProblem[] {
  const loaded = load(sources);
  return loaded.ok ? [] : loaded.error;
}
