import { describeFailure } from '../lifecycle/describe-failure.js';

/** Errors that are written for operators: their text names files and causes and holds no values. */
const writtenForOperators: ReadonlySet<string> = new Set([
  'ConfigurationError',
  'StartError',
  'StoreUnavailable',
  'SchemaError',
  'DatabaseInUse',
]);

/** What to tell a person about an error that ends a command; texts of libraries are scrubbed. */
export function operatorMessage(error: unknown): string {
  return error instanceof Error && writtenForOperators.has(error.name)
    ? error.message
    : describeFailure(error).message;
}
