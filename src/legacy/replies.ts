import type { LegacyReply } from './methods-port.js';

/** What a request came to, for the metrics: a fixed set. */
export type LegacyResult =
  | 'done'
  | 'partly-done'
  | 'unchanged'
  | 'unknown-id'
  | 'refused'
  | 'full'
  | 'busy'
  | 'away'
  | 'timeout'
  | 'failed';

export interface LegacyAnswer {
  readonly result: LegacyResult;
  readonly reply: LegacyReply;
}

const answer = (
  result: LegacyResult,
  status: LegacyReply['status'],
  code: 0 | 1,
  message: string,
): LegacyAnswer => ({ result, reply: { status, body: { code, message } } });

/** The request is wrong: to repeat it does not help. */
export const refused = (message: string): LegacyAnswer => answer('refused', 400, 0, message);

/** The id or token is none of ours: no error. Spec session-push-v1, section 3. */
export const unknownId = (message: string): LegacyAnswer => answer('unknown-id', 200, 0, message);

export const full = (message: string): LegacyAnswer => answer('full', 400, 0, message);

const SUCCESS = 'Success';
const COME_BACK = 'The server cannot do this now, try again later';

export const done = answer('done', 200, 1, SUCCESS);
/** Done before, and not written again. */
export const unchanged = answer('unchanged', 200, 1, SUCCESS);
/** Registered, but not in every group: some are full. */
export const partlyDone = answer('partly-done', 200, 1, SUCCESS);
export const serverFull = answer('full', 503, 0, 'The server is full');
export const busy = answer('busy', 503, 0, COME_BACK);
export const away = answer('away', 503, 0, COME_BACK);
export const late = answer('timeout', 503, 0, COME_BACK);
export const failed = answer('failed', 503, 0, COME_BACK);
export const missing = refused('Missing parameter');
