import { assertNever } from '../domain/assert-never.js';
import type { ApnsNotifierConfig, NotifierConfig } from './types.js';

export type ApnsCredentials =
  | { readonly kind: 'certificate'; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: 'token'; readonly keyFile: string; readonly keyId: string; readonly teamId: string };

/** Certificate or token, whichever is complete; null when neither is. Loading has refused entries with both. */
export function apnsCredentials(entry: ApnsNotifierConfig): ApnsCredentials | null {
  const { certFile, keyFile, keyId, teamId } = entry;
  if (keyFile === null) return null;
  if (certFile !== null) return { kind: 'certificate', certFile, keyFile };
  if (keyId === null || teamId === null) return null;
  return { kind: 'token', keyFile, keyId, teamId };
}

export type NotifierReadiness =
  | { readonly kind: 'ready' }
  /** Not to be started; `reason` is for the log, once, and holds no secrets. */
  | { readonly kind: 'skipped'; readonly reason: string };

/** Whether an entry can be started, judged by what is configured (files are not read). */
export function notifierReadiness(entry: NotifierConfig): NotifierReadiness {
  switch (entry.type) {
    case 'apns':
      if (apnsCredentials(entry) !== null) return { kind: 'ready' };
      return entry.keyFile === null
        ? { kind: 'skipped', reason: 'no credentials: neither certFile nor keyFile is set' }
        : skipped(missingOf(entry, ['keyId', 'teamId']));
    case 'firebase':
      return entry.serviceAccountFile === null ? skipped(['serviceAccountFile']) : { kind: 'ready' };
    case 'huawei': {
      const missing = missingOf(entry, ['appId', 'appSecret']);
      return missing.length > 0
        ? skipped(missing)
        : { kind: 'skipped', reason: 'this version does not send to Huawei' };
    }
    case 'dummy':
      return { kind: 'ready' };
    default:
      return assertNever(entry);
  }
}

function missingOf<Entry extends NotifierConfig>(
  entry: Entry,
  keys: readonly (keyof Entry & string)[],
): string[] {
  return keys.filter((key) => entry[key] === null);
}

const skipped = (missing: readonly string[]): NotifierReadiness => ({
  kind: 'skipped',
  reason: `no credentials: ${missing.join(' and ')} not set`,
});
