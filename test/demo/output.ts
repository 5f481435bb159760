import { writeSync } from 'node:fs';

/** At once, whatever the process does next. */
export const say = (text = ''): void => void writeSync(1, `${text}\n`);

export const shorten = (text: string, length = 40): string =>
  text.length <= length ? text : `${text.slice(0, length)}…`;

export const milliseconds = (since: number): string => `${(performance.now() - since).toFixed(1)} ms`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** What the demo promises; it ends with an error when anything did not come true. */
export class Promises {
  #broken = 0;

  get areKept(): boolean {
    return this.#broken === 0;
  }

  /** One line for the reader. */
  expect(isTrue: boolean, text: string): void {
    if (!isTrue) this.#broken += 1;
    say(`  ${isTrue ? '✓' : '✗'} ${text}`);
  }

  /** What was waited for and has come true. */
  kept(text: string): void {
    this.expect(true, text);
  }
}

/** With `--stay`: says what to try, and waits for Ctrl-C. */
export type StayIfAsked = (whatToTry: string) => Promise<void>;
