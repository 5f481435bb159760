/** `error`: the server would not start, or could not do its work. `warning`: it would, but somebody should look. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly key: string;
  readonly message: string;
}

export const error = (key: string, message: string): Finding => ({ severity: 'error', key, message });
export const warning = (key: string, message: string): Finding => ({ severity: 'warning', key, message });
