/** One thing that is wrong with the configuration. Never holds the value of a secret. */
export interface ConfigProblem {
  /** The option, such as `http.port`; empty when the trouble is the file as a whole. */
  readonly key: string;
  /** Where it was said: `/etc/waggle.yaml:12`, `environment variable WAGGLE_HTTP__PORT`, `flag --http.port`, `default`. */
  readonly origin: string;
  readonly message: string;
}

export const formatProblem = ({ key, origin, message }: ConfigProblem): string =>
  `${key === '' ? '' : `${key}: `}${message} (${origin})`;

/** Thrown by whoever finds out later that the configuration cannot be used (a key file that is none): exit code 78. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
  }
}
