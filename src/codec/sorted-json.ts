/** Deeper than any `service_info` that means something, and far from the end of the stack. */
const MAX_DEPTH = 64;

/**
 * Compact JSON with the keys of every object in the order of their UTF-8 bytes, which is how the original writes
 * `service_info` for a notifier (spec session-push-v2, 8.2). `value` is what `JSON.parse` made. Null when it is nested
 * too deeply.
 */
export function sortedJson(value: unknown, depth = 0): string | null {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth === MAX_DEPTH) return null;
  const parts: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      const text = sortedJson(item, depth + 1);
      if (text === null) return null;
      parts.push(text);
    }
    return `[${parts.join(',')}]`;
  }
  for (const [key, item] of Object.entries(value).sort(([left], [right]) => compareUtf8(left, right))) {
    const text = sortedJson(item, depth + 1);
    if (text === null) return null;
    parts.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${parts.join(',')}}`;
}

/** JavaScript's own order is that of UTF-16, which differs beyond U+FFFF. */
const compareUtf8 = (left: string, right: string): number =>
  Buffer.compare(Buffer.from(left), Buffer.from(right));
