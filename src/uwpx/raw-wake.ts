import { encodeWakeMessage } from '../codec/wake-content.js';
import type { WakeContent } from '../domain/push.js';

/** The body of a raw notification as what a push carries; all that is for phones stays empty. */
export const rawWake = (body: string): WakeContent => ({
  kind: 'wake',
  payload: encodeWakeMessage({
    urgency: 'high',
    alertTitle: '',
    alertBody: null,
    mutableContent: false,
    collapseKey: null,
    account: null,
    channel: null,
    raw: body,
  }),
});
