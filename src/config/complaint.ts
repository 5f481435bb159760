/** Something that no option can be blamed for alone. */
export interface Complaint {
  /** The first is the one to blame; if any of them is wrong by itself the complaint would only confuse. */
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}
