import { entrySectionOf, levelsOf } from './entry-sections.js';

/** One level of an option's path in the environment's spelling: `maxPendingConnects` → `MAX_PENDING_CONNECTS`. */
const toEnvironmentWord = (key: string): string =>
  key
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll(/[-.]/g, '_')
    .toUpperCase();

/** `MAX_PENDING_CONNECTS` → `maxPendingConnects`. */
const toOptionKey = (word: string): string =>
  word.toLowerCase().replaceAll(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

export const ENVIRONMENT_PREFIX = 'WAGGLE_';

/** `['http', 'port']` → `WAGGLE_HTTP__PORT`. */
export const toEnvironmentName = (path: readonly string[]): string =>
  `${ENVIRONMENT_PREFIX}${path.map(toEnvironmentWord).join('__')}`;

/**
 * `WAGGLE_HTTP__PORT` → `['http', 'port']`. The name of an entry (a notifier, a brand, ...) becomes lower case with
 * `-`: `WAGGLE_NOTIFIERS__APNS_SANDBOX__TOPIC` → `['notifiers', 'apns-sandbox', 'topic']`.
 */
export function fromEnvironmentName(name: string): readonly string[] {
  const words = name.slice(ENVIRONMENT_PREFIX.length).split('__');
  const path = words.map(toOptionKey);
  const section = entrySectionOf(path);
  const nameLevel = section === null ? null : levelsOf(section);
  return path.map((key, level) =>
    level === nameLevel ? (words[level] ?? '').toLowerCase().replaceAll('_', '-') : key,
  );
}

/** Two entry names that are the same to the environment: case does not count, nor which of `-`, `_` and `.` it is. */
export const entryNameKey = (name: string): string => name.toLowerCase().replaceAll(/[_.]/g, '-');

/** A key that somebody wrote, fit for one line of an error message. */
export function printableKey(key: string): string {
  const short = key.length > 100 ? `${key.slice(0, 100)}…` : key;
  // eslint-disable-next-line no-control-regex -- control characters are what is to be kept out of a terminal
  return short.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
