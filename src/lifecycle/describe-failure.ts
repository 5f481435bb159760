/** What of a failure may be written down. */
export interface FailureDescription {
  readonly name: string;
  /** The system's, PostgreSQL's or Node's code where there is one. */
  readonly code: string | null;
  readonly message: string;
  /** `at ...` lines: places in our code, no values. */
  readonly frames: readonly string[];
}

const MESSAGE_MAX_LENGTH = 400;
const FRAMES_MAX = 20;

/**
 * Any thrown value as something fit for a log. The message is the unknown part: libraries quote addresses with
 * passwords, tokens and keys in theirs. What looks like one is cut out.
 */
export function describeFailure(failure: unknown): FailureDescription {
  if (!(failure instanceof Error)) {
    return { name: typeof failure, code: null, message: 'something that is no error was thrown', frames: [] };
  }
  const code = 'code' in failure && typeof failure.code === 'string' ? scrub(failure.code) : null;
  const frames = (failure.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, FRAMES_MAX)
    .map((line) => line.trim());
  return { name: scrub(failure.name), code, message: scrub(failure.message), frames };
}

/** Cuts out what looks like a password in an address, a token or a key. */
export function scrub(text: string): string {
  return text
    .slice(0, MESSAGE_MAX_LENGTH)
    .replaceAll(/(\w:\/\/)[^\s/@]*@/g, '$1…@')
    .replaceAll(/[A-Za-z0-9+=_-]{16,}/g, (run) => (/\d/.test(run) ? '…' : run));
}
