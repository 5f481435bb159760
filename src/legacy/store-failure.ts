/** Why a change is not known to have taken place. Holds no ids and no tokens. */
export class ChangeNotTaken extends Error {
  override readonly name = 'ChangeNotTaken';

  constructor(
    /**
     * `busy`: too many wait, nothing was tried; `away`: the database does not answer, what was tried may take place
     * yet; `closed`: we are stopping (or have not loaded yet); `unstorable`: the database refuses the data itself.
     */
    readonly reason: 'busy' | 'away' | 'closed' | 'unstorable',
  ) {
    super(`the change was not taken: ${reason}`);
  }
}

/**
 * Whether the same again would fail again. `StoreUnavailable` passes, and so may a `StoreQueryError` whose SQLSTATE
 * blames anything but the data (22, 23), such as a schema under repair. Known by their names: the store implements the
 * ports of this room, which knows nothing of it.
 */
export function isAboutTheData(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  if (error.name === 'StoreUnavailable') return false;
  if (error.name !== 'StoreQueryError') return true;
  return 'code' in error && typeof error.code === 'string' && /^2[23]/.test(error.code);
}

/** For the log: a fault's message may quote what must not be in it. */
export const faultOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error);
