/** Nothing to escape: true of every token that a provider makes and of base64, and cheaper to find out than to escape. */
const plain = /^[ !#-[\]-~]*$/;

/**
 * A text as a JSON string in pure ASCII, as Python's `json.dumps` writes it: the bodies of the original are ASCII, and
 * an ASCII body goes into a frame without any conversion.
 */
export function asciiJson(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
