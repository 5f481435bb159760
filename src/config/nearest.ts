const MAX_COMPARED_LENGTH = 80;

/** Edits (insert, delete, replace one character) between two texts. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? a.length;
}

const lastPart = (key: string): string => key.slice(key.lastIndexOf('.') + 1);

/**
 * The known key that is most likely meant: the one with the fewest edits, where case does not count. A key without
 * levels may also mean the last part of one (`port` → `http.port`), and a key whose last part is right is preferred
 * (`htpp.port` → `http.port`).
 */
export function nearestKey(key: string, known: readonly string[]): string | null {
  const wanted = key.slice(0, MAX_COMPARED_LENGTH).toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = keyDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function keyDistance(wanted: string, candidate: string): number {
  const last = lastPart(candidate);
  if (!wanted.includes('.')) {
    const toLast = candidate.includes('.') ? editDistance(wanted, last) + 0.5 : Number.POSITIVE_INFINITY;
    return Math.min(editDistance(wanted, candidate), toLast);
  }
  return editDistance(wanted, candidate) * (lastPart(wanted) === last ? 0.5 : 1);
}
