/** Node's direct forms of `toString(encoding, start, end)`, two to three times cheaper; missing from its typings. */
interface Buffer {
  hexSlice(start?: number, end?: number): string;
  latin1Slice(start?: number, end?: number): string;
  utf8Slice(start?: number, end?: number): string;
  base64Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
}
