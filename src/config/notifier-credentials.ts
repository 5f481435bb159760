import { assertNever } from '../domain/assert-never.js';
import type { ApnsNotifierConfig, NotifierConfig } from './types.js';

export type ApnsCredentials =
  | { readonly kind: 'certificate'; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: 'pfx'; readonly pfxFile: string }
  | { readonly kind: 'token'; readonly keyFile: string; readonly keyId: string; readonly teamId: string };

/** Certificate (PEM or PKCS #12) or token, whichever is complete; null when none is. Loading has refused entries with several. */
export function apnsCredentials(entry: ApnsNotifierConfig): ApnsCredentials | null {
  const { certFile, keyFile, pfxFile, keyId, teamId } = entry;
  if (pfxFile !== null) return { kind: 'pfx', pfxFile };
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
        ? { kind: 'skipped', reason: 'no credentials: none of keyFile, certFile and pfxFile is set' }
        : skipped(missingOf(entry, ['keyId', 'teamId']));
    case 'firebase':
      return needed(missingOf(entry, ['serviceAccountFile']));
    case 'huawei':
      return needed(
        missingOf(entry, [
          'appId',
          'appSecret',
          ...(entry.apiVersion === 'v2' ? (['projectId'] as const) : []),
        ]),
      );
    case 'wns':
      return needed(missingOf(entry, ['packageSid', 'clientSecret']));
    case 'webpush':
      return needed([
        ...(entry.vapidKeyFiles.length === 0 ? ['vapidKeyFiles'] : []),
        ...missingOf(entry, ['subject']),
      ]);
    case 'unifiedpush':
      // Nothing, unless requests are to be signed.
      return needed(entry.vapidKeyFiles.length === 0 ? [] : missingOf(entry, ['subject']));
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

const needed = (missing: readonly string[]): NotifierReadiness =>
  missing.length === 0 ? { kind: 'ready' } : skipped(missing);

const skipped = (missing: readonly string[]): NotifierReadiness => ({
  kind: 'skipped',
  reason: `no credentials: ${missing.join(' and ')} not set`,
});
