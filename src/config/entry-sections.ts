/** Sections, and parts of a section, whose entries have names that somebody chose. */
export const entrySections = ['brands', 'notifiers', 'xmpp.components', 'xmpp.types'] as const;

export type EntrySectionName = (typeof entrySections)[number];

/** How many words the name of one of them has: the name of an entry stands behind so many. */
export const levelsOf = (section: EntrySectionName): number => section.split('.').length;

/** The one that an option's path lies in, or names; null for a path of any other section. */
export function entrySectionOf(path: readonly string[]): EntrySectionName | null {
  return (
    entrySections.find((section) => section.split('.').every((word, level) => path[level] === word)) ?? null
  );
}
