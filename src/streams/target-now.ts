import type { PublishTarget, TargetSource } from '../domain/publish.js';

/** The target of this key as memory has it by now; null: there is none. */
export function targetNow(sources: readonly TargetSource[], node: string, key: string): PublishTarget | null {
  for (const source of sources) {
    for (const target of source.find(node)) if (target.key === key) return target;
  }
  return null;
}
