/**
 * `error`: the server would not start, or could not do its work. `warning`: it would, but somebody should look. `note`:
 * right in some places and wrong in others, which only the operator can tell apart.
 */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'note';
  readonly key: string;
  readonly message: string;
}

export const error = (key: string, message: string): Finding => ({ severity: 'error', key, message });
export const warning = (key: string, message: string): Finding => ({ severity: 'warning', key, message });
export const note = (key: string, message: string): Finding => ({ severity: 'note', key, message });
